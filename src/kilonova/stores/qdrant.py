"""Qdrant inside this process (Qdrant Edge): a folder for each collection, written format 1.

    NAME/collection.json   {"format": 1, "model": …, "dimension": …, "metric": …}
    NAME/owner.json        who has it open (``stores.owner``)
    NAME/shard/            Qdrant's own files

A point's vectors are ``dense`` and, where it has words, the sparse ``text``; its payload has the id and the words as
``_id`` and ``_text``, and under ``_true`` and ``_false`` the names of fields with these values (Qdrant Edge 0.9 takes
the condition ``= true`` for ``= 1``). Qdrant's ids are UUIDs made of ours.
"""

from __future__ import annotations

import json
import shutil
import threading
from collections.abc import Collection as Several
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

import numpy as np
import qdrant_edge as edge

from kilonova.stores import lexical
from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore, check_name
from kilonova.stores.filter import And, Compare, Exists, Filter, In, Not, Or, moment
from kilonova.stores.owner import Owner
from kilonova.wire.errors import InternalServer, Validation

__all__ = ["QdrantEdge"]

_FORMAT = 1
_SPACE = UUID("6d2c0f0e-52a1-4f0e-9a53-0d2a1c5f7b11")  # of our ids
_PAGE = 1_000
_TRUTHS = {True: "_true", False: "_false"}
_DISTANCES = {
    Metric.COSINE: edge.Distance.Cosine,
    Metric.DOT: edge.Distance.Dot,
    Metric.EUCLID: edge.Distance.Euclid,
}
# Up to 10 MB a segment is searched by comparing everything, in a few milliseconds; above it a graph is built, whose
# settings are those of benchmarks/stores.py.
_GRAPH = edge.HnswIndexConfig(m=16, ef_construct=128, full_scan_threshold=10_000)
_LOOK = 96  # candidates that a search of the graph keeps


class _Open:
    def __init__(self, collection: Collection, shard: edge.EdgeShard, owner: Owner) -> None:
        self.collection, self.shard, self.owner = collection, shard, owner

    def close(self) -> None:
        self.shard.close()
        self.owner.close()


class QdrantEdge(VectorStore):
    """Collections under a folder.

    Args:
        folder: made when the first collection is.
        url: the server that lets others use what this process has open.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder, self.url = folder, url
        self._open: dict[str, _Open] = {}
        self._lock = threading.RLock()

    def open(self, name: str) -> None:
        """Own a collection from now on; whatever is done with it does the same.

        Raises:
            NotFound: there is none.
            Owned: another process has it.
        """
        self._opened(name)

    def create(self, collection: Collection) -> None:
        check_name(collection.name)
        folder = self._folder / collection.name
        with self._lock:
            if (folder / "collection.json").exists():
                raise Validation(f"There is a collection {collection.name} already.")
            folder.mkdir(parents=True, exist_ok=True)
            owner = Owner(folder, self.url)
            shutil.rmtree(folder / "shard", ignore_errors=True)  # of a process that ended before it was done
            (folder / "shard").mkdir()
            shard = edge.EdgeShard.create(
                str(folder / "shard"),
                edge.EdgeConfig(
                    vectors={
                        "dense": edge.EdgeVectorParams(
                            size=collection.dimension, distance=_DISTANCES[collection.metric], hnsw_config=_GRAPH
                        )
                    },
                    sparse_vectors={"text": edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)},
                ),
            )
            facts = {
                "format": _FORMAT,
                "model": collection.model,
                "dimension": collection.dimension,
                "metric": str(collection.metric),
            }
            aside = folder / "collection.json.new"
            aside.write_text(json.dumps(facts, indent=1) + "\n")
            aside.rename(folder / "collection.json")  # now there is a collection
            self._open[collection.name] = _Open(collection, shard, owner)

    def drop(self, name: str) -> None:
        with self._lock:
            found = self._opened(name)
            del self._open[name]
            (self._folder / name / "collection.json").unlink()
            found.shard.close()
            shutil.rmtree(self._folder / name / "shard", ignore_errors=True)
            (self._folder / name / "owner.json").unlink()
            found.owner.close()
            shutil.rmtree(self._folder / name, ignore_errors=True)

    def collections(self) -> list[Collection]:
        return [_read(path.parent) for path in sorted(self._folder.glob("*/collection.json"))]

    def upsert(self, name: str, points: Sequence[Point]) -> None:
        found = self._opened(name)
        size = found.collection.dimension
        for point in points:
            if point.vector.shape != (size,):
                raise Validation(f"The vector of {point.id} is {point.vector.shape}; {name} holds vectors of {size}.")
        if points:
            found.shard.update(edge.UpdateOperation.upsert_points([_point(point) for point in points]))

    def delete(self, name: str, ids: Several[str]) -> None:
        if ids:
            self._opened(name).shard.update(edge.UpdateOperation.delete_points([_uuid(one) for one in ids]))

    def scroll(self, name: str, where: Filter | None = None, *, vectors: bool = True) -> Iterator[Point]:
        shard, offset = self._opened(name).shard, None
        while True:
            records, offset = shard.scroll(
                edge.ScrollRequest(
                    offset=offset,
                    limit=_PAGE,
                    filter=_translated(where),
                    with_payload=True,
                    with_vector=["dense"] if vectors else False,
                )
            )
            yield from map(_back, records)
            if offset is None:
                return

    def get(self, name: str, ids: Sequence[str]) -> list[Point]:
        shard = self._opened(name).shard
        found: dict[str, Point] = {}
        for first in range(0, len(ids), _PAGE):
            some: list[int | UUID | str] = [_uuid(one) for one in ids[first : first + _PAGE]]
            records = shard.retrieve(some, with_payload=True, with_vector=["dense"])
            found |= {point.id: point for point in map(_back, records)}
        return [found[one] for one in ids if one in found]

    def count(self, name: str, where: Filter | None = None) -> int:
        return self._opened(name).shard.count(edge.CountRequest(exact=True, filter=_translated(where)))

    def nearest(
        self, name: str, vector: np.ndarray, k: int, where: Filter | None = None, *, exact: bool = False
    ) -> list[Match]:
        found = self._opened(name)
        if vector.shape != (found.collection.dimension,):
            raise Validation(
                f"The query is a vector of {vector.shape[-1]} numbers; "
                f"{name} holds vectors of {found.collection.dimension}."
            )
        params = edge.SearchParams(hnsw_ef=max(_LOOK, k), exact=exact)
        query = edge.Query.Nearest(vector.tolist(), using="dense")
        far = found.collection.metric is Metric.EUCLID
        return [_match(one, far) for one in self._ask(found, query, k, where, params)]

    def lexical(self, name: str, text: str, k: int, where: Filter | None = None) -> list[Match]:
        wanted = lexical.query_weights(text)
        if not wanted:
            return []
        query = edge.Query.Nearest(edge.SparseVector(list(wanted), list(wanted.values())), using="text")
        found = self._ask(self._opened(name), query, k, where, None)
        return [_match(one, far=False) for one in found if one.score > 0]

    def optimize(self, name: str) -> None:
        self._opened(name).shard.optimize()

    def close(self) -> None:
        with self._lock:
            for found in self._open.values():
                found.close()
            self._open.clear()

    @staticmethod
    def _ask(
        found: _Open, query: edge.Query, k: int, where: Filter | None, params: edge.SearchParams | None
    ) -> list[edge.ScoredPoint]:
        request = edge.QueryRequest(
            limit=k, query=query, filter=_translated(where), with_payload=True, with_vector=False, params=params
        )
        return found.shard.query(request)

    def _opened(self, name: str) -> _Open:
        with self._lock:
            if name not in self._open:
                collection, folder = self.find(name), self._folder / name
                owner = Owner(folder, self.url)
                try:
                    self._open[name] = _Open(collection, edge.EdgeShard.load(str(folder / "shard")), owner)
                except BaseException:
                    owner.close()
                    raise
            return self._open[name]


def _read(folder: Path) -> Collection:
    path = folder / "collection.json"
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InternalServer(f"{path} cannot be read: {error}.") from None
    if facts["format"] != _FORMAT:
        raise Validation(f"{folder} has format {facts['format']}; this version reads {_FORMAT}.", "Update Kilonova.")
    return Collection(folder.name, facts["model"], facts["dimension"], Metric(facts["metric"]))


def _uuid(name: str) -> str:
    return str(uuid5(_SPACE, name))


def _point(point: Point) -> edge.Point:
    vectors: dict[str, Any] = {"dense": point.vector.tolist()}
    if found := lexical.weights(point.text):
        vectors["text"] = edge.SparseVector(list(found), list(found.values()))
    payload = {**point.payload, "_id": point.id, "_text": point.text}
    for value, name in _TRUTHS.items():
        payload[name] = [field for field, found in point.payload.items() if found is value]
    return edge.Point(_uuid(point.id), vectors, payload)


def _back(record: edge.Record) -> Point:
    name, text, payload = _own(record.payload)
    vectors = record.vector if isinstance(record.vector, dict) else {}
    vector = np.array(vectors.get("dense", ()), np.float32)
    return Point(name, vector, payload, text)


def _own(payload: edge.Payload | None) -> tuple[str, str, dict[str, Any]]:
    """Id, words and payload as they were given."""
    rest = {key: value for key, value in (payload or {}).items() if key not in _TRUTHS.values()}
    return rest.pop("_id"), rest.pop("_text"), rest


def _match(found: edge.ScoredPoint, far: bool) -> Match:
    name, _, payload = _own(found.payload)
    return Match(name, payload, distance=found.score) if far else Match(name, payload, score=found.score)


def _translated(where: Filter | None) -> edge.Filter | None:
    if where is None:
        return None
    found = _condition(where)
    return found if isinstance(found, edge.Filter) else edge.Filter(must=[found])


def _condition(where: Filter) -> Any:
    match where:
        case And(parts):
            return edge.Filter(must=[_condition(part) for part in parts])
        case Or(parts):
            return edge.Filter(should=[_condition(part) for part in parts])
        case Not(part):
            return edge.Filter(must_not=[_condition(part)])
        case In(field, values):
            return edge.Filter(should=[_condition(Compare(field, "=", value)) for value in values])
        case Exists(field):
            return edge.Filter(must_not=[edge.IsEmptyCondition(_path(field))])
        case Compare(field, _, bool(value)):
            return edge.FieldCondition(key=_TRUTHS[value], match=edge.MatchValue(field))
        case Compare(field, relation, value):
            return _compared(_path(field), relation, value)


def _compared(path: str, relation: str, value: Any) -> Any:
    bound = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}.get(relation)
    if bound is None:
        if isinstance(value, str):
            return edge.FieldCondition(key=path, match=edge.MatchValue(value))
        return edge.FieldCondition(key=path, range=edge.RangeFloat(gte=value, lte=value))
    if isinstance(value, str):
        return edge.FieldCondition(key=path, range=edge.RangeDateTime(**{bound: moment(value).isoformat()}))
    return edge.FieldCondition(key=path, range=edge.RangeFloat(**{bound: float(value)}))


def _path(field: str) -> str:
    if '"' in field or not field:
        raise Validation(f"{field!r} is no name of a field.")
    return f'"{field}"'
