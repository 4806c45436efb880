"""Bounds of a connection: its head, its time, its place among the others. Under uvicorn's own HTTP/1.1.

What a stranger sends before anybody knows who it is must cost next to nothing: uvicorn and its parser bound neither
the head of a request nor the time it takes, nor how many connections there are.
"""

from __future__ import annotations

import asyncio
import json
import resource
from functools import lru_cache
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, cast
from weakref import WeakKeyDictionary

from uvicorn.protocols.http.flow_control import FlowControl
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kilonova.server import limits
from kilonova.server.turns import Turns

if TYPE_CHECKING:
    from uvicorn.server import ServerState

__all__ = ["BoundedProtocol", "Flow"]

_SLICE = 4 << 10  # bytes parsed at a time: a flood of small requests must leave the event loop to others
_PIPELINED = 16  # requests of one connection that wait for the answer of the one before
_CHUNK_OVERHEAD = 32  # bytes that the frame of a chunk may take
_CLOSE_SECONDS = 5.0
_LINGER_SECONDS, _LINGER_BYTES = 1.0, 1 << 20  # a refusal is not lost because the client still sends


class BoundedProtocol(HttpToolsProtocol):
    """uvicorn's HTTP/1.1 protocol with bounds: see ``server.limits``."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        super().__init__(*arguments, **options)
        self._deadline: asyncio.TimerHandle | None = None
        self._stall: asyncio.TimerHandle | None = None
        self._held = bytearray()
        self._refused, self._lingered = False, 0
        self._in_head = self._in_message = self._in_body = False
        self._overhead = self._body = self._left = 0

    # the connection

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """Called by the event loop."""
        self.transport = transport
        if len(self.connections) >= _most_connections() and not self._make_room():
            self._refused = True
            self._write_refusal(503, "All connections are taken. Try again in a moment.")
            self.close()
            return
        super().connection_made(transport)
        self.flow = Flow(transport)
        self.rest()
        self._in_head = True
        self.expect(limits.HEAD_SECONDS)

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        self._idle.pop(self, None)
        self.expect(None)
        self._stop_stall()
        self._held.clear()
        if self.flow is None:  # refused at once
            return
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        """Called by the event loop: the client does not read as fast as it is answered."""
        super().pause_writing()
        if self._stall is None:
            self._stall = self.loop.call_later(limits.STALL_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        """Called by the event loop."""
        self._stop_stall()
        super().resume_writing()

    def _stop_stall(self) -> None:
        if self._stall is not None:
            self._stall.cancel()
            self._stall = None

    def close(self) -> None:
        """Close once everything is written; a client that does not read it is not waited for."""
        if not self.transport.is_closing():
            self.transport.close()
        self.loop.call_later(_CLOSE_SECONDS, self.transport.abort)

    def timeout_keep_alive_handler(self) -> None:
        """Called when nothing came for long after an answer."""
        self.close()

    # time, and the place among other connections

    @property
    def turns(self) -> Turns:
        """The turns of all connections of this event loop."""
        return _TURNS.setdefault(self.server_state, Turns(self.loop))

    @property
    def _idle(self) -> dict[BoundedProtocol, None]:
        return _IDLE.setdefault(self.server_state, {})

    def rest(self) -> None:
        """Nothing is under way here: the connection may be closed for a new one, the oldest first."""
        self._idle.pop(self, None)
        self._idle[self] = None

    def work(self) -> None:
        """A request is under way here."""
        self._idle.pop(self, None)
        self.expect(None)

    def expect(self, seconds: float | None) -> None:
        """Wait so long for what the client has to send; None does not wait for anything."""
        if self._deadline is not None:
            self._deadline.cancel()
            self._deadline = None
        if seconds is not None:
            self._deadline = self.loop.call_later(seconds, self.late)

    def late(self) -> None:
        """What was expected did not come in time."""
        self._deadline = None
        if self.cycle is not None and not self.cycle.response_complete:
            return  # an answer is under way, and what came after its request must not cost it
        if self._in_head and self._in_message:
            self._refuse(408, f"The request's head did not arrive within {limits.HEAD_SECONDS:g} s.")
        else:
            self.close()

    def _make_room(self) -> bool:
        """Close the connection on which nothing has happened for the longest time."""
        oldest = next(iter(self._idle), None)
        if oldest is None:
            return False
        del self._idle[oldest]
        oldest.connections.discard(oldest)
        oldest.close()
        return True

    # bytes

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if self._refused:
            self._lingered += len(data)
            if self._lingered > _LINGER_BYTES:
                self.transport.abort()
            return
        self._held += data
        self._feed()

    def _feed(self) -> None:
        """Parse what came, in slices, until so many requests wait that the client has to wait, too."""
        start = 0
        while start < len(self._held) and self._open and len(self.pipeline) < _PIPELINED:
            piece = bytes(self._held[start : start + max(_SLICE, self._left)])
            start += len(piece)
            self._parse(piece)
        del self._held[:start]
        cast("Flow", self.flow).hold(bool(self._held) and self._open)

    @property
    def _open(self) -> bool:
        return not self._refused and not self.transport.is_closing()

    def _parse(self, piece: bytes) -> None:
        if not self._in_message and not self._in_head:  # whatever comes now: even blank lines take of its time
            self._in_head = True
            self.expect(limits.HEAD_SECONDS)
        self._body = 0
        super().data_received(piece)
        self._overhead += len(piece) - self._body
        if self._open and (self._overhead > limits.HEAD_BYTES or len(self.headers or ()) > limits.HEADERS):
            self._refuse(
                431,
                f"The request's head is too large: {limits.HEADERS} headers and {limits.HEAD_BYTES:,} bytes are taken, "
                "with its URL, and what frames or follows its body counted in.",
            )

    def on_message_begin(self) -> None:
        """Called by the parser."""
        self._in_message, self._overhead = True, 0
        super().on_message_begin()

    def on_headers_complete(self) -> None:
        """Called by the parser."""
        self._in_body, self._in_head = True, False
        self._left = next((int(value) for name, value in self.headers if name == b"content-length"), 0)
        super().on_headers_complete()
        self.work()

    def on_chunk_header(self) -> None:
        """Called by the parser."""
        self._overhead -= _CHUNK_OVERHEAD

    def on_body(self, body: bytes) -> None:
        """Called by the parser."""
        self._body += len(body)
        self._left = max(0, self._left - len(body))
        super().on_body(body)

    def on_message_complete(self) -> None:
        """Called by the parser."""
        self._in_message = self._in_body = False
        self._left = 0
        super().on_message_complete()
        if self.cycle.response_complete:  # answered before its body was all there
            self._rest_after_answer()

    def on_response_complete(self) -> None:
        """Called when an answer is complete."""
        super().on_response_complete()
        if self.transport.is_closing():
            return
        if not self.pipeline:
            self._rest_after_answer()
        if self._held:
            self._feed()

    def _rest_after_answer(self) -> None:
        self.rest()
        # the next head has begun, or the rest of a body that nobody reads any more is thrown away, for a while
        self._in_head = self._in_message and not self._in_body
        self.expect(limits.HEAD_SECONDS if self._in_message else self.timeout_keep_alive)

    # refusals

    def send_400_response(self, msg: str) -> None:
        """Called when the parser gives up."""
        self._refuse(400, msg)

    def _refuse(self, status: int, message: str) -> None:
        """Answer what cannot be parsed, and close."""
        self._refused = True
        self._held.clear()
        self._unset_keepalive_if_required()
        self.expect(None)
        begun = False
        if self.cycle is not None and not self.cycle.response_complete:
            begun = self.cycle.response_started
            self.cycle.disconnected = True
            self.cycle.message_event.set()
        if begun:
            self.close()
            return
        self._write_refusal(status, message)
        if self.transport.can_write_eof():
            self.transport.write_eof()
        self.loop.call_later(_LINGER_SECONDS, self.close)

    def _write_refusal(self, status: int, message: str) -> None:
        body = json.dumps({"message": message}).encode()
        head = (
            f"HTTP/1.1 {status} {HTTPStatus(status).phrase}\r\ncontent-type: application/json\r\n"
            f"content-length: {len(body)}\r\nconnection: close\r\n" + ("retry-after: 1\r\n" if status == 503 else "")
        )
        self.transport.write(head.encode() + b"\r\n" + body)


class Flow(FlowControl):
    """uvicorn's, which reads on whenever the application waits: not while parsed requests must wait."""

    def __init__(self, transport: asyncio.Transport) -> None:
        super().__init__(transport)
        self._hold = False

    def hold(self, wanted: bool) -> None:
        """Read nothing more, or read again."""
        if wanted != self._hold:
            self._hold = wanted
            if wanted:
                self.pause_reading()
            elif not self._transport.is_closing():
                self.resume_reading()

    def resume_reading(self) -> None:
        """Called by uvicorn."""
        if not self._hold:
            super().resume_reading()


_TURNS: WeakKeyDictionary[ServerState, Turns] = WeakKeyDictionary()
_IDLE: WeakKeyDictionary[ServerState, dict[BoundedProtocol, None]] = WeakKeyDictionary()


@lru_cache(1)
def _most_connections() -> int:
    """How many connections are kept, so that descriptors remain for answering them."""
    descriptors = resource.getrlimit(resource.RLIMIT_NOFILE)[0]
    return max(16, min(limits.CONNECTIONS, descriptors - max(64, descriptors // 4)))
