"""The trained heads as ONNX files with int8 weights."""

from __future__ import annotations

import numpy as np
import onnx
from onnx import TensorProto
from torch import Tensor, nn

from kilonova.models.mini.space import OWN, SENSE, WORDING
from training.audio_head import AudioHead
from training.graph import MS, Graph
from training.heads import ImageHead, Joined, TextHead

__all__ = ["audio_head", "image_head", "text_head"]


def _array(value: Tensor | None) -> np.ndarray:
    assert value is not None
    return value.detach().numpy().astype(np.float32)


def _linear(graph: Graph, name: str, value: str, layer: nn.Linear) -> str:
    bias = _array(layer.bias) if layer.bias is not None else np.zeros(layer.out_features, np.float32)
    return graph.linear(name, value, _array(layer.weight).T, bias)


def _norm(graph: Graph, name: str, value: str, layer: nn.LayerNorm) -> str:
    parts = [graph.constant(f"{name}.w", _array(layer.weight)), graph.constant(f"{name}.b", _array(layer.bias))]
    return graph.node("LayerNormalization", [value, *parts], f"{name}.out", axis=-1, epsilon=layer.eps)


def _mlp(graph: Graph, name: str, value: str, mlp: nn.Module) -> str:
    hidden = _norm(graph, f"{name}.norm", _linear(graph, f"{name}.first", value, mlp.first), mlp.norm)
    out = _linear(graph, f"{name}.second", graph.node("Gelu", [hidden], f"{name}.gelu", MS), mlp.second)
    if mlp.skip is None:
        return out
    return graph.node("Add", [out, _linear(graph, f"{name}.skip", value, mlp.skip)], f"{name}.sum")


def _unit(graph: Graph, name: str, value: str) -> str:
    return graph.node("LpNormalization", [value], name, axis=-1, p=2)


def _standard(graph: Graph, name: str, value: str, mean: np.ndarray, std: np.ndarray) -> str:
    value = graph.node("Sub", [value, graph.constant(f"{name}.mean", mean)], f"{name}.centred")
    return graph.node("Mul", [value, graph.constant(f"{name}.scale", 1 / std)], f"{name}.standard")


def _join(graph: Graph, parts: list[str], rotation: Tensor) -> None:
    """Vectors of length one of several heads → ``sense``."""
    joined = graph.node("Concat", parts, "joined", axis=1)
    _unit(graph, "sense", graph.node("MatMul", [joined, graph.int8("turn", _array(rotation), 1)], "turned"))


def text_head(heads: Joined, center: Tensor, rotation: Tensor) -> onnx.ModelProto:
    """``pooled`` [n, 384] → ``sense`` [n, 640] and ``wording`` [n, 384], of length one.

    Args:
        heads: the trained part.
        center: of wording, [384].
        rotation: of wording, [384, 384].
    """
    graph, parts = Graph(), []
    for number, head in enumerate(heads.members):
        assert isinstance(head, TextHead)
        standard = _standard(graph, f"{number}.in", "pooled", _array(head.mean), _array(head.std))
        parts.append(_unit(graph, f"{number}.unit", _mlp(graph, f"{number}.mlp", standard, head.mlp)))
    _join(graph, parts, heads.rotation)
    centred = graph.node("Sub", [_unit(graph, "e5", "pooled"), graph.constant("center", _array(center))], "centred")
    rotated = graph.node("MatMul", [centred, graph.constant("rotation", _array(rotation))], "rotated")
    _unit(graph, "wording", rotated)
    return graph.model(
        "kilonova-mini-text-head",
        {"pooled": (TensorProto.FLOAT, ["n", WORDING])},
        {"sense": ["n", SENSE], "wording": ["n", WORDING]},
    )


def image_head(heads: Joined, own: np.ndarray) -> onnx.ModelProto:
    """``pooled`` [n, 2048], ``tokens`` [n, 36, 384], ``classes`` [n, 1000] → ``sense`` [n, 640] and ``own`` [n, 1024].

    Args:
        heads: the trained part.
        own: float32 [2048, 1024], what the standardised features are multiplied with for the image's own numbers.
    """
    graph = Graph()
    ones = [graph.constant("tokens.w", np.ones(384, np.float32)), graph.constant("tokens.b", np.zeros(384, np.float32))]
    tokens = graph.node("LayerNormalization", ["tokens", *ones], "tokens.norm", axis=-1, epsilon=1e-5)
    first = heads.members[0]  # all of them learned from the same pictures
    standard = _standard(graph, "in", "pooled", _array(first.mean), _array(first.std))
    parts = [_image_member(graph, f"{number}.", head, standard, tokens) for number, head in enumerate(heads.members)]
    _join(graph, parts, heads.rotation)
    _unit(graph, "own", graph.node("MatMul", [standard, graph.int8("own.weight", own, 1)], "own.product"))
    return graph.model(
        "kilonova-mini-image-head",
        {
            "pooled": (TensorProto.FLOAT, ["n", 2048]),
            "tokens": (TensorProto.FLOAT, ["n", 36, 384]),
            "classes": (TensorProto.FLOAT, ["n", 1000]),
        },
        {"sense": ["n", SENSE], "own": ["n", OWN]},
    )


def _image_member(graph: Graph, name: str, head: ImageHead, standard: str, tokens: str) -> str:
    """One head's vectors of length one, from standardised features and normalised tokens."""
    found = _mlp(graph, f"{name}mlp", standard, head.mlp)
    placed = graph.node("Add", [tokens, graph.constant(f"{name}position", _array(head.position))], f"{name}placed")
    keys = graph.node("MatMul", [placed, graph.constant(f"{name}keys", _array(head.keys.weight).T)], f"{name}asked")
    soft = graph.node("Softmax", [keys], f"{name}soft", axis=1)
    weights = graph.node("Transpose", [soft], f"{name}weights", perm=[0, 2, 1])
    looked = graph.node("MatMul", [weights, _linear(graph, f"{name}values", placed, head.values)], f"{name}looked")
    flat = graph.node("Flatten", [looked], f"{name}flat", axis=1)
    told = _linear(graph, f"{name}out", graph.node("Gelu", [flat], f"{name}gelu", MS), head.out)
    seen = graph.node("Add", [found, told], f"{name}seen")
    sharpness = graph.constant(f"{name}sharpness", np.float32(np.exp(head.sharpness.item())))
    shares = graph.node("Softmax", [graph.node("Mul", ["classes", sharpness], f"{name}sharp")], f"{name}shares", axis=1)
    names = graph.int8(f"{name}names", _array(head.names) * np.float32(head.trust.item()), 1)
    named = graph.node("MatMul", [shares, names], f"{name}named")
    return _unit(graph, f"{name}unit", graph.node("Add", [seen, named], f"{name}sum"))


def audio_head(head: AudioHead, mean: np.ndarray, std: np.ndarray, own: np.ndarray) -> onnx.ModelProto:
    """``pooled`` [n, 384], ``texture`` [n, 852] and ``classes`` [n, 527] → ``sense`` [n, 640] and ``own`` [n, 1024].

    Args:
        head: the trained part.
        mean, std: of textures, [852].
        own: float32 [852, 852], from standardised textures to a sound's own numbers, which are filled with zeros.
    """
    graph = Graph()
    joined = graph.node("Concat", ["pooled", "classes"], "joined", axis=1)
    value = _linear(graph, "first", _standard(graph, "in", joined, _array(head.mean), _array(head.std)), head.first)
    hidden = graph.node("Gelu", [_norm(graph, "norm", value, head.norm)], "gelu", MS)
    correction = _linear(graph, "second", hidden, head.second)
    power = np.float32(1 + np.log1p(np.exp(head.power.item())))
    # log sigmoid(x) = -softplus(-x)
    logs = graph.node("Softplus", [graph.node("Neg", ["classes"], "negative")], "logs")
    sharp = graph.node("Mul", [logs, graph.constant("power", -power)], "sharp")
    usual = graph.constant("usual", -power * np.float32(head.rarity.item()) * _array(head.usual))
    weights = graph.node("Softmax", [graph.node("Add", [sharp, usual], "unusual")], "weights", axis=1)
    names = graph.node("MatMul", [weights, graph.int8("names", _array(head.names), 1)], "named")
    conse = graph.node("Add", [names, graph.constant("base", _array(head.base))], "conse")
    _unit(graph, "sense", graph.node("Add", [conse, correction], "sum"))
    texture = _standard(graph, "own", "texture", mean, std)
    product = graph.node("MatMul", [texture, graph.int8("own.weight", own, 1)], "own.product")
    pads = graph.constant("own.pads", np.array([0, 0, 0, OWN - len(mean)]))
    graph.node("Pad", [_unit(graph, "own.unit", product), pads], "own")
    return graph.model(
        "kilonova-mini-audio-head",
        {
            "pooled": (TensorProto.FLOAT, ["n", 384]),
            "texture": (TensorProto.FLOAT, ["n", len(mean)]),
            "classes": (TensorProto.FLOAT, ["n", 527]),
        },
        {"sense": ["n", SENSE], "own": ["n", OWN]},
    )
