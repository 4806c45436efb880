"""Raw connections for tests: what no client library would send."""

from __future__ import annotations

import socket
import threading
import time
import urllib.request
from types import TracebackType
from typing import Self

import h2.connection
import h2.events
import h2.settings

from tests.servers import Kilonova

#: The longest that anybody may wait while another caller does his worst; more than the 0.1 s that are aimed at, because
#: tests share few cores.
PATIENCE = 1.5


class Watch:
    """Asks for ``/livez`` again and again; ``worst`` is the longest answer in seconds."""

    def __init__(self, server: Kilonova) -> None:
        self._url = f"{server.url}/livez"
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._ask)
        self.worst = 0.0

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._done.set()
        self._thread.join()

    def _ask(self) -> None:
        while not self._done.wait(0.01):
            begin = time.perf_counter()
            with urllib.request.urlopen(self._url, timeout=60) as answer:
                answer.read()
            self.worst = max(self.worst, time.perf_counter() - begin)


def loaded(server: Kilonova) -> Kilonova:
    """The server with everything that it loads after its start, which takes memory and time."""
    server.wait_ready().client().list_async_invokes()
    server.get("/openapi.json")
    return server


def connect(server: Kilonova) -> socket.socket:
    """A connection; reading it takes at most 20 s."""
    return socket.create_connection(("127.0.0.1", server.port), timeout=20)


def everything(connection: socket.socket) -> bytes:
    """What comes until the server closes."""
    received = b""
    try:
        while data := connection.recv(1 << 16):
            received += data
    except ConnectionResetError:
        pass  # it closed with bytes of ours unread: that is an end, too
    return received


def push(connection: socket.socket, data: bytes, times: int = 1) -> int:
    """Send the same again and again, as long as the server takes it; the bytes it took."""
    sent = 0
    try:
        for _ in range(times):
            connection.sendall(data)
            sent += len(data)
    except (BrokenPipeError, ConnectionResetError):
        pass  # the refusal that is tested for
    return sent


def peer(connection: socket.socket) -> h2.connection.H2Connection:
    """The client's side of an HTTP/2 connection that has begun."""
    found = h2.connection.H2Connection()
    found.initiate_connection()
    connection.sendall(found.data_to_send())
    return found


def head(server: Kilonova, method: str = "GET", path: str = "/livez") -> list[tuple[str, str]]:
    """The headers of an HTTP/2 request."""
    return [(":method", method), (":path", path), (":scheme", "http"), (":authority", f"127.0.0.1:{server.port}")]


def end_of(connection: socket.socket, client: h2.connection.H2Connection) -> h2.events.ConnectionTerminated | None:
    """The GOAWAY that the server closes with, None without one."""
    found = None
    for event in client.receive_data(everything(connection)):
        if isinstance(event, h2.events.ConnectionTerminated):
            found = event
    return found
