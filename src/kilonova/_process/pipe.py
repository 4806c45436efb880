"""Messages between the processes, over a private socket pair.

A message is a count of buffers (4 bytes), their lengths (8 bytes each) and the buffers. The first buffer is a
pickle of protocol 5; the others are its arrays and large bytes, which are so never copied into it.
All numbers are little-endian.
"""

from __future__ import annotations

import pickle
import struct
from collections.abc import Sequence
from itertools import accumulate, pairwise
from socket import socket
from typing import Any

__all__ = ["COUNT", "HandlerFailed", "lengths", "pack", "receive", "send", "split", "unpack"]

_JOINED = 1 << 16  # a small message goes in one piece: each piece may wake the receiver anew


class HandlerFailed(Exception):
    """A handler in a child raised something that is no ``KilonovaError``.

    It stands for the original, which may not survive pickling and whose text may quote what a caller sent: that
    must reach neither the log nor the others in a batch.
    """

    def __init__(self, kind: str, where: str) -> None:
        super().__init__(kind, where)
        self.kind, self.where = kind, where

    def __str__(self) -> str:
        return f"{self.kind} at {self.where}"


#: The fixed start of a message.
COUNT = struct.Struct("<I")


def pack(value: object) -> list[bytes | memoryview]:
    """The parts of a message, to be sent in their order."""
    buffers: list[pickle.PickleBuffer] = []
    body = pickle.dumps(value, 5, buffer_callback=buffers.append)
    parts = [memoryview(body), *(buffer.raw() for buffer in buffers)]
    sizes = [part.nbytes for part in parts]
    head = COUNT.pack(len(parts)) + lengths(len(parts)).pack(*sizes)
    if sum(sizes) <= _JOINED:
        return [b"".join([head, *parts])]
    return [head, *parts]


def split(message: bytearray) -> list[memoryview] | None:
    """The buffers of a message as views of it, None while it is not complete."""
    if len(message) < COUNT.size:
        return None
    (count,) = COUNT.unpack_from(message)
    form = lengths(count)
    start = COUNT.size + form.size
    if len(message) < start:
        return None
    sizes = form.unpack_from(message, COUNT.size)
    if len(message) < start + sum(sizes):
        return None
    ends = list(accumulate(sizes, initial=start))
    view = memoryview(message)
    return [view[begin:end] for begin, end in pairwise(ends)]


def unpack(buffers: Sequence[bytes | bytearray | memoryview]) -> Any:
    """The value of a message's buffers."""
    return pickle.loads(buffers[0], buffers=buffers[1:])


def lengths(count: int) -> struct.Struct:
    """How the lengths of so many buffers are written."""
    return struct.Struct(f"<{count}Q")


def send(connection: socket, value: object) -> None:
    """Send one message over a blocking socket.

    Raises:
        OSError: the other side is gone.
    """
    for part in pack(value):
        connection.sendall(part)


def receive(connection: socket) -> Any:
    """Wait for one message on a blocking socket.

    Raises:
        EOFError: the other side is gone.
    """
    (count,) = COUNT.unpack(_read(connection, COUNT.size))
    form = lengths(count)
    return unpack([_read(connection, length) for length in form.unpack(_read(connection, form.size))])


def _read(connection: socket, length: int) -> bytes | bytearray:
    data = bytearray(length)
    view = memoryview(data)
    while view:
        got = connection.recv_into(view)
        if not got:
            raise EOFError
        view = view[got:]
    return data
