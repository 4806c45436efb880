"""A Qdrant server or cluster (qdrant.tech), with the same points as the embedded one.

What a collection was made with stands in Qdrant's metadata of it; collections without it are somebody else's and are
left alone. The key of a server that wants one is taken from ``QDRANT_API_KEY``.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from qdrant_client import QdrantClient, models
from qdrant_client.http.exceptions import ResponseHandlingException, UnexpectedResponse

from kilonova.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from kilonova.stores import lexical
from kilonova.stores.backends import qdrant_data as data
from kilonova.stores.backends.servers import Fault, ServerStore
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters.tree import Filter

__all__ = ["QdrantServer", "open_store"]

_PAGE, _SECONDS = 1_000, 120
_FACTS = "kilonova"
_DISTANCES = {
    Metric.COSINE: models.Distance.COSINE,
    Metric.DOT: models.Distance.DOT,
    Metric.EUCLID: models.Distance.EUCLID,
}


def _between(field: str, bounds: dict[str, float]) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.Range(**bounds))


def _when(field: str, bounds: dict[str, str]) -> models.FieldCondition:
    return models.FieldCondition(key=field, range=models.DatetimeRange.model_validate(bounds))


_TERMS = data.QdrantTerms(
    both=models.Filter,
    equal=lambda field, value: models.FieldCondition(key=field, match=models.MatchValue(value=value)),
    between=_between,
    when=_when,
    empty=lambda field: models.IsEmptyCondition(is_empty=models.PayloadField(key=field)),
)


class QdrantServer(ServerStore):
    """Collections of a server.

    Args:
        client: of Qdrant, connected.
    """

    table = (
        Fault(ResponseHandlingException, Unavailable, "Qdrant cannot be reached: {}.", "Is its URL right?"),
        Fault(
            UnexpectedResponse, NotFound, "Qdrant has it no more: {}.", when=lambda error: error.status_code == 404
        ),
        Fault(UnexpectedResponse, AlreadyExists, "Qdrant: {}.", when=lambda error: error.status_code == 409),
        Fault(
            UnexpectedResponse, Unavailable, "Qdrant failed: {}.", "Try again.",
            when=lambda error: (error.status_code or 0) >= 500,
        ),
        Fault(UnexpectedResponse, InvalidInput, "Qdrant refused: {}.", "QDRANT_API_KEY holds its key."),
    )  # fmt: skip

    def __init__(self, client: QdrantClient) -> None:
        super().__init__()
        self._client = client

    def _has(self, name: str) -> bool:
        return bool(self.call(self._client.collection_exists, name))  # somebody else's, too

    def _create(self, collection: Collection) -> None:
        self.call(
            self._client.create_collection,
            collection.name,
            vectors_config={
                "dense": models.VectorParams(size=collection.dimension, distance=_DISTANCES[collection.metric])
            },
            sparse_vectors_config={"text": models.SparseVectorParams(modifier=models.Modifier.IDF)},
            metadata={_FACTS: collection.facts},
        )
        keyword = models.PayloadSchemaType.KEYWORD
        self.call(self._client.create_payload_index, collection.name, data.INDEXED, keyword, wait=True)

    def _drop(self, name: str) -> None:
        self.forget(name)
        self.call(self._client.delete_collection, name)

    def _collections(self) -> list[Collection]:
        found = []
        for one in self.call(self._client.get_collections).collections:
            facts = (self.call(self._client.get_collection, one.name).config.metadata or {}).get(_FACTS)
            if facts:
                found.append(Collection.of(facts))
        return found

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        self.call(self._client.upsert, collection.name, [_point(one) for one in points], wait=True)

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self.call(self._client.delete, collection.name, [data.uuid_of(one) for one in ids], wait=True)

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        offset = None
        while True:
            records, offset = self.call(
                self._client.scroll,
                collection.name,
                scroll_filter=data.translate(where, _TERMS),
                limit=_PAGE,
                offset=offset,
                with_vectors=["dense"] if vectors else False,
            )
            yield from map(_back, records)
            if offset is None:
                return

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        found: list[Point] = []
        for first in range(0, len(ids), _PAGE):
            some = [data.uuid_of(one) for one in ids[first : first + _PAGE]]
            found += map(_back, self.call(self._client.retrieve, collection.name, some, with_vectors=["dense"]))
        return found

    def _count(self, collection: Collection, where: Filter | None) -> int:
        return int(self.call(self._client.count, collection.name, data.translate(where, _TERMS), exact=True).count)

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        params = models.SearchParams(exact=exact)
        far = collection.metric is Metric.EUCLID
        return self._ask(collection.name, vector.tolist(), "dense", k, where, params, far)

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        wanted = lexical.query_weights(text)
        query = models.SparseVector(indices=list(wanted), values=list(wanted.values()))
        return [one for one in self._ask(collection.name, query, "text", k, where) if (one.score or 0.0) > 0]

    def close(self) -> None:
        self._client.close()

    def _ask(
        self,
        name: str,
        query: Any,
        using: str,
        k: int,
        where: Filter | None,
        params: models.SearchParams | None = None,
        far: bool = False,
    ) -> list[Match]:
        asked = {"using": using, "limit": k, "query_filter": data.translate(where, _TERMS), "search_params": params}
        found = self.call(self._client.query_points, name, query, **asked)
        return [data.match(one.payload, one.score, far) for one in found.points]


def open_store(where: str) -> QdrantServer:
    """The server at a URL, see ``stores.registry``."""
    return QdrantServer(QdrantClient(url=where, api_key=os.environ.get("QDRANT_API_KEY"), timeout=_SECONDS))


def _point(point: Point) -> models.PointStruct:
    vectors: dict[str, Any] = {"dense": point.vector.tolist()}
    if found := lexical.weights(point.text):
        vectors["text"] = models.SparseVector(indices=list(found), values=list(found.values()))
    return models.PointStruct(id=data.uuid_of(point.id), vector=vectors, payload=data.payload_of(point))


def _back(record: models.Record) -> Point:
    name, text, payload = data.own(record.payload)
    vectors = record.vector if isinstance(record.vector, dict) else {}
    return Point(name, np.array(vectors.get("dense", ()), np.float32), payload, text)
