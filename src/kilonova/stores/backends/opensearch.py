"""OpenSearch (opensearch.org) with its k-NN plugin.

An index kilonova-… for each collection, with what it was made with in its mapping's ``_meta``. A document has the
point's ``id``, ``payload`` and ``text`` as they were given, its ``vector``, its words as ``terms`` with blanks between
(BM25 is OpenSearch's own), and for filters ``has`` and, nested by name and value, ``ordered`` (``filters.flat``).

How OpenSearch scores neighbours: docs.opensearch.org/latest/vector-search/specialized-operations/ and its
"spaces" page; ``_similarity`` undoes it. A bulk write is no transaction there: what fails is reported, the rest stays.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
from opensearchpy import OpenSearch, exceptions, helpers

from kilonova.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from kilonova.stores import lexical
from kilonova.stores.backends.qdrant_data import uuid_of
from kilonova.stores.backends.servers import Fault, ServerStore
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters import flat
from kilonova.stores.filters.tree import Filter

__all__ = ["Opensearch", "open_store"]

_PAGE, _SECONDS = 1_000, 120
_MOST_BYTES = 50 << 20  # of a bulk request; servers take 100 MB
_PREFIX = "kilonova-"
_SPACES = {Metric.COSINE: "cosinesimil", Metric.DOT: "innerproduct", Metric.EUCLID: "l2"}
_LOOK = 96  # candidates that a search of the graph keeps
_RANGES = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}
_OWN = ["id", "payload", "text"]


class Opensearch(ServerStore):
    """Collections of a cluster.

    Args:
        client: of OpenSearch.
    """

    table = (
        Fault(exceptions.ConnectionError, Unavailable, "OpenSearch cannot be reached: {}.", "Is its URL right?"),
        Fault(exceptions.NotFoundError, NotFound, "OpenSearch has it no more: {}."),
        Fault(
            exceptions.RequestError, AlreadyExists, "OpenSearch: {}.",
            when=lambda error: error.error == "resource_already_exists_exception",
        ),
        Fault(
            exceptions.TransportError, Unavailable, "OpenSearch failed: {}.", "Try again.",
            when=lambda error: isinstance(error.status_code, int) and error.status_code >= 500,
        ),
        Fault(exceptions.TransportError, InvalidInput, "OpenSearch refused: {}."),
        Fault(exceptions.OpenSearchException, Unavailable, "OpenSearch failed: {}."),
    )  # fmt: skip

    def __init__(self, client: OpenSearch) -> None:
        super().__init__()
        self._client = client

    def _has(self, name: str) -> bool:
        return bool(self.call(self._client.indices.exists, index=_called(name)))

    def _create(self, collection: Collection) -> None:
        self.call(self._client.indices.create, index=_called(collection.name), body=_index(collection))

    def _drop(self, name: str) -> None:
        self.forget(name)
        self.call(self._client.indices.delete, index=_called(name))

    def _collections(self) -> list[Collection]:
        found = self.call(self._client.indices.get_mapping, index=f"{_PREFIX}*")
        every = [one["mappings"].get("_meta", {}).get("kilonova") for one in found.values()]
        return [Collection.of(one) for one in every if one]

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        lines: list[str] = []
        size = 0
        for point in points:
            pair = [json.dumps({"index": {"_id": uuid_of(point.id)}}), json.dumps(_document(point), ensure_ascii=False)]
            if lines and size + len(pair[1]) > _MOST_BYTES:
                self._bulk(collection.name, lines)
                lines, size = [], 0
            lines += pair
            size += len(pair[1])
        self._bulk(collection.name, lines)

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self._bulk(collection.name, [json.dumps({"delete": {"_id": uuid_of(one)}}) for one in ids])

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        body = {"query": _filter(where), "_source": [*_OWN, "vector"] if vectors else _OWN}
        found = helpers.scan(self._client, query=body, index=_called(collection.name), size=_PAGE)
        while True:
            try:
                hit = self.call(next, found)
            except StopIteration:
                return
            yield _point(hit["_source"])

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        points: list[Point] = []
        for first in range(0, len(ids), _PAGE):
            some = {"ids": [uuid_of(one) for one in ids[first : first + _PAGE]]}
            found = self.call(self._client.mget, body=some, index=_called(collection.name))["docs"]
            points += [_point(one["_source"]) for one in found if one["found"]]
        return points

    def _count(self, collection: Collection, where: Filter | None) -> int:
        return int(
            self.call(self._client.count, index=_called(collection.name), body={"query": _filter(where)})["count"]
        )

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        if exact:
            params = {"field": "vector", "query_value": vector.tolist(), "space_type": _SPACES[collection.metric]}
            script = {"source": "knn_score", "lang": "knn", "params": params}
            query: dict[str, Any] = {"script_score": {"query": _filter(where), "script": script}}
        else:
            asked: dict[str, Any] = {"vector": vector.tolist(), "k": max(k, _LOOK)}
            if where is not None:
                asked["filter"] = _filter(where)
            query = {"knn": {"vector": asked}}
        found = [
            (hit, _similarity(collection.metric, hit["_score"], exact))
            for hit in self._search(collection.name, query, k)
        ]
        if collection.metric is Metric.EUCLID:
            return [Match(hit["_source"]["id"], hit["_source"]["payload"], distance=value) for hit, value in found]
        return [Match(hit["_source"]["id"], hit["_source"]["payload"], score=value) for hit, value in found]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        asked = {"match": {"terms": {"query": " ".join(lexical.query_terms(text)), "operator": "or"}}}
        hits = self._search(collection.name, {"bool": {"must": [asked], "filter": [_filter(where)]}}, k)
        return [Match(hit["_source"]["id"], hit["_source"]["payload"], score=float(hit["_score"])) for hit in hits]

    def close(self) -> None:
        self._client.close()

    def _search(self, name: str, query: dict[str, Any], k: int) -> list[dict[str, Any]]:
        body = {"size": k, "query": query, "_source": _OWN}
        found: list[dict[str, Any]] = self.call(self._client.search, index=_called(name), body=body)["hits"]["hits"]
        return found

    def _bulk(self, name: str, lines: Sequence[str]) -> None:
        if not lines:
            return
        answer = self.call(self._client.bulk, body="\n".join(lines) + "\n", index=_called(name), refresh="true")
        for one in answer["items"] if answer["errors"] else ():
            ((_, said),) = one.items()
            if "error" in said:
                raise InvalidInput(f"OpenSearch refused a point: {said['error'].get('reason', said['error'])}.")


def open_store(where: str) -> Opensearch:
    """The cluster at a URL, see ``stores.registry``; user and password may stand in it."""
    return Opensearch(OpenSearch(hosts=[where], timeout=_SECONDS))


def _called(name: str) -> str:
    """Names of indexes have no capitals."""
    return _PREFIX + "".join(f".{one.lower()}" if one != one.lower() else one for one in name)


def _index(collection: Collection) -> dict[str, Any]:
    method = {
        "name": "hnsw",
        "engine": "lucene",
        "space_type": _SPACES[collection.metric],
        "parameters": {"m": 16, "ef_construction": 128},
    }
    properties = {
        "id": {"type": "keyword", "index": False, "doc_values": False},
        "payload": {"type": "object", "enabled": False},
        "text": {"type": "text", "index": False},
        "terms": {"type": "text", "analyzer": "whitespace"},
        "has": {"type": "keyword"},
        "ordered": {"type": "nested", "properties": {"name": {"type": "keyword"}, "value": {"type": "double"}}},
        "vector": {"type": "knn_vector", "dimension": collection.dimension, "method": method},
    }
    mappings = {"dynamic": "strict", "_meta": {"kilonova": collection.facts}, "properties": properties}
    return {"settings": {"index": {"knn": True}}, "mappings": mappings}


def _document(point: Point) -> dict[str, Any]:
    has, ordered = flat.flatten(point.payload)
    return {
        "id": point.id,
        "payload": dict(point.payload),
        "text": point.text,
        "terms": " ".join(lexical.terms(point.text)),
        "has": has,
        "ordered": [{"name": name, "value": value} for name, value in ordered.items()],
        "vector": point.vector.tolist(),
    }


def _point(source: dict[str, Any]) -> Point:
    return Point(source["id"], np.array(source.get("vector", ()), np.float32), source["payload"], source["text"])


def _compared(name: str, relation: str, bound: float) -> dict[str, Any]:
    parts = [{"term": {"ordered.name": name}}, {"range": {"ordered.value": {_RANGES[relation]: bound}}}]
    return {"nested": {"path": "ordered", "query": {"bool": {"filter": parts}}}}


_TERMS = flat.Terms(
    every=lambda parts: {"bool": {"filter": parts}},
    some=lambda parts: {"bool": {"should": parts, "minimum_should_match": 1}},
    has=lambda word: {"term": {"has": word}},
    lacks=lambda word: {"bool": {"must_not": [{"term": {"has": word}}]}},
    compare=_compared,
)


def _filter(where: Filter | None) -> dict[str, Any]:
    return {"match_all": {}} if where is None else flat.translate(where, _TERMS)


def _similarity(metric: Metric, score: float, exact: bool) -> float:
    """Cosine, dot product or distance from OpenSearch's score, which is never below zero."""
    if metric is Metric.EUCLID:
        return float(max(0.0, 1.0 / score - 1.0) ** 0.5)
    if metric is Metric.DOT:
        return score - 1.0 if score >= 1.0 else 1.0 - 1.0 / score
    return score - 1.0 if exact else 2.0 * score - 1.0
