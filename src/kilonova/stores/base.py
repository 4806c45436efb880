"""The contract of a vector store: ``VectorStore`` checks everything once; backends implement what begins with ``_``."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection as Several
from collections.abc import Iterable, Iterator, Sequence
from typing import final

import numpy as np

from kilonova.errors import KilonovaError, NotFound
from kilonova.stores import checks, lexical
from kilonova.stores.filters.tree import Filter
from kilonova.stores.points import Collection, Match, Metric, Point, missing, taken

__all__ = ["Collection", "Match", "Metric", "Point", "VectorStore", "missing", "taken"]


class VectorStore(ABC):
    """Collections of points. Methods may be called from any thread. Those that are given a name raise ``NotFound``
    where no collection has it; all raise ``InvalidInput`` for what cannot be kept or asked, and ``Unavailable`` where
    the store cannot be reached or another process owns it.

    A backend is given collections that exist, points and vectors that fit (float32, contiguous), ids that are valid,
    each once; nothing empty. How it writes its own errors is its own business, see ``backends.servers.Fault``.
    """

    #: How it can compare; ``create`` refuses other metrics.
    metrics: frozenset[Metric] = frozenset(Metric)

    @final
    def create(self, collection: Collection) -> None:
        """Make an empty collection.

        Raises:
            AlreadyExists: there is one of that name.
            InvalidInput: the name is not valid, or the store cannot compare by that metric.
        """
        checks.check_name(collection.name)
        checks.check_metric(collection, self.metrics)
        if self._has(collection.name):
            raise taken(collection.name)
        self._create(collection)

    @final
    def drop(self, name: str) -> None:
        """Delete a collection and everything in it, also one of the ``faults``."""
        try:
            self.find(name)
        except NotFound:
            raise
        except KilonovaError:
            if name not in self.faults():
                raise
        self._drop(name)

    @final
    def collections(self) -> list[Collection]:
        """All collections, by name."""
        return sorted(self._collections(), key=lambda one: one.name)

    def faults(self) -> dict[str, str]:
        """Why collections cannot be read, by name; ``collections`` leaves these out, ``drop`` takes them."""
        return {}

    @final
    def counts(self) -> tuple[list[tuple[Collection, int | None]], dict[str, str]]:
        """All collections with how many points they have, None where that cannot be read; and why, by name."""
        found: list[tuple[Collection, int | None]] = []
        faults = self.faults()
        for one in self.collections():
            try:
                found.append((one, self._count(one, None)))
            except KilonovaError as fault:
                found.append((one, None))
                faults[one.name] = str(fault)
        return found, faults

    @final
    def find(self, name: str) -> Collection:
        """The collection of that name.

        Raises:
            NotFound: there is none.
        """
        if not checks.is_name(name):
            raise missing(name, self.collections())
        return self._find(name)

    @final
    def upsert(self, name: str, points: Sequence[Point]) -> None:
        """Write points, all of them or none; those of known ids are replaced, and of several with one id the last one
        counts. Lasting when this returns."""
        points = list(map(checks.clean_point, points))
        collection = self._fitting(name, (point.vector for point in points))
        checks.check_points(collection, points)
        if points:
            self._upsert(collection, list({point.id: point for point in points}.values()))

    @final
    def delete(self, name: str, ids: Several[str]) -> None:
        """Delete points; unknown ids are passed over."""
        collection = self.find(name)
        if valid := checks.valid_ids(ids):
            self._delete(collection, valid)

    @final
    def scroll(self, name: str, where: Filter | None = None, *, vectors: bool = True) -> Iterator[Point]:
        """All points, or those that a filter lets through, in an order of the store's; without ``vectors`` theirs are
        empty."""
        yield from self._scroll(self.find(name), where, vectors=vectors)

    @final
    def get(self, name: str, ids: Sequence[str]) -> list[Point]:
        """The points of these ids that there are, in the order asked for."""
        collection = self.find(name)
        valid = checks.valid_ids(ids)
        there = {point.id: point for point in self._get(collection, valid)} if valid else {}
        return [there[one] for one in ids if one in there]

    @final
    def count(self, name: str, where: Filter | None = None) -> int:
        """How many points there are, or how many a filter lets through."""
        return self._count(self.find(name), where)

    @final
    def nearest(
        self, name: str, vector: np.ndarray, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Match]:
        """The ``k`` points nearest to a vector float32 [dimension], best first; ``exact`` compares with every point."""
        vector = checks.as_float32(vector)
        collection = self._fitting(name, [vector])
        checks.check_query(collection, vector)
        return self._nearest(collection, vector, k, where, exact=exact) if k > 0 else []

    @final
    def lexical(self, name: str, text: str, k: int, where: Filter | None = None) -> list[Match]:
        """The ``k`` points whose words fit best by BM25, best first; none that share no word."""
        collection = self.find(name)
        return self._lexical(collection, text, k, where) if k > 0 and lexical.query_terms(text) else []

    @final
    def optimize(self, name: str) -> None:
        """Build the index after much was written; searching works before, too, only slower."""
        self._optimize(self.find(name))

    def _fitting(self, name: str, vectors: Iterable[np.ndarray]) -> Collection:
        """The collection of that name; looked for again where a vector does not fit, as what is remembered may be
        old."""
        collection = self.find(name)
        if any(one.shape != (collection.dimension,) for one in vectors):
            self.forget(name)
            return self.find(name)
        return collection

    def forget(self, name: str) -> None:  # noqa: B027 (most remember nothing)
        """Look again the next time, in stores that remember what a collection was made with."""

    @abstractmethod
    def close(self) -> None:
        """Let go of everything."""

    # What a backend implements; the public methods above say what each does.

    def _has(self, name: str) -> bool:
        """Whether the name is taken; for stores that know without listing."""
        return any(one.name == name for one in self.collections())

    def _find(self, name: str) -> Collection:
        """The collection of a valid name; raises ``missing``. For stores that know without listing, or remember."""
        every = self.collections()
        for one in every:
            if one.name == name:
                return one
        raise missing(name, every)

    @abstractmethod
    def _create(self, collection: Collection) -> None:
        """Raises ``taken`` where another process was faster."""

    @abstractmethod
    def _drop(self, name: str) -> None: ...

    @abstractmethod
    def _collections(self) -> Iterable[Collection]:
        """In any order."""

    @abstractmethod
    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None: ...

    @abstractmethod
    def _delete(self, collection: Collection, ids: Sequence[str]) -> None: ...

    @abstractmethod
    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]: ...

    @abstractmethod
    def _get(self, collection: Collection, ids: Sequence[str]) -> Iterable[Point]:
        """In any order."""

    @abstractmethod
    def _count(self, collection: Collection, where: Filter | None) -> int: ...

    @abstractmethod
    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]: ...

    @abstractmethod
    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]: ...

    def _optimize(self, collection: Collection) -> None:  # noqa: B027 (stores that index by themselves have nothing to do)
        """Nothing, where a store indexes by itself."""
