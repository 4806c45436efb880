"""Amazon S3 Vectors: a vector bucket, an index kilonova-… for each collection, whose tags say what it was made with.

A vector's metadata has the payload and the words as they were given in ``_payload`` and ``_text``; for filters, of
which S3 Vectors takes 2 KB, ``n.…`` and ``t.…`` of ``filters.flat`` and hashes of its ``has`` in ``_has``; for BM25
(indexes of the ENHANCED mode have it) hashes of the words' terms in ``_terms``, which no analyzer takes apart.

There is no dot product, nothing is counted (counting lists all), and a write of more than 500 points is several.
Credentials, region and endpoint come from the standard AWS variables and files.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import Any

import boto3
import botocore.exceptions
import numpy as np
from botocore.config import Config

from kilonova.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from kilonova.stores import lexical
from kilonova.stores.backends.servers import Fault, ServerStore
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters import flat
from kilonova.stores.filters.tree import Filter, matches

__all__ = ["S3Vectors", "open_store"]

_PREFIX, _TAG = "kilonova-", "kilonova:"
_METRICS = {Metric.COSINE: "cosine", Metric.EUCLID: "euclidean"}
_PUT, _GET, _LIST, _FOUND = 500, 100, 1_000, 100  # the service takes and gives so many at once
_ASKED = 100  # terms of a query: its text has 1,024 characters at most
_OPERATORS = {"<": "$lt", "<=": "$lte", ">": "$gt", ">=": "$gte"}

_GONE, _TAKEN = ("NotFoundException",), ("ConflictException",)
_FAILED = ("ServiceUnavailableException", "TooManyRequestsException", "InternalServerException")
_UNREACHABLE = "S3 Vectors cannot be reached: {}."


def _has_code(codes: Sequence[str]) -> Callable[[Any], bool]:
    return lambda error: error.response["Error"]["Code"] in codes


class S3Vectors(ServerStore):
    """Collections of a vector bucket, which is made with the first one.

    Args:
        client: of boto3 for ``s3vectors``.
        bucket: the vector bucket's name.
    """

    metrics = frozenset(_METRICS)
    table = (
        Fault(botocore.exceptions.ClientError, NotFound, "S3 Vectors has it no more: {}.", when=_has_code(_GONE)),
        Fault(botocore.exceptions.ClientError, AlreadyExists, "S3 Vectors: {}.", when=_has_code(_TAKEN)),
        Fault(botocore.exceptions.ClientError, Unavailable, "S3 Vectors failed: {}.", "Try again.", _has_code(_FAILED)),
        Fault(botocore.exceptions.ClientError, InvalidInput, "S3 Vectors refused: {}."),
        Fault(botocore.exceptions.BotoCoreError, Unavailable, _UNREACHABLE, "Check the AWS variables."),
        Fault(OSError, Unavailable, _UNREACHABLE, "Check the AWS variables."),
    )

    def __init__(self, client: Any, bucket: str) -> None:
        super().__init__()
        self._client, self._bucket = client, bucket

    def _create(self, collection: Collection) -> None:
        with suppress(AlreadyExists):
            self.call(self._client.create_vector_bucket, vectorBucketName=self._bucket)
        self.call(
            self._client.create_index,
            **self._at(collection.name),
            dataType="float32",
            dimension=collection.dimension,
            distanceMetric=_METRICS[collection.metric],
            metadataConfiguration={
                "nonFilterableMetadataKeys": ["_payload", "_text", "_terms"],
                "textSearchConfigurations": [{"metadataKey": "_terms"}],
            },
            tags={f"{_TAG}{name}": str(value) for name, value in collection.facts.items()},
        )
        self.call(self._client.update_index_mode, **self._at(collection.name), indexMode="ENHANCED")

    def _drop(self, name: str) -> None:
        self.forget(name)
        self.call(self._client.delete_index, **self._at(name))

    def _collections(self) -> list[Collection]:
        try:
            indexes = list(
                self._pages(self._client.list_indexes, "indexes", vectorBucketName=self._bucket, prefix=_PREFIX)
            )
        except NotFound:
            return []  # no bucket yet
        found = []
        for index in indexes:
            tags = self.call(self._client.list_tags_for_resource, resourceArn=index["indexArn"])["tags"]
            facts = {name.removeprefix(_TAG): value for name, value in tags.items() if name.startswith(_TAG)}
            if facts:
                found.append(Collection.of(facts))
        return found

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        for first in range(0, len(points), _PUT):
            vectors = [_vector(point) for point in points[first : first + _PUT]]
            self.call(self._client.put_vectors, **self._at(collection.name), vectors=vectors)

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        keys = [_key(one) for one in ids]
        for first in range(0, len(keys), _PUT):
            self.call(self._client.delete_vectors, **self._at(collection.name), keys=keys[first : first + _PUT])

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        asked = {**self._at(collection.name), "returnData": vectors, "returnMetadata": True, "maxResults": _LIST}
        for one in self._pages(self._client.list_vectors, "vectors", **asked):
            point = _point(one)
            if where is None or matches(where, point.payload):
                yield point

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        points: list[Point] = []
        for first in range(0, len(ids), _GET):
            keys = [_key(one) for one in ids[first : first + _GET]]
            found = self.call(
                self._client.get_vectors, **self._at(collection.name), keys=keys, returnData=True, returnMetadata=True
            )
            points += map(_point, found["vectors"])
        return points

    def _count(self, collection: Collection, where: Filter | None) -> int:
        if where is not None:
            return sum(1 for _ in self._scroll(collection, where, vectors=False))
        return sum(
            1 for _ in self._pages(self._client.list_vectors, "vectors", **self._at(collection.name), maxResults=_LIST)
        )

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        if exact:
            return self.compared(collection, vector, k, where)
        query = {"queryVector": {"float32": vector.tolist()}, "returnDistance": True}
        found = self._query(collection.name, k, where, query)
        if collection.metric is Metric.EUCLID:
            return [Match(*_own(one), distance=float(one["distance"])) for one in found]
        return [Match(*_own(one), score=1.0 - float(one["distance"])) for one in found]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        terms = _terms(lexical.query_terms(text)[:_ASKED])
        query = {"queryTexts": [{"text": terms, "metadataKey": "_terms"}], "returnScores": True}
        found = self._query(collection.name, k, where, query)
        return [Match(*_own(one), score=float(one["scores"]["bm25Scores"][0]["score"])) for one in found]

    def close(self) -> None:
        self._client.close()

    def _at(self, name: str) -> dict[str, str]:
        digest = hashlib.blake2b(name.encode(), digest_size=16).hexdigest()
        return {"vectorBucketName": self._bucket, "indexName": f"{_PREFIX}{digest}"}

    def _query(self, name: str, k: int, where: Filter | None, query: dict[str, Any]) -> list[dict[str, Any]]:
        if where is not None:
            query["filter"] = flat.translate(where, _TERMS)
        asked = {**self._at(name), **query, "topK": min(k, _FOUND), "returnMetadata": True}
        return list(islice(self._pages(self._client.query_vectors, "vectors", **asked), k))

    def _pages(self, operation: Callable[..., Any], field: str, **arguments: Any) -> Iterator[dict[str, Any]]:
        while True:
            found = self.call(operation, **arguments)
            yield from found[field]
            if not found.get("nextToken"):
                return
            arguments["nextToken"] = found["nextToken"]


def open_store(where: str) -> S3Vectors:
    """The store in a vector bucket, see ``stores.registry``."""
    config = Config(retries={"mode": "standard", "max_attempts": 5}, connect_timeout=5, read_timeout=60)
    return S3Vectors(boto3.session.Session().client("s3vectors", config=config), where)


def _digest(word: str) -> str:
    return hashlib.blake2b(word.encode(), digest_size=6).hexdigest()


def _terms(terms: Sequence[str]) -> str:
    return " ".join(f"t{lexical.key(term):08x}" for term in terms)


def _key(name: str) -> str:
    return name if len(name.encode()) <= 1_024 else hashlib.blake2b(name.encode()).hexdigest()


def _vector(point: Point) -> dict[str, Any]:
    has, ordered = flat.flatten(point.payload)
    metadata: dict[str, Any] = {
        "_payload": json.dumps({"id": point.id, "payload": dict(point.payload)}, ensure_ascii=False),
        "_has": [_digest(word) for word in ["", *has]],  # never empty, so that "has not" finds those without a payload
        **ordered,
    }
    if point.text:
        metadata |= {"_text": point.text, "_terms": _terms(lexical.terms(point.text))}
    return {"key": _key(point.id), "data": {"float32": point.vector.tolist()}, "metadata": metadata}


def _own(found: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    kept = json.loads(found["metadata"]["_payload"])
    return kept["id"], kept["payload"]


def _point(found: dict[str, Any]) -> Point:
    name, payload = _own(found)
    vector = np.array(found.get("data", {}).get("float32", ()), np.float32)
    return Point(name, vector, payload, found["metadata"].get("_text", ""))


_TERMS = flat.Terms(
    every=lambda parts: {"$and": parts},
    some=lambda parts: {"$or": parts},
    has=lambda word: {"_has": {"$eq": _digest(word)}},
    lacks=lambda word: {"_has": {"$nin": [_digest(word)]}},
    compare=lambda name, relation, bound: {name: {_OPERATORS[relation]: bound}},
)
