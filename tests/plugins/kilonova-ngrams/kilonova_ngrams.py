"""Texts by their character n-grams: those that share spellings are near. No weights, any language, no understanding."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence

import numpy as np

from kilonova.media.content import Input, Modality, Text
from kilonova.models.base import Embedded, EmbeddingModel, Prepared, with_vectors
from kilonova.models.card import ModelCard, Purpose
from kilonova.models.truncation import truncate

CARD = ModelCard(
    id="ngrams",
    title="Character n-grams",
    licence="Apache-2.0",
    source="kilonova_ngrams",
    modalities=frozenset({Modality.TEXT}),
    native_dimension=1024,
    trained_dimensions=(256, 384, 1024),  # random directions keep their angles in every prefix
    max_tokens=2048,
    languages="any, English and Chinese alike, by spelling",
    best_for="names, codes and misspelt words",
)


def names() -> Sequence[str]:
    return [CARD.id]


def claims(name: str) -> bool:
    return name == CARD.id


def describe(name: str) -> ModelCard:
    return CARD


def load(name: str, card: ModelCard) -> EmbeddingModel:
    return Ngrams()


class Ngrams(EmbeddingModel):
    """A fixed random direction for each n-gram, weighted by the root of how often it occurs. A token is a character."""

    card = CARD

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        if not isinstance(content, Text):
            raise self.card.refusal(content)
        text = content.value
        kept, characters = truncate(content, len(text), self.card, lambda: [(at, at + 1) for at in range(len(text))])
        return Prepared(text[kept], len(text[kept]), characters)

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        return with_vectors(batch, np.stack([_vector(prepared.data) for prepared in batch]))


def _vector(text: str) -> np.ndarray:
    text = f" {' '.join(text.casefold().split())} "
    counts = Counter(text[at : at + size] for size in (1, 2, 3, 4) for at in range(len(text) - size + 1))
    total = np.zeros(CARD.native_dimension, np.float32)
    for ngram, count in counts.items():
        if ngram.strip() or len(counts) < 4:  # a space says nothing, unless there is nothing else
            total += np.sqrt(np.float32(count)) * _direction(ngram)
    return total


def _direction(ngram: str) -> np.ndarray:
    seed = int.from_bytes(hashlib.blake2b(ngram.encode("utf-8", "surrogatepass"), digest_size=8).digest(), "little")
    return np.random.Generator(np.random.PCG64(seed)).standard_normal(CARD.native_dimension, np.float32)
