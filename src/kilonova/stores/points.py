"""What stores hold and give: collections, points, matches; and the errors about collections."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np

from kilonova.errors import AlreadyExists, NotFound

__all__ = ["Collection", "Match", "Metric", "Point", "missing", "taken"]


class Metric(StrEnum):
    """How vectors are compared."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLID = "euclid"


@dataclass(frozen=True)
class Collection:
    """What a collection was made with: its name, the model and dimension of its vectors, and how they are compared."""

    name: str
    model: str
    dimension: int
    metric: Metric = Metric.COSINE

    @property
    def facts(self) -> dict[str, str | int]:
        """The same as JSON."""
        return {"name": self.name, "model": self.model, "dimension": self.dimension, "metric": str(self.metric)}

    @classmethod
    def of(cls, facts: Mapping[str, Any]) -> Self:
        """A collection from its ``facts``."""
        return cls(facts["name"], facts["model"], int(facts["dimension"]), Metric(facts["metric"]))


@dataclass(frozen=True, eq=False)
class Point:
    """A vector float32 [dimension] under an id, what is known of it (JSON values), and the words that BM25 finds it by.

    Stores that compare by cosine may give the vector back at length one.
    """

    id: str
    vector: np.ndarray
    payload: Mapping[str, Any] = field(default_factory=dict)
    text: str = ""


@dataclass(frozen=True)
class Match:
    """A point that was found: by ``score`` where higher is better, by ``distance`` where lower is."""

    id: str
    payload: Mapping[str, Any]
    score: float | None = None
    distance: float | None = None


def missing(name: str, there: Sequence[Collection]) -> NotFound:
    """The error that there is no collection of a name; it says which there are."""
    names = ", ".join(one.name for one in there)
    return NotFound(
        f"There is no collection {name}.", f"There are: {names}." if names else "Make one: kilonova index FOLDER."
    )


def taken(name: str) -> AlreadyExists:
    """The error that there is a collection of a name."""
    return AlreadyExists(f"There is a collection {name} already.")
