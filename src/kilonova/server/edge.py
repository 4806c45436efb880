"""Around everything: who a request says it wants, and an answer whatever happens."""

from __future__ import annotations

import asyncio
import ipaddress
import json
import logging
from collections.abc import Collection
from typing import TYPE_CHECKING
from urllib.parse import urlsplit
from uuid import uuid4

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Message, Receive, Scope, Send

__all__ = ["Edge"]

_log = logging.getLogger("kilonova.server")


class Edge:
    """ASGI middleware: checks the Host and Origin headers, and answers where the application did not.

    Args:
        app: the application.
        hosts: names under which a server of the loopback address may be reached, beside its loopback addresses. A web
            page can make its own name lead to this machine (DNS rebinding), but the browser then sends that name. None
            takes every name, for servers that others reach.
    """

    def __init__(self, app: ASGIApp, hosts: Collection[str] | None = None) -> None:
        self._app = app
        self._hosts = None if hosts is None else {"localhost", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        if refusal := self._refusal(scope):
            await _answer(send, 400, refusal)
            return
        begun = False

        async def watch(message: Message) -> None:
            nonlocal begun
            begun = True
            await send(message)

        try:
            await self._app(scope, receive, watch)
        except asyncio.CancelledError:  # the time to finish before the server stops is over
            if begun:  # it breaks off, which its reader sees
                return
            await _answer(send, 503, "The server is stopping. Try again.")
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # the last place where any fault, Rust's panics too, becomes an answer
            request_id = str(uuid4())
            _log.exception("unexpected error", extra={"request_id": request_id, "path": scope["path"]})
            if not begun:
                said = f"The server failed on this request. Its log has the reason under {request_id}."
                await _answer(send, 500, said, request_id)

    def _refusal(self, scope: Scope) -> str:
        """Why a request is not served, or nothing."""
        hosts = [value.decode("latin-1") for name, value in scope["headers"] if name == b"host"]
        if len(hosts) != 1:
            return "A request must have one Host header."
        if self._hosts is None:
            return ""
        if not self._known(f"//{hosts[0]}"):
            return f"This server is not {hosts[0]!r}. Use its address, or start it with --allow-host NAME."
        for name, value in scope["headers"]:
            if name == b"origin" and not self._known(value.decode("latin-1")):
                return "Pages of other sites are not served. Start the server with --allow-host NAME for theirs."
        return ""

    def _known(self, url: str) -> bool:
        try:
            host = urlsplit(url).hostname or ""
        except ValueError:  # brackets that do not close
            return False
        assert self._hosts is not None
        if host in self._hosts:
            return True
        try:
            return ipaddress.ip_address(host).is_loopback
        except ValueError:
            return False


async def _answer(send: Send, status: int, message: str, request_id: str = "") -> None:
    body = json.dumps({"message": message}).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    if request_id:
        headers.append((b"x-amzn-requestid", request_id.encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
