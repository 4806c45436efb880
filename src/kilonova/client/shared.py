"""The collections of this machine, whoever has them open: a server that does is asked over HTTP."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence

import numpy as np

from kilonova.client.remote import Remote
from kilonova.credentials.credential import Credential
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, Match, Point, VectorStore
from kilonova.stores.filters.tree import Filter
from kilonova.stores.owner import Owned

__all__ = ["Shared"]


class Shared(VectorStore):
    """Opens what nobody has open, and reaches the rest through the server that has.

    Args:
        own: the collections as files.
        credential: of this user, which servers of this machine know.
    """

    def __init__(self, own: QdrantEdge, credential: Credential) -> None:
        self._own, self._credential = own, credential
        self._servers: dict[str, Remote] = {}

    def _at(self, collection: Collection) -> VectorStore:
        try:
            self._own.open(collection)
        except Owned as owned:
            if not owned.url:
                raise
            if owned.url not in self._servers:
                self._servers[owned.url] = Remote(owned.url, self._credential)
            return self._servers[owned.url]
        return self._own

    def faults(self) -> dict[str, str]:
        return self._own.faults()

    def _has(self, name: str) -> bool:
        return self._own._has(name)

    def _find(self, name: str) -> Collection:
        return self._own._find(name)

    def _create(self, collection: Collection) -> None:
        self._own._create(collection)

    def _drop(self, name: str) -> None:
        try:
            self._own._drop(name)  # also what cannot be opened
        except Owned:
            self._at(self._find(name))._drop(name)

    def _collections(self) -> Iterable[Collection]:
        return self._own._collections()

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        self._at(collection)._upsert(collection, points)

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self._at(collection)._delete(collection, ids)

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        return self._at(collection)._scroll(collection, where, vectors=vectors)

    def _get(self, collection: Collection, ids: Sequence[str]) -> Iterable[Point]:
        return self._at(collection)._get(collection, ids)

    def _count(self, collection: Collection, where: Filter | None) -> int:
        return self._at(collection)._count(collection, where)

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        return self._at(collection)._nearest(collection, vector, k, where, exact=exact)

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        return self._at(collection)._lexical(collection, text, k, where)

    def _optimize(self, collection: Collection) -> None:
        self._at(collection)._optimize(collection)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._own.close()
