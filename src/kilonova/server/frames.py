"""The frames of an HTTP/2 connection, looked at before the library works on them (RFC 9113, 4.1 and 6).

A frame of 17 bytes costs the library a hundred times what it costs its sender. So frames are handed on a few at a
time, and those that ask for no answer are counted.
"""

from __future__ import annotations

from kilonova.server import limits
from kilonova.server.bucket import Bucket

__all__ = ["Http2Frames", "TooMany"]

_PREFACE = 24
_HEAD = 9
_UNITS = 48  # of work at a time, some milliseconds
_DATA, _HEADERS, _RST = 0, 1, 3
_COSTS = {_HEADERS: 12}  # a task and an answer
_END_STREAM = 1


class TooMany(Exception):
    """The connection sends more frames without any use than it may."""


class Http2Frames:
    """What a connection has sent so far, frame by frame."""

    def __init__(self) -> None:
        self._left = _PREFACE
        self._head = b""
        self._resets, self._idle = Bucket(*limits.RESETS), Bucket(*limits.CONTROL_FRAMES)

    def cut(self, data: bytearray) -> int:
        """How many bytes to hand on now.

        Args:
            data: what was not handed on yet.

        Raises:
            TooMany: see there.
        """
        place = units = 0
        while place < len(data) and units < _UNITS:
            if self._left:
                step = min(self._left, len(data) - place)
                self._left -= step
                place += step
                continue
            piece = bytes(data[place : place + _HEAD - len(self._head)])
            self._head += piece
            place += len(piece)
            if len(self._head) < _HEAD:
                break
            self._left = int.from_bytes(self._head[:3])
            kind, flags = self._head[3], self._head[4]
            self._head = b""
            self._count(kind, flags)
            units += _COSTS.get(kind, 1)
        return place

    def idle(self) -> None:
        """Count a frame without any use.

        Raises:
            TooMany: see there.
        """
        if not self._idle.take():
            raise TooMany

    def earn(self) -> None:
        """Something was sent, which its receiver may acknowledge."""
        self._idle.give(2)

    def _count(self, kind: int, flags: int) -> None:
        if kind == _RST:
            if not self._resets.take():
                raise TooMany
        elif kind not in (_DATA, _HEADERS) or (kind == _DATA and not self._left and not flags & _END_STREAM):
            self.idle()
