"""Vectors, payloads and texts in one SQLite file; every search compares with all. ``sqlite:FILE``.

A sample of a store that another distribution brings, see ``docs/adding-a-store.md``.
"""

from __future__ import annotations

import json
import sqlite3
import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from kilonova.errors import Unavailable
from kilonova.stores import lexical
from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore, taken
from kilonova.stores.filters import sql
from kilonova.stores.filters.tree import Filter
from kilonova.stores.registry import Backend
from kilonova.vectors import unit

__all__ = ["BACKEND", "SqliteStore"]

_PAGE = 1_000
_TABLES = """
PRAGMA foreign_keys = ON;
CREATE TABLE IF NOT EXISTS collections (name TEXT PRIMARY KEY, facts TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS points (
    number INTEGER PRIMARY KEY AUTOINCREMENT, collection TEXT NOT NULL REFERENCES collections ON DELETE CASCADE,
    id TEXT NOT NULL, vector BLOB NOT NULL, payload TEXT NOT NULL, text TEXT NOT NULL, UNIQUE (collection, id));
"""


class SqliteStore(VectorStore):
    """Collections in a file.

    Args:
        file: made when it is not there.
    """

    def __init__(self, file: Path) -> None:
        self._lock = threading.RLock()
        with _faults(file):
            file.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(file, timeout=30, check_same_thread=False)
            self._database.executescript(_TABLES)
            self._database.create_function("moment", 1, sql.seconds, deterministic=True)
        self._file = file

    def _collections(self) -> list[Collection]:
        return [Collection.of(json.loads(facts)) for (facts,) in self._read("SELECT facts FROM collections")]

    def _create(self, collection: Collection) -> None:
        row = [collection.name, json.dumps(collection.facts)]
        if not self._write("INSERT OR IGNORE INTO collections VALUES (?, ?)", [row]):
            raise taken(collection.name)

    def _drop(self, name: str) -> None:
        self._write("DELETE FROM collections WHERE name = ?", [[name]])

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        rows = [
            [collection.name, one.id, one.vector.tobytes(), json.dumps(dict(one.payload), ensure_ascii=False), one.text]
            for one in points
        ]
        self._write(
            "INSERT OR REPLACE INTO points (collection, id, vector, payload, text) VALUES (?, ?, ?, ?, ?)", rows
        )

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self._write("DELETE FROM points WHERE collection = ? AND id = ?", [[collection.name, one] for one in ids])

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        last = 0
        while rows := self._points(collection, where, "number > ? ORDER BY number LIMIT ?", last, _PAGE):
            yield from (_point(row, vectors=vectors) for row in rows)
            last = rows[-1][0]

    def _get(self, collection: Collection, ids: Sequence[str]) -> Iterable[Point]:
        wanted = "id IN (SELECT value FROM json_each(?))"
        return map(_point, self._points(collection, None, wanted, json.dumps(ids)))

    def _count(self, collection: Collection, where: Filter | None) -> int:
        test, values = sql.translate(where) if where is not None else ("1", [])
        counted = f"SELECT count(*) FROM points WHERE collection = ? AND {test}"
        return int(self._read(counted, collection.name, *values)[0][0])

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        points = [_point(row) for row in self._points(collection, where)]
        if not points:
            return []
        every = np.stack([one.vector for one in points])
        if collection.metric is Metric.EUCLID:
            far = np.linalg.norm(every - vector, axis=1)
            return [Match(points[row].id, points[row].payload, distance=float(far[row])) for row in np.argsort(far)[:k]]
        alike = unit(every) @ unit(vector) if collection.metric is Metric.COSINE else every @ vector
        return [Match(points[row].id, points[row].payload, score=float(alike[row])) for row in np.argsort(-alike)[:k]]

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        asked = lexical.query_weights(text)
        every = {one.id: lexical.weights(one.text) for one in map(_point, self._points(collection, None))}
        rare = {term: lexical.rarity(sum(term in own for own in every.values()), len(every)) for term in asked}
        scored = [
            Match(one.id, one.payload, score=sum(weight * every[one.id].get(term, 0.0) * rare[term]
                                                 for term, weight in asked.items()))
            for one in map(_point, self._points(collection, where))
        ]  # fmt: skip
        return sorted((one for one in scored if one.score), key=lambda one: (-(one.score or 0.0), one.id))[:k]

    def close(self) -> None:
        self._database.close()

    def _points(
        self, collection: Collection, where: Filter | None, more: str = "1", *values: str | int
    ) -> list[tuple[Any, ...]]:
        test, bounds = sql.translate(where) if where is not None else ("1", [])
        rows = f"SELECT number, id, vector, payload, text FROM points WHERE collection = ? AND {test} AND {more}"
        return self._read(rows, collection.name, *bounds, *values)

    def _read(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        with self._lock, _faults(self._file):
            return self._database.execute(statement, values).fetchall()

    def _write(self, statement: str, rows: Sequence[Sequence[Any]]) -> int:
        """All rows or none; how many were changed."""
        with self._lock, _faults(self._file), self._database as database:
            return database.executemany(statement, rows).rowcount


@contextmanager
def _faults(file: Path) -> Iterator[None]:
    try:
        yield
    except (OSError, sqlite3.Error) as error:
        raise Unavailable(f"{file} cannot be used: {error}.", "Is it a file of this store?") from error


def _point(row: tuple[Any, ...], *, vectors: bool = True) -> Point:
    _, name, vector, payload, text = row
    return Point(name, np.frombuffer(vector if vectors else b"", np.float32), json.loads(payload), text)


def _open_store(where: str) -> SqliteStore:
    return SqliteStore(Path(where).expanduser())


BACKEND = Backend("sqlite:FILE", _open_store)
