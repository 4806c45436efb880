"""What Amazon S3 Vectors answers to the requests that ``stores.backends.s3vectors`` makes.

Stands in for the service: boto3 checks the requests against Amazon's own model and sends them here. Limits are those
that the model or the user guide states; BM25 and filters are as the guide describes them.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np

from tests.stores.stand_in import Refused, StandIn


class S3VectorsServer(StandIn):
    """The service, with one vector bucket."""

    def __init__(self) -> None:
        super().__init__()
        self._indexes: dict[str, dict[str, Any]] = {}
        self._bucket = False

    def answer(self, method: str, path: str, query: str, body: bytes) -> dict[str, Any]:
        operation = path.strip("/")
        return self._done(operation, json.loads(body or b"{}"))

    def _done(self, operation: str, body: dict[str, Any]) -> dict[str, Any]:
        if operation.startswith("tags/"):
            return {"tags": self._indexes[operation.rpartition("/")[2]]["tags"]}
        if operation == "CreateVectorBucket":
            if self._bucket:
                raise Refused(409, "ConflictException")
            self._bucket = True
            return {"vectorBucketArn": "arn:aws:s3vectors:us-east-1:000000000000:bucket/vectors"}
        if not self._bucket:
            raise Refused(404, "NotFoundException", "The specified vector bucket could not be found")
        if operation == "ListIndexes":
            return {"indexes": [self._summary(name) for name in self._indexes if name.startswith(body["prefix"])]}
        name = body["indexName"]
        if operation == "CreateIndex":
            if name in self._indexes:
                raise Refused(409, "ConflictException")
            self._indexes[name] = {**body, "vectors": {}, "mode": "CLASSIC"}
            return {"indexArn": self._summary(name)["indexArn"]}
        if name not in self._indexes:
            raise Refused(404, "NotFoundException", "The specified index could not be found")
        found: dict[str, Any] = getattr(self, f"_{operation}")(self._indexes[name], body)
        return found

    def _summary(self, name: str) -> dict[str, Any]:
        arn = f"arn:aws:s3vectors:us-east-1:000000000000:bucket/vectors/index/{name}"
        return {"vectorBucketName": "vectors", "indexName": name, "indexArn": arn, "creationTime": 0}

    def _UpdateIndexMode(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        index["mode"] = body["indexMode"]
        return {}

    def _DeleteIndex(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        del self._indexes[body["indexName"]]
        return {}

    def _PutVectors(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        stored = index["metadataConfiguration"]["nonFilterableMetadataKeys"]
        for one in body["vectors"]:
            filtered = {name: value for name, value in one["metadata"].items() if name not in stored}
            if len(one["data"]["float32"]) != index["dimension"]:
                raise Refused(400, "ValidationException", "wrong dimension")
            if len(json.dumps(filtered)) > 2_048 or len(json.dumps(one["metadata"], ensure_ascii=False)) > 40_960:
                raise Refused(400, "ValidationException", "too much metadata")
        if len(body["vectors"]) > 500:
            raise Refused(400, "ValidationException", "too many vectors")
        index["vectors"] |= {one["key"]: one for one in body["vectors"]}
        return {}

    def _DeleteVectors(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        for key in body["keys"]:
            index["vectors"].pop(key, None)
        return {}

    def _GetVectors(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if len(body["keys"]) > 100:
            raise Refused(400, "ValidationException", "too many keys")
        return {"vectors": [index["vectors"][key] for key in dict.fromkeys(body["keys"]) if key in index["vectors"]]}

    def _ListVectors(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        wanted = {"key", *(["data"] if body.get("returnData") else []), *(["metadata"] * body.get("returnMetadata", 0))}
        every = [{name: one[name] for name in one if name in wanted} for one in index["vectors"].values()]
        return _page(every, body, min(body["maxResults"], 3))  # small pages, so that several are asked for

    def _QueryVectors(self, index: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:  # noqa: N802
        if body["topK"] > 100:
            raise Refused(400, "ValidationException", "topK is at most 100")
        every = list(index["vectors"].values())
        passed = [one for one in every if _passes(body.get("filter", {}), one["metadata"])]
        if "queryVector" in body:
            query = np.array(body["queryVector"]["float32"], np.float64)
            near = [(_far(index["distanceMetric"], query, one), one) for one in passed]
            near.sort(key=lambda pair: pair[0])
            found = [{"key": one["key"], "metadata": one["metadata"], "distance": far} for far, one in near]
            return _page(found, body, body["topK"])
        if index["mode"] != "ENHANCED":
            raise Refused(400, "ValidationException", "full-text search needs the ENHANCED mode")
        ((asked),) = body["queryTexts"]
        if len(asked["text"]) > 1_024:
            raise Refused(400, "ValidationException", "the query is too long")
        texts = [one["metadata"].get("_terms", "").split() for one in every]
        scored = [
            (_bm25(asked["text"].split(), one["metadata"].get("_terms", "").split(), texts), one) for one in passed
        ]
        scored = sorted([(score, one) for score, one in scored if score > 0], key=lambda pair: -pair[0])
        found = [
            {"key": one["key"], "metadata": one["metadata"],
             "scores": {"bm25Scores": [{"metadataKey": asked["metadataKey"], "score": score}]}}
            for score, one in scored
        ]  # fmt: skip
        return _page(found, body, body["topK"])


def _page(every: list[dict[str, Any]], body: dict[str, Any], size: int) -> dict[str, Any]:
    first = int(body.get("nextToken", "0"))
    more = {"nextToken": str(first + size)} if first + size < len(every) else {}
    return {"vectors": every[first : first + size], "distanceMetric": "cosine", **more}


def _far(metric: str, query: np.ndarray, one: dict[str, Any]) -> float:
    vector = np.array(one["data"]["float32"], np.float64)
    if metric == "euclidean":
        return float(np.linalg.norm(query - vector))
    return 1.0 - float(query @ vector) / float(np.linalg.norm(query) * np.linalg.norm(vector))


def _bm25(words: list[str], terms: list[str], every: list[list[str]]) -> float:
    counts, mean, total = Counter(terms), sum(map(len, every)) / len(every), 0.0
    for word in words:
        having = sum(word in one for one in every)
        rarity = math.log(1 + (len(every) - having + 0.5) / (having + 0.5))
        total += rarity * counts[word] * 2.2 / (counts[word] + 1.2 * (0.25 + 0.75 * len(terms) / max(mean, 1e-9)))
    return total


def _passes(query: dict[str, Any], metadata: dict[str, Any]) -> bool:
    for key, asked in query.items():
        if key == "$and" and not all(_passes(one, metadata) for one in asked):
            return False
        if key == "$or" and not any(_passes(one, metadata) for one in asked):
            return False
        if not key.startswith("$") and not all(_stands(metadata.get(key), *pair) for pair in asked.items()):
            return False
    return True


def _stands(found: Any, operator: str, value: Any) -> bool:
    values = found if isinstance(found, list) else [found]
    match operator:
        case "$eq":
            return value in values
        case "$nin":
            return found is not None and not set(value) & set(values)
        case "$lt" | "$lte" | "$gt" | "$gte":
            tests = {"$lt": float.__lt__, "$lte": float.__le__, "$gt": float.__gt__, "$gte": float.__ge__}
            return isinstance(found, int | float) and bool(tests[operator](float(found), float(value)))
    raise Refused(400, "ValidationException", f"unknown operator {operator}")
