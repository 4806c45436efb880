"""What stores outside this process have in common."""

from __future__ import annotations

import heapq
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar

import numpy as np

from kilonova.errors import KilonovaError, NotFound
from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore
from kilonova.stores.filters.tree import Filter
from kilonova.vectors import unit

__all__ = ["Fault", "ServerStore"]


@dataclass(frozen=True)
class Fault:
    """A row of a backend's table of errors: what its client raises, and what callers get.

    Attributes:
        theirs: the client's exception.
        ours: the error it becomes.
        message: of that; ``{}`` stands for the client's own.
        hint: what to do next.
        when: further conditions, such as a code, on the client's exception.
    """

    theirs: type[BaseException]
    ours: type[KilonovaError]
    message: str
    hint: str = ""
    when: Callable[[Any], bool] = lambda error: True


class ServerStore(VectorStore):
    """Asks once what a collection was made with: that does not change."""

    #: What the client raises and what it becomes; the first row that fits counts.
    table: ClassVar[tuple[Fault, ...]] = ()

    def __init__(self) -> None:
        self._known: dict[str, Collection] = {}

    def _find(self, name: str) -> Collection:
        if name not in self._known:
            self._known[name] = self._fetch(name)
        return self._known[name]

    def _fetch(self, name: str) -> Collection:
        """Ask for a collection; where a server can be asked for one alone."""
        return super()._find(name)

    def forget(self, name: str) -> None:
        self._known.pop(name, None)

    def call(self, work: Callable[..., Any], *arguments: Any, **more: Any) -> Any:
        """Call the client; its exceptions become ours by the ``table``."""
        try:
            return work(*arguments, **more)
        except tuple(row.theirs for row in self.table) as error:
            row = next((row for row in self.table if isinstance(error, row.theirs) and row.when(error)), None)
            if row is None:
                raise
            if row.ours is NotFound:  # something was dropped elsewhere
                self._known.clear()
            raise row.ours(row.message.format(error), row.hint) from error

    def compared(self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None) -> list[Match]:
        """The nearest points by fetching and comparing all, for stores that always ask their index."""

        def nearness(point: Point) -> float:
            if collection.metric is Metric.EUCLID:
                return -float(np.linalg.norm(point.vector - vector))
            if collection.metric is Metric.COSINE:
                return float(unit(point.vector) @ unit(vector))
            return float(point.vector @ vector)

        found = heapq.nlargest(
            k, ((nearness(one), one.id, one) for one in self._scroll(collection, where, vectors=True))
        )
        if collection.metric is Metric.EUCLID:
            return [Match(name, dict(point.payload), distance=-near) for near, name, point in found]
        return [Match(name, dict(point.payload), score=near) for near, name, point in found]
