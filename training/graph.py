"""Writing ONNX graphs node by node: what torch's exporters give is larger, slower or loses the quantisation."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

__all__ = ["MS", "Graph"]

MS = "com.microsoft"


class Graph:
    """Collects nodes and initialisers of one ONNX graph."""

    def __init__(self) -> None:
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def constant(self, name: str, value: np.ndarray | np.generic) -> str:
        self.constants.append(numpy_helper.from_array(np.ascontiguousarray(value), name))
        return name

    def four_bit(self, name: str, nibbles: np.ndarray) -> str:
        """An unsigned 4-bit constant; of two neighbours the first lies in the low half of the byte."""
        flat = np.ascontiguousarray(nibbles).reshape(-1)
        tensor = TensorProto(name=name, data_type=TensorProto.UINT4, dims=nibbles.shape)
        tensor.raw_data = (flat[0::2] | (flat[1::2] << 4)).tobytes()
        self.constants.append(tensor)
        return name

    def node(self, kind: str, inputs: list[str], output: str, domain: str = "", **attributes: Any) -> str:
        self.nodes.append(helper.make_node(kind, inputs, [output], domain=domain, name=output, **attributes))
        return output

    def split(self, value: str, outputs: list[str]) -> None:
        """Equal parts of the last axis."""
        self.nodes.append(helper.make_node("Split", [value], outputs, axis=-1, num_outputs=len(outputs)))

    def int8(self, name: str, weight: np.ndarray, axis: int) -> str:
        """A float weight stored as int8 with one scale for each index of ``axis`` (symmetric, no zero point)."""
        others = tuple(index for index in range(weight.ndim) if index != axis)
        scale = np.maximum(np.abs(weight).max(axis=others), 1e-12) / 127
        shape = [-1 if index == axis else 1 for index in range(weight.ndim)]
        whole = np.round(weight / scale.reshape(shape)).astype(np.int8)
        inputs = [self.constant(f"{name}.int8", whole), self.constant(f"{name}.scale", scale.astype(np.float32))]
        return self.node("DequantizeLinear", inputs, f"{name}.float", axis=axis)

    def linear(self, name: str, value: str, weight: np.ndarray, bias: np.ndarray) -> str:
        """``value @ weight + bias`` with an int8 weight [in, out]."""
        product = self.node("MatMul", [value, self.int8(f"{name}.weight", weight, 1)], f"{name}.product")
        return self.node("Add", [product, self.constant(f"{name}.bias", bias)], f"{name}.out")

    def model(
        self, name: str, inputs: Mapping[str, tuple[int, Sequence[Any]]], outputs: Mapping[str, Sequence[Any]]
    ) -> Any:
        """The finished model; inputs are (element type, shape) by name, outputs are float32 shapes by name."""
        graph = helper.make_graph(
            self.nodes,
            name,
            [helper.make_tensor_value_info(key, kind, shape) for key, (kind, shape) in inputs.items()],
            [helper.make_tensor_value_info(key, TensorProto.FLOAT, shape) for key, shape in outputs.items()],
            self.constants,
        )
        opsets = [helper.make_opsetid("", 21), helper.make_opsetid(MS, 1)]
        model = helper.make_model(graph, opset_imports=opsets, producer_name="kilonova")
        model.ir_version = 10
        return model
