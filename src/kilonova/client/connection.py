"""Signed requests to a Kilonova server, with keep-alive, time limits and retries."""

from __future__ import annotations

import random
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import orjson
import urllib3

from kilonova import errors
from kilonova.credentials.credential import Credential
from kilonova.wire.bedrock import ERRORS

__all__ = ["Connection"]

_ERRORS = {name: kind for kind, (name, _) in ERRORS.items()}
_AGAIN = (429, 503)  # throttled, or not ready: another try may fare better
_FIRST_WAIT, _LONGEST_WAIT = 0.25, 8.0  # seconds
_CONNECTIONS = 16  # kept open


class Connection:
    """Threads may share it.

    Args:
        url: of the server.
        credential: that it knows.
        seconds: that an answer may take.
        retries: how often a request is sent again that the server was too busy for, or that found no server. The waits
            double from a quarter of a second to eight and are drawn at random below that ("full jitter", AWS
            Architecture Blog, 2015).
        region: that requests are signed for.
    """

    def __init__(
        self, url: str, credential: Credential, *, seconds: float, retries: int = 0, region: str = "us-east-1"
    ) -> None:
        self.url, self._credential, self._retries, self._region = url.rstrip("/"), credential, retries, region
        timeout = urllib3.Timeout(connect=min(5.0, seconds), read=seconds)
        self._pool = urllib3.PoolManager(timeout=timeout, maxsize=_CONNECTIONS, block=True)

    def close(self) -> None:
        """Close all connections."""
        self._pool.clear()

    def json(
        self, method: str, path: str, body: Mapping[str, Any] | bytes = b"", query: Mapping[str, Any] | None = None
    ) -> Any:
        """The answer's JSON; arguments and errors as of ``open``."""
        data = self.open(method, path, body, query, whole=True).data
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            raise errors.InternalError(f"{self.url} is no Kilonova server: its answer is not JSON.") from None

    def open(
        self,
        method: str,
        path: str,
        body: Mapping[str, Any] | bytes = b"",
        query: Mapping[str, Any] | None = None,
        *,
        whole: bool = False,
    ) -> urllib3.BaseHTTPResponse:
        """The answer to a request; unless it is read ``whole``, ``release_conn`` must be called in the end.

        Args:
            method, path: which operation; the path is percent-encoded.
            body: JSON values, or bytes that are JSON.
            query: parameters.

        Raises:
            InvalidInput: something in the body is not valid Unicode.
            Unavailable: the server cannot be reached.
            KilonovaError: it answers with an error, of that kind.
        """
        try:
            data = body if isinstance(body, bytes) else orjson.dumps(body, option=orjson.OPT_SERIALIZE_NUMPY)
        except orjson.JSONEncodeError:  # a lone surrogate, which JSON has no form for
            raise errors.InvalidInput("A name, id or text is not valid Unicode.", "Repair it.") from None
        url = f"{self.url}{path}" + (f"?{urlencode(query)}" if query else "")
        for tries_left in range(self._retries, -1, -1):
            try:
                headers = self._headers(method, url, data)  # a signature has a time
                answer = self._pool.request(
                    method, url, body=data, headers=headers, preload_content=whole, retries=False
                )
                if answer.status < 400:
                    return answer
                failure = _error(answer.status, answer.headers.get("x-amzn-ErrorType", ""), answer.data)
                again = answer.status in _AGAIN
            except (urllib3.exceptions.NewConnectionError, urllib3.exceptions.ConnectTimeoutError) as error:
                failure, again = self._unreachable(error), True
            except urllib3.exceptions.HTTPError as error:  # it may have been done: what only reads is tried again
                failure, again = self._unreachable(error), method == "GET"
            if not again or not tries_left:
                raise failure
            wait = min(_LONGEST_WAIT, _FIRST_WAIT * 2.0 ** (self._retries - tries_left))
            time.sleep(random.uniform(0.0, wait))
        raise AssertionError("unreachable")

    def _unreachable(self, error: Exception) -> errors.KilonovaError:
        return errors.Unavailable(
            f"The server at {self.url} cannot be reached ({type(error).__name__}).",
            "Is `kilonova serve` or `kilonova up` running?",
        )

    def _headers(self, method: str, url: str, data: bytes) -> dict[str, str]:
        who = self._credential
        headers = {"Content-Type": "application/json"}
        if who.api_key:
            return {**headers, "Authorization": f"Bearer {who.api_key}"}
        request = botocore.awsrequest.AWSRequest(method, url, headers, data)
        keys = botocore.credentials.Credentials(who.access_key_id, who.secret_access_key, who.session_token or None)
        botocore.auth.SigV4Auth(keys, "bedrock", self._region).add_auth(request)
        return dict(request.headers.items())


def _error(status: int, kind: str, body: bytes) -> errors.KilonovaError:
    """An error answer of any of the server's dialects."""
    try:
        found = orjson.loads(body)
        found = found.get("error", found)
        return _ERRORS[str(found.get("code") or kind).partition(":")[0]](found["message"])
    except (orjson.JSONDecodeError, AttributeError, KeyError, TypeError):
        return errors.InternalError(f"The server answered {status}: {body[:200]!r}.")
