"""What OpenSearch answers to the requests that ``stores.backends.opensearch`` makes.

No OpenSearch can be had from the registries, so this stands in for it: it takes these requests of its REST API as the
documentation has them, with scores as documented, and refuses anything else with 400, as a cluster does.
"""

from __future__ import annotations

import json
import math
from collections import Counter
from typing import Any

import numpy as np

from tests.stores.stand_in import Refused, StandIn


class OpensearchServer(StandIn):
    """A cluster."""

    def __init__(self) -> None:
        super().__init__()
        self._indexes: dict[str, dict[str, Any]] = {}
        self._pages: dict[str, list[dict[str, Any]]] = {}

    def answer(self, method: str, path: str, query: str, body: bytes) -> Any:
        name, _, action = path.strip("/").partition("/")
        if name == "_search":
            return self._scroll(method, json.loads(body))
        if action == "_mapping":
            assert name == "kilonova-*"
            return {one: {"mappings": found["mappings"]} for one, found in self._indexes.items()}
        if method == "PUT" and not action:
            return self._create(name, json.loads(body))
        if name not in self._indexes:
            raise Refused(404, "index_not_found_exception")
        index = self._indexes[name]
        match method, action:
            case "HEAD", "":
                return {}
            case "DELETE", "":
                del self._indexes[name]
                return {"acknowledged": True}
            case (("POST" | "PUT"), "_bulk"):
                return self._bulk(index, body)
            case "POST", "_mget":
                ids = json.loads(body)["ids"]
                docs = index["docs"]
                return {
                    "docs": [{"found": one in docs, **({"_source": docs[one]} if one in docs else {})} for one in ids]
                }
            case "POST", "_count":
                return {"count": sum(_passes(json.loads(body)["query"], doc) for doc in index["docs"].values())}
            case "POST", "_search":
                return self._search(index, json.loads(body), "scroll=" in query)
        raise Refused(400, f"no handler found for {method} {path}")

    def _create(self, name: str, body: dict[str, Any]) -> dict[str, Any]:
        if name in self._indexes:
            raise Refused(400, "resource_already_exists_exception")
        if name != name.lower():
            raise Refused(400, "invalid_index_name_exception")
        self._indexes[name] = {**body, "docs": {}}
        return {"acknowledged": True}

    def _bulk(self, index: dict[str, Any], body: bytes) -> dict[str, Any]:
        lines = iter(body.decode().splitlines())
        known = set(index["mappings"]["properties"])
        for line in lines:
            ((action, where),) = json.loads(line).items()
            if action == "delete":
                index["docs"].pop(where["_id"], None)
                continue
            doc = json.loads(next(lines))
            if set(doc) - known:
                raise Refused(400, "strict_dynamic_mapping_exception")
            if len(doc["vector"]) != index["mappings"]["properties"]["vector"]["dimension"]:
                raise Refused(400, "mapper_parsing_exception")
            if len(where["_id"].encode()) > 512:
                raise Refused(400, "id is too long")
            index["docs"][where["_id"]] = doc
        return {"errors": False, "items": []}

    def _search(self, index: dict[str, Any], body: dict[str, Any], pages: bool) -> dict[str, Any]:
        scored = [(_score(body["query"], one, index), one) for one in index["docs"].values()]
        found = sorted([(score, one) for score, one in scored if score is not None], key=lambda pair: -pair[0])
        hits = [
            {"_score": float(np.float32(score)), "_source": {name: one[name] for name in body["_source"]}}
            for score, one in found
        ]
        if not pages:
            return {"hits": {"hits": hits[: body["size"]]}}
        token = f"page-{len(self._pages)}"
        self._pages[token] = hits[2:]  # small pages, so that several are asked for
        return self._page(token, hits[:2])

    def _scroll(self, method: str, body: dict[str, Any]) -> dict[str, Any]:
        if method == "DELETE":
            return {"succeeded": True}
        token = body["scroll_id"]
        hits, self._pages[token] = self._pages[token][:2], self._pages[token][2:]
        return self._page(token, hits)

    @staticmethod
    def _page(token: str, hits: list[dict[str, Any]]) -> dict[str, Any]:
        shards = {"total": 1, "successful": 1, "skipped": 0, "failed": 0}
        return {"_scroll_id": token, "_shards": shards, "hits": {"hits": hits}}


def _score(query: dict[str, Any], doc: dict[str, Any], index: dict[str, Any]) -> float | None:
    ((kind, asked),) = query.items()
    space = index["mappings"]["properties"]["vector"]["method"]["space_type"]
    match kind:
        case "knn":
            wanted = asked["vector"]
            passed = _passes(wanted.get("filter", {"match_all": {}}), doc)
            return _near(space, wanted["vector"], doc["vector"], halved=True) if passed else None
        case "script_score":
            script = asked["script"]
            assert (script["source"], script["lang"], script["params"]["field"]) == ("knn_score", "knn", "vector")
            assert script["params"]["space_type"] == space
            passed = _passes(asked["query"], doc)
            return _near(space, script["params"]["query_value"], doc["vector"], halved=False) if passed else None
        case "bool" if set(asked) == {"must", "filter"}:
            (must,), passed = asked["must"], all(_passes(one, doc) for one in asked["filter"])
            words = must["match"]["terms"]["query"].split()
            found = _bm25(words, doc["terms"].split(), [one["terms"].split() for one in index["docs"].values()])
            return found if passed and found > 0 else None
    return 1.0 if _passes(query, doc) else None


def _near(space: str, query: list[float], vector: list[float], *, halved: bool) -> float:
    one, other = np.array(query, np.float64), np.array(vector, np.float64)
    if space == "l2":
        return 1.0 / (1.0 + float(((one - other) ** 2).sum()))
    dot = float(one @ other)
    if space == "innerproduct":
        return dot + 1.0 if dot >= 0 else 1.0 / (1.0 - dot)
    cosine = dot / float(np.linalg.norm(one) * np.linalg.norm(other))
    return (1.0 + cosine) / 2.0 if halved else 1.0 + cosine


def _bm25(words: list[str], terms: list[str], every: list[list[str]]) -> float:
    counts, mean = Counter(terms), sum(map(len, every)) / len(every)
    total = 0.0
    for word in words:
        having = sum(word in one for one in every)
        rarity = math.log(1 + (len(every) - having + 0.5) / (having + 0.5))
        total += rarity * counts[word] / (counts[word] + 1.2 * (0.25 + 0.75 * len(terms) / max(mean, 1e-9)))
    return total


def _passes(query: dict[str, Any], doc: dict[str, Any]) -> bool:
    ((kind, asked),) = query.items()
    match kind:
        case "match_all":
            return True
        case "term":
            ((field, value),) = asked.items()
            found = doc.get(field, [])
            return bool(value in found if isinstance(found, list) else value == found)
        case "range":
            ((field, bounds),) = asked.items()
            tests = {"lt": float.__lt__, "lte": float.__le__, "gt": float.__gt__, "gte": float.__ge__}
            return all(tests[name](float(doc[field]), float(bound)) for name, bound in bounds.items())
        case "nested":
            inner = [{f"ordered.{name}": value for name, value in one.items()} for one in doc[asked["path"]]]
            return any(_passes(asked["query"], one) for one in inner)
        case "bool":
            assert set(asked) <= {"filter", "should", "must_not", "minimum_should_match"}
            return (
                all(_passes(one, doc) for one in asked.get("filter", ()))
                and not any(_passes(one, doc) for one in asked.get("must_not", ()))
                and ("should" not in asked or any(_passes(one, doc) for one in asked["should"]))
            )
    raise Refused(400, f"unknown query [{kind}]")
