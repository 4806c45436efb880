"""A deterministic model without weights, for tests of everything around a model.

Equal contents get equal vectors and texts that share words get similar ones; nothing else is meant by them.
A text that begins with one of ``FAULTS`` makes the model misbehave in that way, so that client code and
this server can be tested against it. The file that ``KILONOVA_FAKE_LOG`` names, if any, gets a line for every input
embedded: its first words.
"""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kilonova.media.content import Audio, Encoded, Image, Input, Mixed, Text, Video
from kilonova.models.base import Embedded, EmbeddingModel, Prepared, with_vectors
from kilonova.models.card import Purpose
from kilonova.models.cards import FAKE
from kilonova.models.truncation import truncate

__all__ = ["FAULTS", "Fake"]

#: What a text may begin with, and what happens then.
FAULTS = {
    "fake: raise": "the forward pass raises an exception",
    "fake: hang": "the forward pass never ends",
    "fake: crash": "the worker process dies",
    "fake: slow": "the forward pass takes a fifth of a second",
    "fake: large": "a batch of more than two does not fit into memory, and is halved",
}


class Fake(EmbeddingModel):
    """See the module's text. A token is a word, or one Chinese, Japanese or Korean character."""

    card = FAKE

    def __init__(self) -> None:
        self._log = os.environ.get("KILONOVA_FAKE_LOG")

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        if isinstance(content, Text):
            return self._text(content, purpose)
        if isinstance(content, Encoded | Mixed):
            raise self.card.refusal(content)
        data = _features(content)
        return Prepared(data, tokens=len(data))

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        if len(batch) > 2 and any("fake: large" in item.data[:1] for item in batch):
            raise MemoryError("this was asked for by 'fake: large'")
        vectors = np.empty((len(batch), self.card.native_dimension), np.float32)
        for row, item in enumerate(batch):
            for token in item.data[:1]:
                _misbehave(token)
            if self._log:
                with Path(self._log).open("a", encoding="utf-8") as file:
                    file.write(" ".join(item.data[:8]) + "\n")
            vectors[row] = sum((_direction(token) for token in item.data), np.zeros(3072, np.float32))
        return with_vectors(batch, vectors)

    def _text(self, content: Text, purpose: Purpose) -> Prepared:
        fault = next((name for name in FAULTS if content.value.startswith(name)), None)
        words = list(
            re.finditer(r"[\u3040-\u9fff\uac00-\ud7af]|[^\W\u3040-\u9fff\uac00-\ud7af]+|[^\w\s]", content.value)
        )
        kept, characters = truncate(content, len(words), self.card, lambda: [word.span() for word in words])
        words = words[kept]
        tokens = [word.group().lower() for word in words]
        return Prepared([fault or f"purpose {purpose == Purpose.GENERIC_INDEX}", *tokens], len(tokens), characters)


def _features(content: Image | Audio | Video) -> list[str]:
    """Coarse features, so that a re-encoded file stays near its original."""
    match content:
        case Image(pixels=pixels):
            rows = np.array_split(pixels.mean(axis=2), 4)
            cells = [cell.mean() for row in rows for cell in np.array_split(row, 4, axis=1)]
            return [f"image {content.detail}", *(f"cell {i} {value // 32:.0f}" for i, value in enumerate(cells))]
        case Audio(samples=samples):
            levels = [float(np.sqrt(np.mean(part**2))) if len(part) else 0.0 for part in np.array_split(samples, 16)]
            return ["audio", *(f"level {i} {value * 8:.0f}" for i, value in enumerate(levels))]
        case Video(frames=frames, audio=audio):
            seen = [f"frame {i} {frame.mean() // 32:.0f}" for i, frame in enumerate(frames)]
            return ["video", *seen, *(_features(audio) if audio is not None else [])]


def _direction(token: str) -> np.ndarray:
    """A fixed pseudo-random direction for a token, float32 [3072]."""
    seed = int.from_bytes(hashlib.blake2b(token.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(3072, np.float32)


def _misbehave(token: str) -> None:
    if token == "fake: raise":
        raise RuntimeError(f"this failure was asked for by {token!r}")
    if token == "fake: hang":
        time.sleep(3600)
    if token == "fake: crash":
        os._exit(1)
    if token == "fake: slow":
        time.sleep(0.2)
