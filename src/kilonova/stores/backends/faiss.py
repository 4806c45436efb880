"""FAISS with a sidecar: vectors, payloads and words lie in SQLite, FAISS's index is made from them. Written format 1.

    NAME/points.db   SQLite: points (number, id, payload, text, vector), terms (term, number, weight)
    NAME/built.*     FAISS's index as ``optimize`` made it, the points' numbers in it, and the last of these

The others ``stores.folders`` describes. SQLite is what counts; what FAISS holds can be thrown away. Numbers grow with
every write, and a vector that was replaced or deleted stays in the index, barred from answers, until ``optimize`` makes
it anew.
"""

from __future__ import annotations

import json
import logging
import sqlite3
import threading
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Any

import faiss
import numpy as np

from kilonova._home import replace_file
from kilonova.errors import InvalidInput
from kilonova.stores import lexical
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.filters import sql
from kilonova.stores.filters.tree import Filter
from kilonova.stores.folders import FolderStore
from kilonova.vectors import unit

__all__ = ["Faiss", "FaissIndex", "open_store"]

_log = logging.getLogger("kilonova.stores")

_TABLES = """
CREATE TABLE IF NOT EXISTS points (
    number INTEGER PRIMARY KEY AUTOINCREMENT, id TEXT NOT NULL UNIQUE, payload TEXT NOT NULL, text TEXT NOT NULL,
    vector BLOB NOT NULL);
CREATE TABLE IF NOT EXISTS terms (
    term INTEGER NOT NULL, number INTEGER NOT NULL REFERENCES points ON DELETE CASCADE, weight REAL NOT NULL,
    PRIMARY KEY (term, number)) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS terms_of ON terms (number);
"""
_PAGE, _MASKS = 1_000, 16
_NEIGHBOURS, _EF_BUILD, _EF = 16, 128, 96  # HNSW: as benchmarks/stores.py measures it
_PROBED = 16  # lists of IVF that a query looks into
_LEAST_PER_LIST = 39  # FAISS wants that many vectors to train one centre


class FaissIndex(StrEnum):
    """FAISS's indexes: compare everything, look into the nearest lists, or walk a graph."""

    FLAT = "flat"
    IVF = "ivf"
    HNSW = "hnsw"


class _Open:
    """A collection in use: the SQLite connection, and in memory FAISS's index of what ``optimize`` saw and a flat one
    of what came later. ``numbers[i]`` is the number of the i-th vector of both."""

    def __init__(self, folder: Path, collection: Collection) -> None:
        self.collection, self.folder = collection, folder
        self.lock = threading.RLock()
        self.database = sqlite3.connect(folder / "points.db", check_same_thread=False)
        self.database.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA foreign_keys = ON;")
        self.database.executescript(_TABLES)
        self.database.create_function("moment", 1, sql.seconds, deterministic=True)
        self.masks: OrderedDict[Filter | None, np.ndarray] = OrderedDict()
        self.built, built, last = self._load()
        rows = self.database.execute("SELECT number, vector FROM points WHERE number > ? ORDER BY number", (last,))
        self.tail = self.flat()
        numbers = [built]
        while some := rows.fetchmany(_PAGE):
            self.tail.add(np.stack([np.frombuffer(vector, np.float32) for _, vector in some]))
            numbers.append(np.array([number for number, _ in some], np.int64))
        self.numbers = np.concatenate(numbers)

    def _load(self) -> tuple[Any, np.ndarray, int]:
        """The built index, its points' numbers and the last of them; nothing where they are missing or damaged, for
        SQLite has everything."""
        try:
            last = int(json.loads((self.folder / "built.json").read_text())["last"])
            index, numbers = faiss.read_index(str(self.folder / "built.faiss")), np.load(self.folder / "built.npy")
            if index.ntotal == len(numbers) and index.d == self.collection.dimension:
                return index, numbers, last
        except FileNotFoundError:
            pass
        except (OSError, ValueError, KeyError, TypeError, RuntimeError) as error:
            _log.warning("the index in %s is damaged and will be made anew: %s", self.folder, error)
        return None, np.zeros(0, np.int64), 0

    def flat(self) -> Any:
        euclid = self.collection.metric is Metric.EUCLID
        return (faiss.IndexFlatL2 if euclid else faiss.IndexFlatIP)(self.collection.dimension)

    def mask(self, where: Filter | None) -> np.ndarray:
        """Which vectors may be answered: those of points that are there and pass; bool [vectors]."""
        if where not in self.masks:
            test, values = sql.translate(where) if where is not None else ("1", [])
            passed = self.database.execute(f"SELECT number FROM points WHERE {test}", values).fetchall()
            self.masks[where] = np.isin(self.numbers, np.array([number for (number,) in passed], np.int64))
            if len(self.masks) > _MASKS:
                self.masks.popitem(last=False)
        self.masks.move_to_end(where)
        return self.masks[where]

    def close(self) -> None:
        self.database.close()


class Faiss(FolderStore[_Open]):
    """Collections under a folder.

    Args:
        folder: made when the first collection is.
        kind: of the indexes that ``optimize`` makes.
    """

    def __init__(self, folder: Path, kind: FaissIndex = FaissIndex.HNSW) -> None:
        super().__init__(folder)
        self._kind = kind

    def load(self, collection: Collection, folder: Path, *, new: bool) -> _Open:
        if new:
            for path in folder.glob("points.db*"):
                path.unlink()
        return _Open(folder, collection)

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        with self.using(collection) as found:
            self.check_space(points=points)
            vectors = np.stack([_kept(collection, point.vector) for point in points])
            with found.lock:
                with found.database as database:
                    _forget(database, [point.id for point in points])
                    numbers = [_insert(database, point, vector) for point, vector in zip(points, vectors, strict=True)]
                found.tail.add(vectors)
                found.numbers = np.concatenate([found.numbers, np.array(numbers, np.int64)])
                found.masks.clear()

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        with self.using(collection) as found, found.lock:
            with found.database as database:
                _forget(database, ids)
            found.masks.clear()

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        last = 0
        test, values = sql.translate(where) if where is not None else ("1", [])
        vector = "vector" if vectors else "x''"
        asked = f"SELECT number, id, payload, text, {vector} FROM points WHERE number > ? AND {test} ORDER BY number"
        while True:
            with self.using(collection) as found, found.lock:
                some = found.database.execute(f"{asked} LIMIT {_PAGE}", [last, *values]).fetchall()
            if not some:
                return
            yield from (_point(row) for _, *row in some)
            last = some[-1][0]

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        with self.using(collection) as found:
            asked = "SELECT id, payload, text, vector FROM points WHERE id IN (SELECT value FROM json_each(?))"
            with found.lock:
                return [_point(row) for row in found.database.execute(asked, [json.dumps(ids)])]

    def _count(self, collection: Collection, where: Filter | None) -> int:
        with self.using(collection) as found:
            test, values = sql.translate(where) if where is not None else ("1", [])
            with found.lock:
                (count,) = found.database.execute(f"SELECT count(*) FROM points WHERE {test}", values).fetchone()
            return int(count)

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        with self.using(collection) as found:
            query = _kept(collection, vector)[None]
            euclid = collection.metric is Metric.EUCLID
            with found.lock:
                mask = found.mask(where)
                built = found.built.ntotal if found.built is not None else 0
                ranked: list[tuple[float, int]] = []
                for index, part, first in ((found.built, mask[:built], 0), (found.tail, mask[built:], built)):
                    if part.any():
                        ranked += _near(index, query, min(k, int(part.sum())), part, exact, first)
                ranked.sort(reverse=not euclid)
                numbers = [int(found.numbers[place]) for _, place in ranked[:k]]
                rows = _payloads(found.database, numbers)
            values = [value for value, _ in ranked[:k]]
            if euclid:
                return [Match(*rows[n], distance=max(0.0, v) ** 0.5) for n, v in zip(numbers, values, strict=True)]
            return [Match(*rows[n], score=v) for n, v in zip(numbers, values, strict=True)]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        with self.using(collection) as found:
            test, values = sql.translate(where) if where is not None else ("1", [])
            with found.lock:
                total = self._count(collection, None)
                scores: dict[int, float] = {}
                for term, weight in lexical.query_weights(text).items():
                    rows = found.database.execute("SELECT number, weight FROM terms WHERE term = ?", (term,)).fetchall()
                    rarity = lexical.rarity(len(rows), total)
                    for number, own in rows:
                        scores[number] = scores.get(number, 0.0) + weight * own * rarity
                if where is not None:
                    passed = found.database.execute(f"SELECT number FROM points WHERE {test}", values)
                    scores = {number: scores[number] for (number,) in passed if number in scores}
                best = sorted(scores, key=lambda number: (-scores[number], number))[:k]
                rows_of = _payloads(found.database, best)
            return [Match(*rows_of[number], score=scores[number]) for number in best]

    def _optimize(self, collection: Collection) -> None:
        with self.using(collection) as found, found.lock:
            rows = found.database.execute("SELECT number, vector FROM points ORDER BY number").fetchall()
            if not rows:
                return
            vectors = np.stack([np.frombuffer(vector, np.float32) for _, vector in rows])
            numbers = np.array([number for number, _ in rows], np.int64)
            index = _build(found, self._kind, vectors)
            (found.folder / "built.json").unlink(missing_ok=True)  # what is half written is not read
            faiss.write_index(index, str(found.folder / "built.faiss"))
            np.save(found.folder / "built.npy", numbers)
            replace_file(found.folder / "built.json", json.dumps({"last": int(numbers[-1])}))
            found.built, found.tail, found.numbers = index, found.flat(), numbers
            found.masks.clear()


def open_store(where: str) -> Faiss:
    """The store in a folder, see ``stores.registry``; ``?index=`` names a kind."""
    folder, _, kind = where.partition("?index=")
    if kind and kind not in list(FaissIndex):
        raise InvalidInput(f"{kind!r} is no index of FAISS here.", f"There are: {', '.join(FaissIndex)}.")
    return Faiss(Path(folder).expanduser(), FaissIndex(kind or FaissIndex.HNSW))


def _build(found: _Open, kind: FaissIndex, vectors: np.ndarray) -> Any:
    lists = min(4 * int(len(vectors) ** 0.5), len(vectors) // _LEAST_PER_LIST)  # FAISS's guidelines
    if kind is FaissIndex.HNSW:
        metric = faiss.METRIC_L2 if found.collection.metric is Metric.EUCLID else faiss.METRIC_INNER_PRODUCT
        index = faiss.IndexHNSWFlat(found.collection.dimension, _NEIGHBOURS, metric)
        index.hnsw.efConstruction = _EF_BUILD
    elif kind is FaissIndex.IVF and lists > 1:
        flat = found.flat()
        index = faiss.IndexIVFFlat(flat, found.collection.dimension, lists, flat.metric_type)
        index.train(vectors)
    else:
        index = found.flat()
    index.add(vectors)
    return index


def _near(index: Any, query: np.ndarray, k: int, mask: np.ndarray, exact: bool, first: int) -> list[tuple[float, int]]:
    """What an index finds among the vectors that the mask lets through, with their places counted from ``first``."""
    selector = None if mask.all() else faiss.IDSelectorBitmap(np.packbits(mask, bitorder="little"))
    if isinstance(index, faiss.IndexHNSW) and (exact or mask.mean() < 0.1):  # few pass: a walk would find too few
        index = faiss.downcast_index(index.storage)
    if isinstance(index, faiss.IndexHNSW):
        params = faiss.SearchParametersHNSW(sel=selector, efSearch=max(_EF, 2 * k))
    elif isinstance(index, faiss.IndexIVF):
        params = faiss.SearchParametersIVF(sel=selector, nprobe=index.nlist if exact else _PROBED)
    else:
        params = faiss.SearchParameters(sel=selector)
    values, places = index.search(query, k, params=params)
    return [(float(value), first + int(place)) for value, place in zip(values[0], places[0], strict=True) if place >= 0]


def _kept(collection: Collection, vector: np.ndarray) -> np.ndarray:
    return unit(vector) if collection.metric is Metric.COSINE else vector


def _forget(database: sqlite3.Connection, ids: Sequence[str]) -> None:
    database.execute("DELETE FROM points WHERE id IN (SELECT value FROM json_each(?))", [json.dumps(ids)])


def _insert(database: sqlite3.Connection, point: Point, vector: np.ndarray) -> int:
    payload = json.dumps(dict(point.payload), ensure_ascii=False)
    row = (point.id, payload, point.text, vector.tobytes())
    number = database.execute("INSERT INTO points (id, payload, text, vector) VALUES (?, ?, ?, ?)", row).lastrowid
    assert number is not None
    terms = [(term, number, weight) for term, weight in lexical.weights(point.text).items()]
    database.executemany("INSERT INTO terms VALUES (?, ?, ?)", terms)
    return number


def _point(row: Sequence[Any]) -> Point:
    name, payload, text, vector = row
    return Point(name, np.frombuffer(vector, np.float32), json.loads(payload), text)


def _payloads(database: sqlite3.Connection, numbers: Sequence[int]) -> dict[int, tuple[str, dict[str, Any]]]:
    asked = "SELECT number, id, payload FROM points WHERE number IN (SELECT value FROM json_each(?))"
    rows = database.execute(asked, [json.dumps(numbers)])
    return {number: (name, json.loads(payload)) for number, name, payload in rows}
