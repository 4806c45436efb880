"""Chroma (trychroma.com), in a folder or as a server.

A record's metadata has the payload and the words as they were given in ``_payload`` and ``_text``, and for filters
``_has``, ``n.…`` and ``t.…`` of ``stores.filters.flat``.

Its document is the words' terms with blanks around each, so that ``$contains`` finds whole terms: Chroma 1.5 has no
BM25 outside its cloud, and ``lexical`` adds it up from them. Collections of ours are called kilonova-…, in Punycode.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import chromadb
import httpx
import numpy as np
from chromadb import errors
from chromadb.config import Settings

from kilonova.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from kilonova.stores import lexical
from kilonova.stores.backends.servers import Fault, ServerStore
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters import flat
from kilonova.stores.filters.tree import Filter
from kilonova.stores.owner import Owner

__all__ = ["Chroma", "open_store"]

_PAGE = 1_000
_SPACES = {Metric.COSINE: "cosine", Metric.DOT: "ip", Metric.EUCLID: "l2"}
_LOOK = 96  # candidates that a search of the graph keeps
_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}


class Chroma(ServerStore):
    """Collections of a client.

    Args:
        client: of Chroma.
        owner: of its folder, where there is one.
    """

    table = (
        Fault(errors.NotFoundError, NotFound, "Chroma: {}."),
        Fault(errors.UniqueConstraintError, AlreadyExists, "Chroma: {}."),
        Fault(errors.ChromaError, InvalidInput, "Chroma refused: {}."),
        Fault(OSError, Unavailable, "Chroma cannot be reached: {}.", "Is its address right?"),
        Fault(httpx.HTTPError, Unavailable, "Chroma cannot be reached: {}.", "Is its address right?"),
    )

    def __init__(self, client: Any, owner: Owner | None = None) -> None:
        super().__init__()
        self._client, self._owner = client, owner

    def _create(self, collection: Collection) -> None:
        hnsw = {"space": _SPACES[collection.metric], "ef_search": _LOOK, "ef_construction": 128}
        self.call(
            self._client.create_collection,
            _called(collection.name),
            metadata=collection.facts,
            configuration={"hnsw": hnsw},
            embedding_function=None,
        )

    def _drop(self, name: str) -> None:
        self.forget(name)
        self.call(self._client.delete_collection, _called(name))

    def _collections(self) -> list[Collection]:
        every = self.call(self._client.list_collections)
        return [Collection.of(one.metadata or {}) for one in every if one.name.startswith("kilonova-")]

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """See the contract; Chroma takes some thousand points at once, more are written in several goes."""
        at, most = self._at(collection), self._client.get_max_batch_size()
        for first in range(0, len(points), most):
            some = points[first : first + most]
            self.call(
                at.upsert,
                ids=[point.id for point in some],
                embeddings=[point.vector for point in some],
                metadatas=[_metadata(point) for point in some],
                documents=["".join(f" {term} " for term in lexical.terms(point.text)) for point in some],
            )

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        at = self._at(collection)
        for first in range(0, len(ids), _PAGE):
            self.call(at.delete, ids=list(ids[first : first + _PAGE]))

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        at, first = self._at(collection), 0
        include = ["metadatas", "embeddings"] if vectors else ["metadatas"]
        asked = _asked(where)
        while True:
            found = self.call(at.get, limit=_PAGE, offset=first, include=include, **asked)
            yield from _points(found)
            if len(found["ids"]) < _PAGE:
                return
            first += _PAGE

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        at = self._at(collection)
        found: list[Point] = []
        for first in range(0, len(ids), _PAGE):
            some = list(ids[first : first + _PAGE])
            found += _points(self.call(at.get, ids=some, include=["metadatas", "embeddings"]))
        return found

    def _count(self, collection: Collection, where: Filter | None) -> int:
        at = self._at(collection)
        return int(self.call(at.count)) if where is None else len(self.call(at.get, include=[], **_asked(where))["ids"])

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        if exact:  # Chroma itself always asks its graph
            return self.compared(collection, vector, k, where)
        include = ["metadatas", "distances"]
        found = self.call(
            self._at(collection).query, query_embeddings=[vector], n_results=k, include=include, **_asked(where)
        )
        hits = zip(found["ids"][0], found["metadatas"][0], found["distances"][0], strict=True)
        return [_match(collection, one, metadata, float(far)) for one, metadata, far in hits]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        at = self._at(collection)
        total = int(self.call(at.count))
        weights = lexical.query_weights(text)
        rarities: dict[int, float] = {}
        candidates: dict[str, dict[str, Any]] = {}
        for term in lexical.query_terms(text):
            spoken = {"where_document": {"$contains": f" {term} "}}
            having = self.call(at.get, include=["metadatas"], **spoken)
            rarities[lexical.key(term)] = lexical.rarity(len(having["ids"]), total)
            passed = having if where is None else self.call(at.get, include=["metadatas"], **spoken, **_asked(where))
            candidates |= zip(passed["ids"], passed["metadatas"], strict=True)
        scores = {}
        for one, metadata in candidates.items():
            own = lexical.weights(metadata["_text"])
            scores[one] = sum(weights[key] * own.get(key, 0.0) * rarity for key, rarity in rarities.items())
        best = sorted(scores, key=lambda one: (-scores[one], one))[:k]
        return [Match(one, json.loads(candidates[one]["_payload"]), score=scores[one]) for one in best]

    def close(self) -> None:
        self._client.close()
        if self._owner is not None:
            self._owner.close()

    def _at(self, collection: Collection) -> Any:
        return self.call(self._client.get_collection, _called(collection.name), embedding_function=None)


def open_store(where: str) -> Chroma:
    """The store in a folder or at a URL, see ``stores.registry``."""
    settings = Settings(anonymized_telemetry=False)
    if where.startswith(("http://", "https://")):
        url = urlsplit(where)
        secure = url.scheme == "https"
        port = url.port or (443 if secure else 8000)
        try:
            return Chroma(chromadb.HttpClient(url.hostname or "", port, ssl=secure, settings=settings))
        except ValueError as error:  # what its client makes of a server that is not there
            raise Unavailable(f"{error}", "Is its address right?") from None
    folder = Path(where).expanduser()
    folder.mkdir(parents=True, exist_ok=True)
    owner = Owner(folder, "")
    try:
        return Chroma(chromadb.PersistentClient(folder, settings), owner)
    except BaseException:
        owner.close()
        raise


def _called(name: str) -> str:
    return f"kilonova-{name.encode('punycode').decode()}-1"  # must end in a letter or digit


def _metadata(point: Point) -> dict[str, Any]:
    found: dict[str, Any] = {"_payload": json.dumps(dict(point.payload), ensure_ascii=False), "_text": point.text}
    has, ordered = flat.flatten(point.payload)
    return {**found, **ordered, **({"_has": has} if has else {})}


_TERMS = flat.Terms(
    every=lambda parts: {"$and": parts},
    some=lambda parts: {"$or": parts},
    has=lambda word: {"_has": {"$contains": word}},
    lacks=lambda word: {"_has": {"$not_contains": word}},
    compare=lambda name, relation, bound: {name: {_OPERATORS[relation]: bound}},
)


def _asked(where: Filter | None) -> dict[str, Any]:
    return {"where": flat.translate(where, _TERMS)} if where is not None else {}


def _points(found: Any) -> Iterator[Point]:
    vectors = found["embeddings"] if found["embeddings"] is not None else [()] * len(found["ids"])
    for one, metadata, vector in zip(found["ids"], found["metadatas"], vectors, strict=True):
        yield Point(one, np.array(vector, np.float32), json.loads(metadata["_payload"]), metadata["_text"])


def _match(collection: Collection, name: str, metadata: dict[str, Any], far: float) -> Match:
    """Chroma's distances are 1 - cosine, 1 - dot product, and the square of Euclid's."""
    payload = json.loads(metadata["_payload"])
    if collection.metric is Metric.EUCLID:
        return Match(name, payload, distance=max(0.0, far) ** 0.5)
    return Match(name, payload, score=1.0 - far)
