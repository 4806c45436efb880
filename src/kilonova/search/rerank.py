"""Reading a query and what was found together, to rank hits that have words anew."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Protocol, TypeGuard

import numpy as np

from kilonova import plugins
from kilonova.errors import InvalidInput, KilonovaError, Unavailable
from kilonova.models.torch import libraries

__all__ = ["BUILT_IN", "GROUP", "CrossEncoder", "Reranker", "is_reranker", "open_reranker", "reorder"]

#: The entry points of rerankers: what makes one of a model's name, "" where none is given.
GROUP = "kilonova.rerankers"
#: Kilonova's own: the same as in ``pyproject.toml``.
BUILT_IN = {"cross-encoder": "kilonova.search.rerank:CrossEncoder"}


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


class _Stranger:
    """A reranker of another distribution: what it raises becomes an error that names it."""

    def __init__(self, name: str, make: Callable[[str], Reranker], model: str) -> None:
        self._name = name
        try:
            self._reranker = make(model)
        except Exception as error:
            raise self._fault(error) from error

    def __call__(self, query: str, texts: Sequence[str]) -> np.ndarray:
        try:
            scores = np.asarray(self._reranker(query, texts), np.float32)
            if scores.shape != (len(texts),):
                raise ValueError(f"scores of shape {scores.shape} for {len(texts)} texts")
        except Exception as error:
            raise self._fault(error) from error
        return scores

    def _fault(self, error: Exception) -> KilonovaError:
        if isinstance(error, KilonovaError):
            return error
        return Unavailable(f"The reranker plug-in {self._name!r} failed: {type(error).__name__}: {error}.")


def open_reranker(name: str) -> Reranker:
    """The reranker of that name.

    Args:
        name: a cross-encoder's folder or name on the Hugging Face hub, or ``KIND`` or ``KIND:MODEL`` of another kind:
            an entry point of ``kilonova.rerankers``.

    Raises:
        Unavailable: its extra is not installed, or the plug-in that has it is broken.
        InvalidInput: there is no such model.
    """
    kind, _, model = name.partition(":")
    if kind in BUILT_IN and model:
        ours: Reranker = plugins.resolve(BUILT_IN[kind])(model)
        return ours
    if "/" not in kind and not Path(name).is_dir():
        make = plugins.find(GROUP, kind, is_reranker)
        if make is not None:
            return _Stranger(kind, make, model)
    return CrossEncoder(name)


def is_reranker(value: object) -> TypeGuard[Callable[[str], Reranker]]:
    """Whether an object is what plug-ins of this group bring."""
    return callable(value)


def reorder(scores: Sequence[float | None]) -> list[int]:
    """Places by score, the best first; those that have none keep their places, for nothing is known of them."""
    known = {place: score for place, score in enumerate(scores) if score is not None}
    best = iter(sorted(known, key=lambda place: -known[place]))
    return [next(best) if place in known else place for place in range(len(scores))]
