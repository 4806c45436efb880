"""The collections of a Kilonova server, over HTTP (``server/collections.py``)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import numpy as np
import orjson
import urllib3

from kilonova import errors
from kilonova.credentials.credential import Credential
from kilonova.media.limits import INLINE_BODY_BYTES
from kilonova.stores.backends.servers import ServerStore
from kilonova.stores.base import Collection, Match, Point
from kilonova.stores.filters.tree import Filter, written
from kilonova.wire import search as wire
from kilonova.wire.bedrock import ERRORS

__all__ = ["Remote"]

_TIMEOUT = urllib3.Timeout(connect=5, read=300)  # building an index takes its time
_MOST_BYTES = INLINE_BODY_BYTES * 3 // 4
_MOST_IDS = 1_000
_ERRORS = {name: kind for kind, (name, _) in ERRORS.items()}


class Remote(ServerStore):
    """A server's collections.

    Args:
        url: of the server.
        credential: that it knows.
    """

    def __init__(self, url: str, credential: Credential) -> None:
        super().__init__()
        self._url, self._credential = url.rstrip("/"), credential
        self._pool = urllib3.PoolManager(timeout=_TIMEOUT, maxsize=8)

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
        answer = self._open("POST", f"{_path(collection.name)}/points/scroll", _asked(where, vectors=vectors))
        try:
            rest = b""
            for chunk in answer.stream(1 << 18):
                *lines, rest = (rest + chunk).split(b"\n")
                yield from (_point(orjson.loads(line)) for line in lines)
        except urllib3.exceptions.HTTPError as error:
            raise errors.Unavailable(f"{self._url} broke off: {error}.", "Try again.") from None
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
        return self._query(collection.name, _asked(where, vector=wire.encoded(vector), limit=k, exact=exact))

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        return self._query(collection.name, _asked(where, text=text, limit=k))

    def _optimize(self, collection: Collection) -> None:
        self._call("POST", f"{_path(collection.name)}/optimize")

    def close(self) -> None:
        self._pool.clear()

    def _query(self, name: str, asked: dict[str, Any]) -> list[Match]:
        found = self._ask(name, "/query", asked)["matches"]
        return [Match(one["id"], one["payload"], one["score"], one["distance"]) for one in found]

    def _ask(self, name: str, path: str, body: dict[str, Any] | bytes) -> Any:
        return self._call("POST", f"{_path(name)}/points{path}", body)

    def _call(self, method: str, path: str, body: dict[str, Any] | bytes = b"") -> Any:
        return orjson.loads(self._open(method, path, body, whole=True).data)

    def _open(
        self, method: str, path: str, body: dict[str, Any] | bytes, *, whole: bool = False
    ) -> urllib3.BaseHTTPResponse:
        try:
            data = body if isinstance(body, bytes) else orjson.dumps(body)
        except orjson.JSONEncodeError:  # a lone surrogate, which JSON has no form for
            raise errors.InvalidInput("A name, id or text is not valid Unicode.", "Repair it.") from None
        url = f"{self._url}/v1/collections{path}"
        try:
            answer = self._pool.request(
                method, url, body=data, headers=self._headers(method, url, data), preload_content=whole, retries=False
            )
            if answer.status < 400:
                return answer
            said = answer.data
        except urllib3.exceptions.HTTPError as error:
            raise errors.Unavailable(
                f"The server at {self._url} cannot be reached ({type(error).__name__}).", "Is it still running?"
            ) from None
        raise _error(answer.status, said)

    def _headers(self, method: str, url: str, data: bytes) -> dict[str, str]:
        who = self._credential
        headers = {"Content-Type": "application/json"}
        if who.api_key:
            return {**headers, "Authorization": f"Bearer {who.api_key}"}
        request = botocore.awsrequest.AWSRequest(method, url, headers, data)
        keys = botocore.credentials.Credentials(who.access_key_id, who.secret_access_key, who.session_token or None)
        botocore.auth.SigV4Auth(keys, "bedrock", "us-east-1").add_auth(request)
        return dict(request.headers.items())


def _path(name: str) -> str:
    return f"/{quote(name)}"


def _error(status: int, body: bytes) -> errors.KilonovaError:
    try:
        said = orjson.loads(body)["error"]
        return _ERRORS[said["code"]](said["message"])
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return errors.InternalError(f"The server answered {status}: {body[:200]!r}.")


def _asked(where: Filter | None, **fields: Any) -> dict[str, Any]:
    return {**fields, "where": written(where) if where is not None else ""}


def _point(plain: dict[str, Any]) -> Point:
    return Point(plain["id"], wire.decoded(plain["vector"]), plain["payload"], plain["text"])
