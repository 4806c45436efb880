"""The collections of this machine, whoever has them open: a server that does is asked over HTTP."""

from __future__ import annotations

from collections.abc import Collection as Several
from collections.abc import Iterator, Sequence

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

    def _at(self, name: str) -> VectorStore:
        try:
            self._own.open(name)
        except Owned as owned:
            if not owned.url:
                raise
            return self._servers.setdefault(owned.url, Remote(owned.url, self._credential))
        return self._own

    def create(self, collection: Collection) -> None:
        self._own.create(collection)

    def drop(self, name: str) -> None:
        try:
            self._own.drop(name)  # also what cannot be opened
        except Owned:
            self._at(name).drop(name)

    def collections(self) -> list[Collection]:
        return self._own.collections()

    def faults(self) -> dict[str, str]:
        return self._own.faults()

    def find(self, name: str) -> Collection:
        return self._own.find(name)

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        self._at(name).upsert(name, points)

    def delete(self, name: str, ids: Several[str]) -> None:
        self._at(name).delete(name, ids)

    def scroll(self, name: str, where: Filter | None = None, *, vectors: bool = True) -> Iterator[Point]:
        return self._at(name).scroll(name, where, vectors=vectors)

    def get(self, name: str, ids: Sequence[str]) -> list[Point]:
        return self._at(name).get(name, ids)

    def count(self, name: str, where: Filter | None = None) -> int:
        return self._at(name).count(name, where)

    def nearest(
        self, name: str, vector: np.ndarray, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Match]:
        return self._at(name).nearest(name, vector, k, where, exact=exact)

    def lexical(self, name: str, text: str, k: int, where: Filter | None = None) -> list[Match]:
        return self._at(name).lexical(name, text, k, where)

    def optimize(self, name: str) -> None:
        self._at(name).optimize(name)

    def close(self) -> None:
        for server in self._servers.values():
            server.close()
        self._own.close()
