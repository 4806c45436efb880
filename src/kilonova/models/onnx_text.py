"""Text models as ONNX files beside their tokenizer, on ONNX Runtime: no torch, on CPUs. Needs the extra ``onnx``.

What sentence-transformers' and Optimum's exports hold: ``input_ids``, ``attention_mask`` and perhaps ``token_type_ids``
in, ``sentence_embedding`` out, or the states of the last layer, which are pooled as ``modules.json`` says.
"""

from __future__ import annotations

import json
import mmap
from collections.abc import Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from kilonova.errors import InvalidInput, Unavailable
from kilonova.media.content import Input, Text
from kilonova.models import folder
from kilonova.models.base import Embedded, EmbeddingModel, Prepared, with_vectors
from kilonova.models.card import ModelCard, Purpose
from kilonova.models.ort import open_session
from kilonova.models.truncation import truncate

__all__ = ["OnnxText"]

_INPUTS = {"input_ids", "attention_mask", "token_type_ids"}
_WHOLE = "sentence_embedding"
_STATES = ("last_hidden_state", "token_embeddings")
_BATCH_TOKENS = 4096  # padded tokens in one run, as of kilonova-mini's text tower
# Activations are scaled by the largest of the whole batch, so that a vector would depend on its neighbours.
_SCALED_BY_BATCH = b"DynamicQuantizeLinear"


class OnnxText(EmbeddingModel):
    """A text model of one ONNX file.

    Args:
        path: the file, or a folder with one.
        card: what is known of it.
    """

    def __init__(self, path: Path, card: ModelCard) -> None:
        try:
            tokenizers = import_module("tokenizers")
        except ImportError:
            raise Unavailable(f"{path.name} needs tokenizers.", "pip install 'kilonova[onnx]'") from None
        self.card = card
        file, home = folder.onnx_file(path), folder.home(path)
        assert file is not None
        if not (home / "tokenizer.json").is_file():
            raise InvalidInput(
                f"{home} has no tokenizer.json.", "Slow tokenizers are not read here; torch's models can."
            )
        self._session = open_session(file)
        self._inputs = [one.name for one in self._session.get_inputs()]
        if unknown := set(self._inputs) - _INPUTS:
            raise InvalidInput(f"{file} wants {', '.join(sorted(unknown))}, which no text embedding model needs.")
        outputs = [one.name for one in self._session.get_outputs()]
        self._output = next((name for name in (_WHOLE, *_STATES) if name in outputs), "")
        if not self._output:
            raise InvalidInput(f"{file} gives {', '.join(outputs)}, none of {_WHOLE}, {', '.join(_STATES)}.")
        self._pooling = "" if self._output == _WHOLE else _pooling(home)
        self._batch = 1 if _holds(file, _SCALED_BY_BATCH) else None
        self._tokenizer: Any = tokenizers.Tokenizer.from_file(str(home / "tokenizer.json"))
        self._tokenizer.no_truncation()
        self._tokenizer.no_padding()
        one = "a"
        self._around = {
            prompt: len(self._ids(prompt + one)) - len(self._spans(one)) for prompt in {"", *card.prompts.values()}
        }

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        if not isinstance(content, Text):
            raise self.card.refusal(content)
        prompt = self.card.prompts.get(purpose, "")
        value, around = content.value, self._around[prompt]
        kept, characters = truncate(content, len(self._spans(value)), self.card, lambda: self._spans(value), around)
        if characters is not None:
            value = value[:characters] if kept.start is None else value[-characters:]
        ids = self._ids(prompt + value)
        if len(ids) > self.card.max_tokens:  # what was cut within a word may become a token more
            ids = [*ids[: self.card.max_tokens - 1], ids[-1]]
        return Prepared(ids, len(ids), characters)

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        order = sorted(range(len(batch)), key=lambda place: batch[place].tokens, reverse=True)
        vectors = np.empty((len(batch), self.card.native_dimension), np.float32)
        while order:
            count = self._batch or max(1, _BATCH_TOKENS // batch[order[0]].tokens)
            places, order = order[:count], order[count:]
            vectors[places] = self._run([batch[place].data for place in places])
        return with_vectors(batch, vectors)

    def _run(self, rows: list[list[int]]) -> np.ndarray:
        ids = np.zeros((len(rows), len(rows[0])), np.int64)  # the first row is the longest
        mask = np.zeros_like(ids)
        for row, one in enumerate(rows):
            ids[row, : len(one)] = one
            mask[row, : len(one)] = 1
        offered = {"input_ids": ids, "attention_mask": mask, "token_type_ids": np.zeros_like(ids)}
        outputs = self._session.run([self._output], {name: offered[name] for name in self._inputs})
        found: np.ndarray = np.asarray(outputs[0], np.float32)
        match self._pooling:
            case "mean":
                weights = mask[:, :, None].astype(np.float32)
                return np.asarray((found * weights).sum(1) / weights.sum(1))
            case "cls":
                return np.asarray(found[:, 0])
            case "lasttoken":
                return np.asarray(found[np.arange(len(rows)), mask.sum(1) - 1])
            case _:
                return found

    def _ids(self, text: str) -> list[int]:
        return list(self._tokenizer.encode(text).ids)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        return list(self._tokenizer.encode(text, add_special_tokens=False).offsets)


def _pooling(home: Path) -> str:
    """How ``modules.json`` makes one vector of a text's states: mean, cls or lasttoken.

    Raises:
        InvalidInput: it does not say, or in a way that is not in the ONNX file.
    """
    if not (home / "modules.json").is_file():
        raise InvalidInput(
            f"{home} has no modules.json, so nothing says how its vectors are made.",
            f"Export it with sentence-transformers: its files give {_WHOLE}, or have modules.json beside them.",
        )
    modules = json.loads((home / "modules.json").read_text(encoding="utf-8"))
    kinds = {module["type"].rpartition(".")[2]: module for module in modules}
    if unsupported := set(kinds) - {"Transformer", "Pooling", "Normalize"}:
        raise InvalidInput(
            f"{home} has {', '.join(sorted(unsupported))} behind its transformer, which is not in the file."
        )
    if "Pooling" not in kinds:
        raise InvalidInput(f"{home} has no pooling in modules.json, and its ONNX file gives no {_WHOLE}.")
    facts = json.loads((home / kinds["Pooling"]["path"] / "config.json").read_text(encoding="utf-8"))
    named = {"cls_token": "cls", "mean_tokens": "mean"}
    if not facts.get("include_prompt", True):
        raise InvalidInput(f"{home} leaves its prompts out of the mean, which is not done here.")
    modes = [
        name.removeprefix("pooling_mode_") for name, used in facts.items() if name.startswith("pooling_mode_") and used
    ]
    mode = facts.get("pooling_mode") or "+".join(named.get(one, one) for one in modes)
    if mode not in ("mean", "cls", "lasttoken"):
        raise InvalidInput(f"{home} pools by {mode}; mean, cls and lasttoken are known.")
    return str(mode)


def _holds(file: Path, operator: bytes) -> bool:
    with file.open("rb") as opened, mmap.mmap(opened.fileno(), 0, access=mmap.ACCESS_READ) as found:
        return found.find(operator) >= 0
