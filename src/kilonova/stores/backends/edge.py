"""Qdrant inside this process (Qdrant Edge): a folder for each collection, written format 1.

    NAME/shard/   Qdrant's own files, see ``stores.backends.qdrant_data``; the others ``stores.folders`` describes

Searches compare the query with every vector, quantised to 4 bits a number (TurboQuant, arXiv:2504.19874), and what
comes out best again at full precision. Above ``_SCANNED`` a graph is built, which the same vectors are walked by.
"""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from uuid import UUID

import numpy as np
import qdrant_edge as edge

from kilonova.stores import lexical
from kilonova.stores.backends import qdrant_data as data
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters.tree import Filter
from kilonova.stores.folders import FolderStore

__all__ = ["QdrantEdge", "open_store"]

_PAGE = 1_000
_DISTANCES = {
    Metric.COSINE: edge.Distance.Cosine,
    Metric.DOT: edge.Distance.Dot,
    Metric.EUCLID: edge.Distance.Euclid,
}
# Settings by benchmarks/stores.py.
_SCANNED = 400 << 20  # bytes of float32 up to which comparing with all takes few milliseconds
_OVERSAMPLED = 5.0  # times as many candidates as are wanted are compared again at full precision
_LOOK = 96  # candidates that a search of the graph keeps
_TERMS = data.QdrantTerms(
    both=edge.Filter,
    equal=lambda field, value: edge.FieldCondition(key=field, match=edge.MatchValue(value)),
    between=lambda field, bounds: edge.FieldCondition(key=field, range=edge.RangeFloat(**bounds)),
    when=lambda field, bounds: edge.FieldCondition(key=field, range=edge.RangeDateTime(**bounds)),
    empty=edge.IsEmptyCondition,
)


class _Open:
    """A collection in use."""

    def __init__(self, collection: Collection, path: Path, *, new: bool) -> None:
        self.collection, self._path = collection, str(path)
        self._shard = (
            edge.EdgeShard.create(self._path, _config(collection, graph=False))
            if new
            else edge.EdgeShard.load(self._path)
        )
        self._users, self._free, self._graph = 0, threading.Condition(), False

    @contextmanager
    def shard(self) -> Iterator[edge.EdgeShard]:
        with self._free:
            self._users += 1
        try:
            yield self._shard
        finally:
            with self._free:
                self._users -= 1
                self._free.notify_all()

    def optimize(self) -> None:
        """Quantise what is new, and make the graph where there is much; that setting is read on loading."""
        with self.shard() as shard:
            large = 4 * self.collection.dimension * shard.count(edge.CountRequest(exact=False)) > _SCANNED
        if large and not self._graph:
            with self._free:
                self._free.wait_for(lambda: not self._users)
                self._shard.close()
                self._shard = edge.EdgeShard.load(self._path, _config(self.collection, graph=True))
                self._graph = True
        with self.shard() as shard:
            shard.optimize()

    @property
    def size(self) -> int:
        """Bytes that its files take on the disk."""
        return sum(path.stat().st_blocks * 512 for path in Path(self._path).rglob("*") if path.is_file())

    def close(self) -> None:
        with self._free:
            self._free.wait_for(lambda: not self._users)
            self._shard.close()


class QdrantEdge(FolderStore[_Open]):
    """Collections under a folder."""

    def load(self, collection: Collection, folder: Path, *, new: bool) -> _Open:
        if new:
            shutil.rmtree(folder / "shard", ignore_errors=True)
            (folder / "shard").mkdir()
        found = _Open(collection, folder / "shard", new=new)
        if new:
            with found.shard() as shard:
                shard.update(edge.UpdateOperation.create_field_index(data.INDEXED, edge.PayloadSchemaType.Keyword))
        return found

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        with self.using(collection) as found:
            self.check_space(points=points)
            with found.shard() as shard:
                shard.update(edge.UpdateOperation.upsert_points([_point(point) for point in points]))

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        with self.using(collection) as found:
            self.check_space()
            with found.shard() as shard:
                shard.update(edge.UpdateOperation.delete_points([data.uuid_of(one) for one in ids]))

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        offset = None
        while True:
            request = edge.ScrollRequest(
                offset=offset,
                limit=_PAGE,
                filter=data.translate(where, _TERMS),
                with_payload=True,
                with_vector=["dense"] if vectors else False,
            )
            with self.using(collection) as found, found.shard() as shard:
                records, offset = shard.scroll(request)
                points = [_back(record) for record in records]
            yield from points
            if offset is None:
                return

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        points: list[Point] = []
        with self.using(collection) as found:
            for first in range(0, len(ids), _PAGE):
                some: list[int | UUID | str] = [data.uuid_of(one) for one in ids[first : first + _PAGE]]
                with found.shard() as shard:
                    points += map(_back, shard.retrieve(some, with_payload=True, with_vector=["dense"]))
        return points

    def _count(self, collection: Collection, where: Filter | None) -> int:
        with self.using(collection) as found, found.shard() as shard:
            return shard.count(edge.CountRequest(exact=True, filter=data.translate(where, _TERMS)))

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        # Qdrant Edge 0.9 takes the quantised vectors for exact search, too, unless they are ignored
        quantised = edge.QuantizationSearchParams(ignore=exact, rescore=True, oversampling=_OVERSAMPLED)
        params = edge.SearchParams(hnsw_ef=max(_LOOK, k), exact=exact, quantization=quantised)
        query = edge.Query.Nearest(vector.tolist(), using="dense")
        far = collection.metric is Metric.EUCLID
        return [data.match(one.payload, one.score, far) for one in self._ask(collection, query, k, where, params)]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        wanted = lexical.query_weights(text)
        query = edge.Query.Nearest(edge.SparseVector(list(wanted), list(wanted.values())), using="text")
        hits = self._ask(collection, query, k, where, None)
        return [data.match(one.payload, one.score, far=False) for one in hits if one.score > 0]

    def _optimize(self, collection: Collection) -> None:
        with self.using(collection) as found:
            self.check_space(found.size)  # what is indexed anew is written beside the old
            found.optimize()

    def _ask(
        self,
        collection: Collection,
        query: edge.Query,
        k: int,
        where: Filter | None,
        params: edge.SearchParams | None,
    ) -> list[edge.ScoredPoint]:
        translated = data.translate(where, _TERMS)
        request = edge.QueryRequest(
            limit=k, query=query, filter=translated, with_payload=True, with_vector=False, params=params
        )
        with self.using(collection) as found, found.shard() as shard:
            return shard.query(request)


def open_store(where: str) -> QdrantEdge:
    """The store in a folder, see ``stores.registry``."""
    return QdrantEdge(Path(where).expanduser())


def _config(collection: Collection, *, graph: bool) -> edge.EdgeConfig:
    hnsw = edge.HnswIndexConfig(m=16 if graph else 0, ef_construct=128, full_scan_threshold=10_000)
    dense = edge.EdgeVectorParams(
        size=collection.dimension,
        distance=_DISTANCES[collection.metric],
        hnsw_config=hnsw,
        quantization_config=edge.TurboQuantQuantizationConfig(True, edge.TurboQuantBitSize.Bits4),
    )
    words = edge.EdgeSparseVectorParams(modifier=edge.Modifier.Idf)
    return edge.EdgeConfig(vectors={"dense": dense}, sparse_vectors={"text": words})


def _point(point: Point) -> edge.Point:
    vectors: dict[str, Any] = {"dense": point.vector.tolist()}
    if found := lexical.weights(point.text):
        vectors["text"] = edge.SparseVector(list(found), list(found.values()))
    return edge.Point(data.uuid_of(point.id), vectors, data.payload_of(point))


def _back(record: edge.Record) -> Point:
    name, text, payload = data.own(record.payload)
    vectors = record.vector if isinstance(record.vector, dict) else {}
    return Point(name, np.array(vectors.get("dense", ()), np.float32), payload, text)
