"""The contract of a vector store. Shared tests hold every store to it (``tests/stores``)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection as Several
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Self

import numpy as np

from kilonova.errors import KilonovaError, NotFound
from kilonova.stores.filters.tree import Filter

__all__ = ["Collection", "Match", "Metric", "Point", "VectorStore", "missing"]


class Metric(StrEnum):
    """How vectors are compared."""

    COSINE = "cosine"
    DOT = "dot"
    EUCLID = "euclid"


@dataclass(frozen=True)
class Collection:
    """What a collection was made with: its name, the model and length of its vectors, and how they are compared."""

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


class VectorStore(ABC):
    """Collections of points. Methods may be called from any thread; those that are given a name raise ``NotFound``
    where no collection has it, ``Unavailable`` where the store cannot be reached or another process owns it."""

    #: How it can compare; ``create`` refuses other metrics.
    metrics: frozenset[Metric] = frozenset(Metric)

    @abstractmethod
    def create(self, collection: Collection) -> None:
        """Make an empty collection. Raises ``InvalidInput`` where there is one of that name."""

    @abstractmethod
    def drop(self, name: str) -> None:
        """Delete a collection and everything in it."""

    @abstractmethod
    def collections(self) -> list[Collection]:
        """All collections, by name."""

    def faults(self) -> dict[str, str]:
        """Why collections cannot be read, by name; ``collections`` leaves these out, ``drop`` takes them."""
        return {}

    def counts(self) -> tuple[list[tuple[Collection, int | None]], dict[str, str]]:
        """All collections with how many points they have, None where that cannot be read; and why, by name."""
        found: list[tuple[Collection, int | None]] = []
        faults = self.faults()
        for one in self.collections():
            try:
                found.append((one, self.count(one.name)))
            except KilonovaError as fault:
                found.append((one, None))
                faults[one.name] = str(fault)
        return found, faults

    def find(self, name: str) -> Collection:
        """The collection of that name.

        Raises:
            NotFound: there is none.
        """
        every = self.collections()
        for one in every:
            if one.name == name:
                return one
        raise missing(name, every)

    @abstractmethod
    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write points, all of them or none; those of known ids are replaced. Lasting when this returns."""

    @abstractmethod
    def delete(self, name: str, ids: Several[str]) -> None:
        """Delete points; unknown ids are passed over."""

    @abstractmethod
    def scroll(self, name: str, where: Filter | None = None, *, vectors: bool = True) -> Iterator[Point]:
        """All points, or those that a filter lets through, in an order of the store's; without ``vectors`` theirs are
        empty."""

    @abstractmethod
    def get(self, name: str, ids: Sequence[str]) -> list[Point]:
        """The points of these ids that there are, in the order asked for."""

    @abstractmethod
    def count(self, name: str, where: Filter | None = None) -> int:
        """How many points there are."""

    @abstractmethod
    def nearest(
        self, name: str, vector: np.ndarray, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Match]:
        """The ``k`` points nearest to a vector, best first; ``exact`` compares with every point."""

    @abstractmethod
    def lexical(self, name: str, text: str, k: int, where: Filter | None = None) -> list[Match]:
        """The ``k`` points whose words fit best by BM25, best first; none that share no word."""

    @abstractmethod
    def optimize(self, name: str) -> None:
        """Build the index after much was written; searching works before, too, only slower."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""
