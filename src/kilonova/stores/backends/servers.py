"""What stores outside this process have in common."""

from __future__ import annotations

import heapq

import numpy as np

from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore
from kilonova.stores.filters.tree import Filter

__all__ = ["ServerStore"]


class ServerStore(VectorStore):
    """Asks once what a collection was made with: that does not change."""

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
        """Ask again the next time."""
        self._known.pop(name, None)

    def compared(self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None) -> list[Match]:
        """The nearest points by fetching and comparing all, for stores that always ask their index."""

        def nearness(point: Point) -> float:
            if collection.metric is Metric.EUCLID:
                return -float(np.linalg.norm(point.vector - vector))
            lengths = np.linalg.norm(point.vector) * np.linalg.norm(vector)
            return float(point.vector @ vector) / (float(lengths) or 1.0 if collection.metric is Metric.COSINE else 1.0)

        found = heapq.nlargest(
            k, ((nearness(one), one.id, one) for one in self._scroll(collection, where, vectors=True))
        )
        if collection.metric is Metric.EUCLID:
            return [Match(name, dict(point.payload), distance=-near) for near, name, point in found]
        return [Match(name, dict(point.payload), score=near) for near, name, point in found]
