"""Reading a query and what was found together, to rank hits that have words anew."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol

import numpy as np

from kilonova.errors import InvalidInput
from kilonova.models.torch import libraries

__all__ = ["CrossEncoder", "Reranker", "reordered"]


class Reranker(Protocol):
    """Says how well texts answer a query."""

    def __call__(self, query: str, texts: Sequence[str]) -> np.ndarray:
        """Scores float32 [n], the higher the better."""
        ...


class CrossEncoder:
    """A cross-encoder of sentence-transformers, for example ``BAAI/bge-reranker-v2-m3`` for English and Chinese.

    Args:
        model: a folder, or a name on the Hugging Face hub, from where it is downloaded.

    Raises:
        kilonova.errors.Unavailable: the extra is not installed.
        InvalidInput: there is no such model, or it has no single score.
    """

    def __init__(self, model: str) -> None:
        _, sentence_transformers = libraries("reranking")
        try:
            self._model: Any = sentence_transformers.CrossEncoder(model)
        except (OSError, ValueError) as error:
            raise InvalidInput(f"{model} cannot be loaded: {error}", "Name a folder with a cross-encoder.") from None
        if self._model.num_labels != 1:
            raise InvalidInput(f"{model} has {self._model.num_labels} scores; a reranker has one.")

    def __call__(self, query: str, texts: Sequence[str]) -> np.ndarray:
        scores = self._model.predict([(query, text) for text in texts], show_progress_bar=False)
        return np.asarray(scores, np.float32)


def reordered(scores: Sequence[float | None]) -> list[int]:
    """Places by score, the best first; those that have none keep their places, for nothing is known of them."""
    known = {place: score for place, score in enumerate(scores) if score is not None}
    best = iter(sorted(known, key=lambda place: -known[place]))
    return [next(best) if place in known else place for place in range(len(scores))]
