"""What is looked for, and what was found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any

import numpy as np

from kilonova.errors import InvalidInput
from kilonova.media.content import Content, Encoded
from kilonova.segments.files import Kind
from kilonova.stores.filters.tree import Compare, Filter, In

__all__ = ["UNLIKE", "Fusion", "Hit", "Mode", "Query", "kind_filter"]

#: Weight of words that hits should not be like.
UNLIKE = -0.5


class Mode(StrEnum):
    """How hits are found: by vectors, by keywords (BM25), or by both."""

    HYBRID = "hybrid"
    VECTOR = "vector"
    KEYWORD = "keyword"


class Fusion(StrEnum):
    """How hits by vectors and by keywords are put together: by weighted scores, or by reciprocal ranks."""

    WEIGHTS = "weights"
    RANKS = "ranks"


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        contents: what hits should be like, with weights; a weight below zero is what they should not be like.
        vector: of the collection's dimension, instead of contents.
        kinds: which kinds of files are searched; () is all.
        where: a filter on payloads.
        limit: hits at most.
        mode: how they are found. Keywords are taken from the texts among the contents.
        fusion: how both are put together.
        min_similarity: that a hit must have at least.
        diversity: 0 to 1, see ``fusion.diverse_order``.
        group_by_file: one hit for each file, with its best moments.
        relevant, irrelevant: ids of points that earlier hits were right or wrong in.
        exact: compare with every point instead of asking the index.
    """

    contents: Sequence[tuple[Content | Encoded, float]] = ()
    vector: np.ndarray | None = None
    kinds: tuple[Kind, ...] = ()
    where: Filter | None = None
    limit: int = 10
    mode: Mode = Mode.HYBRID
    fusion: Fusion = Fusion.WEIGHTS
    min_similarity: float | None = None
    diversity: float = 0.0
    group_by_file: bool = True
    relevant: Sequence[str] = ()
    irrelevant: Sequence[str] = ()
    exact: bool = False

    def __post_init__(self) -> None:
        """Raises ``InvalidInput`` where a number is out of bounds."""
        if self.limit < 1:
            raise InvalidInput(f"A search gives at least 1 hit; limit is {self.limit}.")
        if not 0 <= self.diversity <= 1:
            raise InvalidInput(f"diversity lies between 0 and 1; it is {self.diversity:g}.")


@dataclass(frozen=True)
class Hit:
    """A file or a point that was found.

    Attributes:
        id: of its best point.
        score: what it is ranked by; higher is better.
        payload: of its best point.
        similarity: cosine or dot product with the query, None where only keywords found it.
        distance: the same where the collection compares by Euclid's distance; lower is better.
        moments: the other points of its file that were found, best first: their ids, scores and places.
        before: its rank without ``relevant`` and ``irrelevant``, 0 where it was no hit; None where there is no
            feedback.
        local: whether its file, if there is one, lies on this machine.

    Example:
        >>> hit = Hit("/photos/cat.jpg#0", 3.2, {"uri": "/photos/cat.jpg", "kind": "image"}, similarity=0.31)
        >>> hit.uri, hit.kind
        ('/photos/cat.jpg', 'image')
    """

    id: str
    score: float
    payload: Mapping[str, Any]
    similarity: float | None = None
    distance: float | None = None
    moments: Sequence[Mapping[str, Any]] = field(default=())
    before: int | None = None
    local: bool = True

    @property
    def uri(self) -> str:
        """Of its file, "" of a point that belongs to none."""
        return str(self.payload.get("uri", ""))

    @property
    def kind(self) -> str:
        """Of its file: text, document, image, audio or video; "" where that is not known."""
        return str(self.payload.get("kind", ""))

    def as_dict(self) -> dict[str, Any]:
        """The hit as JSON values, without what does not apply to it."""
        found: dict[str, Any] = {"id": self.id, "score": round(self.score, 6)}
        for name in ("similarity", "distance", "before"):
            value = getattr(self, name)
            if value is not None:
                found[name] = round(value, 6)
        return {**found, "payload": dict(self.payload), "moments": list(self.moments)}

    def _repr_html_(self) -> str:
        from kilonova.search.show import hit_html

        return hit_html(self)


def kind_filter(kinds: Sequence[Kind]) -> Filter | None:
    """The filter that lets these kinds through; None for ()."""
    if not kinds:
        return None
    return Compare("kind", "=", str(kinds[0])) if len(kinds) == 1 else In("kind", tuple(map(str, kinds)))
