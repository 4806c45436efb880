"""HTTP/2 beside HTTP/1.1 on the same port, for uvicorn, which has none.

The AWS SDK for JavaScript talks HTTP/2 to Bedrock Runtime, without TLS by "prior knowledge" (RFC 9113, 3.3).
A connection whose first bytes are the HTTP/2 preface is served here with the h2 library; every other one by
uvicorn's own protocol.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
from collections import deque
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast
from urllib.parse import unquote

import h2.config
import h2.connection
import h2.errors
import h2.events
import h2.exceptions
import h2.settings

from kilonova.server import limits
from kilonova.server.frames import Http2Frames, TooMany
from kilonova.server.http1 import BoundedProtocol, Flow

if TYPE_CHECKING:
    from collections.abc import MutableMapping

__all__ = ["NegotiatingProtocol"]

_log = logging.getLogger("kilonova.server")

_PREFACE = b"PRI"  # no HTTP/1 method begins so
_STREAM_WINDOW = 1 << 20
_CONNECTION_WINDOW = 32 << 20
_EARNING = 1 << 10  # bytes of a frame for which clients may send frames about their windows


class NegotiatingProtocol(BoundedProtocol):
    """HTTP/1.1 with bounds, or HTTP/2 when the client begins with its preface."""

    _http2: _Connection | None = None
    _undecided = b""
    _decided = False

    def data_received(self, data: bytes) -> None:
        """Called by the event loop."""
        if not self._decided:
            data = self._undecided + data
            if len(data) < len(_PREFACE) and _PREFACE.startswith(data):
                self._undecided = data
                return
            self._decided = True
            if data.startswith(_PREFACE) and self._open:
                self._unset_keepalive_if_required()
                self._http2 = _Connection(self)
        if self._http2 is not None:
            self._http2.receive(data)
        else:
            super().data_received(data)

    def late(self) -> None:
        """Nothing was asked in time."""
        if self._http2 is not None:
            self._http2.end()
        else:
            super().late()

    def connection_lost(self, exc: Exception | None) -> None:
        """Called by the event loop."""
        if self._http2 is not None:
            self._http2.lost()
        super().connection_lost(exc)

    def shutdown(self) -> None:
        """Called by the server when it stops: what is under way is finished, nothing new is begun."""
        if self._http2 is not None:
            self._http2.stop()
        else:
            super().shutdown()


class _Connection:
    """One HTTP/2 connection: frames in, ASGI calls, frames out."""

    def __init__(self, protocol: NegotiatingProtocol) -> None:
        self.protocol = protocol
        self.streams: dict[int, _Stream] = {}
        self.frames = Http2Frames()
        self._pending = bytearray()
        self._scheduled = self._ended = self._stopping = False

    @cached_property
    def side(self) -> h2.connection.H2Connection:
        """The library's side of it, which costs so much to make that it has to wait for its turn."""
        made = h2.connection.H2Connection(h2.config.H2Configuration(client_side=False, header_encoding=None))
        made.local_settings = h2.settings.Settings(
            client=False,
            initial_values={
                h2.settings.SettingCodes.MAX_CONCURRENT_STREAMS: limits.STREAMS,
                h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: _STREAM_WINDOW,
                h2.settings.SettingCodes.MAX_HEADER_LIST_SIZE: limits.HEAD_BYTES,
            },
        )
        made.initiate_connection()
        made.increment_flow_control_window(_CONNECTION_WINDOW)
        return made

    def receive(self, data: bytes) -> None:
        if self._ended:
            return
        self._pending += data
        self._schedule()

    def _schedule(self) -> None:
        if self._pending and not self._scheduled and not self._ended:
            self._scheduled = True
            self.protocol.turns.do(self._work)

    def _work(self) -> None:
        """Work on some frames; on the others when everybody else had a turn."""
        self._scheduled = False
        if self._ended or self.protocol.transport.is_closing():
            return
        try:
            end = self.frames.cut(self._pending)
            piece = bytes(self._pending[:end])
            del self._pending[:end]
            for event in self.side.receive_data(piece):
                self._handle(event)
        except h2.exceptions.ProtocolError as error:
            _log.info("HTTP/2 protocol error", extra={"reason": str(error)})
            self.end(None)  # h2 has put the GOAWAY there
            return
        except TooMany:
            _log.warning("HTTP/2 connection closed: it sends too many frames without any use")
            self.end(h2.errors.ErrorCodes.ENHANCE_YOUR_CALM)
            return
        self.flush()
        cast("Flow", self.protocol.flow).hold(bool(self._pending))
        if self._pending and not self._ended:
            self.protocol.loop.call_soon(self._schedule)  # everybody else first

    def _handle(self, event: h2.events.Event) -> None:
        match event:
            case h2.events.RequestReceived(stream_id=int(stream), headers=list(headers)):
                self._begin(stream, headers)
            case h2.events.DataReceived(stream_id=int(stream), data=bytes(data), flow_controlled_length=int(length)):
                if length and not data and event.stream_ended is None:
                    self.frames.idle()  # nothing but padding
                if stream in self.streams:
                    self.streams[stream].put(data, length)
                else:  # its answer is complete: the rest of the body is thrown away
                    self.acknowledge(stream, length)
            case h2.events.StreamEnded(stream_id=int(stream)) if stream in self.streams:
                self.streams[stream].end()
            case h2.events.StreamReset(stream_id=int(stream)) if stream in self.streams:
                self.streams[stream].leave()
            case h2.events.WindowUpdated() | h2.events.RemoteSettingsChanged():
                for one in self.streams.values():
                    one.changed.set()
            case h2.events.ConnectionTerminated():
                self.lost()
                self.protocol.close()

    def _begin(self, stream: int, headers: list[tuple[bytes, bytes]]) -> None:
        if self._stopping:
            self.side.reset_stream(stream, h2.errors.ErrorCodes.REFUSED_STREAM)
            return
        refusal = _fault(headers)
        if refusal:
            status, message = refusal
            body = json.dumps({"message": message}).encode()
            said = [
                (b":status", status),
                (b"content-type", b"application/json"),
                (b"content-length", b"%d" % len(body)),
            ]
            self.side.send_headers(stream, said)
            self.side.send_data(stream, body, end_stream=True)
            return
        self.protocol.work()
        self.streams[stream] = _Stream(self, stream, headers)

    def acknowledge(self, stream: int, length: int) -> None:
        """Let the client send as much again."""
        try:
            self.side.acknowledge_received_data(length, stream)
        except h2.exceptions.StreamClosedError:
            self.side.increment_flow_control_window(length)  # the connection's own window still needs it

    def finish(self, stream: int) -> None:
        """A stream's answer is complete, or it was given up."""
        gone = self.streams.pop(stream)
        if self._ended:
            return
        gone.discard()
        self.flush()
        if self.streams:
            return
        if self._stopping:
            self.end()
        else:
            self.protocol.rest()
            self.protocol.expect(self.protocol.timeout_keep_alive)

    def lost(self) -> None:
        self._ended = True
        self._pending.clear()
        for stream in list(self.streams.values()):
            stream.leave()

    def end(self, error: h2.errors.ErrorCodes | None = h2.errors.ErrorCodes.NO_ERROR) -> None:
        """Give the connection up, with a GOAWAY that says why."""
        if error is not None:
            with contextlib.suppress(h2.exceptions.ProtocolError):  # it is closed already
                self.side.close_connection(error)
        self.flush()
        self.lost()
        self.protocol.close()

    def stop(self) -> None:
        """Finish what is under way and begin nothing new."""
        self._stopping = True  # the GOAWAY comes last: h2 could send nothing after it, and its clients read nothing
        if not self.streams:
            self.end()

    def flush(self) -> None:
        data = self.side.data_to_send()
        if data and not self.protocol.transport.is_closing():
            self.protocol.transport.write(data)


class _Stream:
    """One request and its answer, as ASGI's ``receive`` and ``send``."""

    def __init__(self, connection: _Connection, number: int, headers: list[tuple[bytes, bytes]]) -> None:
        self.connection, self.number = connection, number
        self.chunks: deque[tuple[bytes, int]] = deque()
        self.ended = self.gone = self.told_end = False
        self.changed = asyncio.Event()
        task = connection.protocol.loop.create_task(self._run(self._scope(headers)))
        connection.protocol.tasks.add(task)
        task.add_done_callback(connection.protocol.tasks.discard)

    def put(self, data: bytes, length: int) -> None:
        self.chunks.append((data, length))
        self.changed.set()

    def end(self) -> None:
        self.ended = True
        self.changed.set()

    def leave(self) -> None:
        self.gone = True
        self.changed.set()

    def discard(self) -> None:
        """Throw away what of the body was not read."""
        for _, length in self.chunks:
            self.connection.acknowledge(self.number, length)
        self.chunks.clear()

    def _scope(self, headers: list[tuple[bytes, bytes]]) -> dict[str, Any]:
        protocol = self.connection.protocol
        pseudo = {name: value for name, value in headers if name.startswith(b":")}
        plain = [(name, value) for name, value in headers if not name.startswith(b":")]
        if b":authority" in pseudo and not any(name == b"host" for name, _ in plain):
            plain.insert(0, (b"host", pseudo[b":authority"]))
        raw_path, _, query = pseudo[b":path"].partition(b"?")
        return {
            "type": "http",
            "asgi": {"version": protocol.asgi_version, "spec_version": "2.3"},
            "http_version": "2",
            "server": protocol.server,
            "client": protocol.client,
            "scheme": protocol.scheme,
            "method": pseudo[b":method"].decode("ascii"),
            "root_path": protocol.root_path,
            "path": unquote(raw_path.decode("ascii", "replace")),
            "raw_path": raw_path,
            "query_string": query,
            "headers": plain,
            "state": protocol.app_state.copy(),
        }

    async def _run(self, scope: dict[str, Any]) -> None:
        connection = self.connection
        try:
            if self.gone:  # reset before it began
                return
            await connection.protocol.app(scope, self._receive, self._send)
        except Exception:
            _log.exception("the application failed on an HTTP/2 request")
            self.reset(h2.errors.ErrorCodes.INTERNAL_ERROR)
        finally:
            connection.finish(self.number)

    async def _receive(self) -> dict[str, Any]:
        while not (self.chunks or self.gone or (self.ended and not self.told_end)):
            self.changed.clear()
            await self.changed.wait()
        if self.chunks:
            data, length = self.chunks.popleft()
            self.connection.acknowledge(self.number, length)
            self.connection.flush()
            self.told_end = self.ended and not self.chunks
            return {"type": "http.request", "body": data, "more_body": not self.told_end}
        if self.gone:
            return {"type": "http.disconnect"}
        self.told_end = True
        return {"type": "http.request", "body": b"", "more_body": False}

    async def _send(self, message: MutableMapping[str, Any]) -> None:
        if self.gone:
            return
        if message["type"] == "http.response.start":
            headers = [(b":status", str(message["status"]).encode()), *message.get("headers", [])]
            self.connection.side.send_headers(self.number, [(name.lower(), value) for name, value in headers])
            return
        body, last = message.get("body", b""), not message.get("more_body", False)
        while body and not self.gone:
            side = self.connection.side
            room = min(side.local_flow_control_window(self.number), side.max_outbound_frame_size)
            if room <= 0:
                await self._wait_for_room()
                continue
            side.send_data(self.number, body[:room])
            if room >= _EARNING:
                self.connection.frames.earn()
            body = body[room:]
            self.connection.flush()
            await self.connection.protocol.flow.drain()
        if last and not self.gone:
            self.connection.side.end_stream(self.number)
        self.connection.flush()

    async def _wait_for_room(self) -> None:
        self.changed.clear()
        try:
            async with asyncio.timeout(limits.STALL_SECONDS):
                await self.changed.wait()
        except TimeoutError:
            self.reset(h2.errors.ErrorCodes.CANCEL)

    def reset(self, error: h2.errors.ErrorCodes) -> None:
        """Give the stream up, and tell the client."""
        if not self.gone:
            self.leave()
            self.connection.side.reset_stream(self.number, error)
            self.connection.flush()


def _fault(headers: list[tuple[bytes, bytes]]) -> tuple[bytes, str] | None:
    """Status and message for a head that no application gets to see."""
    pseudo = {name for name, _ in headers if name.startswith(b":")}
    if len(headers) > limits.HEADERS:
        return b"431", f"The request has {len(headers)} headers; {limits.HEADERS} are taken."
    if b":path" not in pseudo:  # h2 lets CONNECT pass without one
        return b"400", "The request has no path. CONNECT is not served."
    method = next((value for name, value in headers if name == b":method"), b"")
    if not method.isascii() or not method.isalpha():
        return b"400", "The request's method is no word of ASCII letters."
    return None
