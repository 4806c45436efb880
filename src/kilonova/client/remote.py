"""The collections of a Kilonova server, over HTTP (``server/collections.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import numpy as np
import orjson
import urllib3

from kilonova import errors
from kilonova.client.connection import Connection
from kilonova.credentials.credential import Credential
from kilonova.media.limits import INLINE_BODY_BYTES
from kilonova.stores.backends.servers import ServerStore
from kilonova.stores.base import Collection, Match, Point
from kilonova.stores.filters.tree import Filter, format_filter
from kilonova.wire import search as wire

__all__ = ["Remote"]

_SECONDS = 300.0  # building an index takes its time
_MOST_BYTES = INLINE_BODY_BYTES * 3 // 4
_MOST_IDS = 1_000


class Remote(ServerStore):
    """A server's collections.

    Args:
        url: of the server.
        credential: that it knows.
    """

    def __init__(self, url: str, credential: Credential) -> None:
        super().__init__()
        self._connection = Connection(url, credential, seconds=_SECONDS)

    def _has(self, name: str) -> bool:
        return False  # the server itself refuses what it has

    def _fetch(self, name: str) -> Collection:
        return Collection.of(self._call("GET", _path(name)))

    def _create(self, collection: Collection) -> None:
        self._call("POST", "", collection.facts)

    def _drop(self, name: str) -> None:
        self.forget(name)
        self._call("DELETE", _path(name))

    def _collections(self) -> list[Collection]:
        return list(map(Collection.of, self._call("GET", "")["collections"]))

    def faults(self) -> dict[str, str]:
        return dict(self._call("GET", "")["faults"])

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        """See the contract; what does not fit into one request of 18 MB is written in several."""
        waiting: list[bytes] = []
        for point in points:
            line = orjson.dumps(wire.plain_point(point))
            if waiting and sum(map(len, waiting)) + len(line) > _MOST_BYTES:
                self._send(collection.name, waiting)
                waiting = []
            waiting.append(line)
        self._send(collection.name, waiting)

    def _send(self, name: str, lines: Sequence[bytes]) -> None:
        self._ask(name, "", b'{"points":[' + b",".join(lines) + b"]}")

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        for first in range(0, len(ids), _MOST_IDS):
            self._ask(collection.name, "/delete", {"ids": ids[first : first + _MOST_IDS]})

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        path = f"/v1/collections{_path(collection.name)}/points/scroll"
        answer = self._connection.open("POST", path, _asked(where, vectors=vectors))
        try:
            rest = b""
            for chunk in answer.stream(1 << 18):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (_point(orjson.loads(line)) for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise errors.Unavailable(f"{self._connection.url} broke off: {error}.", "Try again.") from None
        finally:
            answer.release_conn()

    def _get(self, collection: Collection, ids: Sequence[str]) -> list[Point]:
        found: list[Point] = []
        for first in range(0, len(ids), _MOST_IDS):
            some = self._ask(collection.name, "/get", {"ids": ids[first : first + _MOST_IDS]})["points"]
            found += map(_point, some)
        return found

    def _count(self, collection: Collection, where: Filter | None) -> int:
        return int(self._ask(collection.name, "/count", _asked(where))["count"])

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        return self._query(collection.name, _asked(where, vector=wire.encode_vector(vector), limit=k, exact=exact))

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        return self._query(collection.name, _asked(where, text=text, limit=k))

    def _optimize(self, collection: Collection) -> None:
        self._call("POST", f"{_path(collection.name)}/optimize")

    def close(self) -> None:
        self._connection.close()

    def _query(self, name: str, asked: dict[str, Any]) -> list[Match]:
        found = self._ask(name, "/query", asked)["matches"]
        return [Match(one["id"], one["payload"], one["score"], one["distance"]) for one in found]

    def _ask(self, name: str, path: str, body: dict[str, Any] | bytes) -> Any:
        return self._call("POST", f"{_path(name)}/points{path}", body)

    def _call(self, method: str, path: str, body: dict[str, Any] | bytes = b"") -> Any:
        return self._connection.json(method, f"/v1/collections{path}", body)


def _path(name: str) -> str:
    return f"/{quote(name)}"


def _asked(where: Filter | None, **fields: Any) -> dict[str, Any]:
    return {**fields, "where": format_filter(where) if where is not None else ""}


def _point(plain: dict[str, Any]) -> Point:
    return Point(plain["id"], wire.decode_vector(plain["vector"]), plain["payload"], plain["text"])
