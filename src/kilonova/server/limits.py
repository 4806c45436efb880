"""Every bound on connections and requests, in one place; those on media are in ``media.limits``."""

from __future__ import annotations

__all__ = [
    "BODY_SECONDS",
    "CONNECTIONS",
    "CONTROL_FRAMES",
    "FIRST_BYTE_SECONDS",
    "HEADERS",
    "HEAD_BYTES",
    "HEAD_SECONDS",
    "KEEP_ALIVE_SECONDS",
    "RESETS",
    "STALL_SECONDS",
    "STREAMS",
]

#: The head of a request: bytes with its URL and trailers, headers, and seconds from its first byte, or from the
#: connection's beginning, to its last.
HEAD_BYTES = 64 << 10
HEADERS = 256
HEAD_SECONDS = 10.0
#: Seconds for the first byte of a body, and for all of it.
FIRST_BYTE_SECONDS = 10.0
BODY_SECONDS = 60.0
#: Seconds that a client may read nothing of an answer.
STALL_SECONDS = 60.0
#: Seconds that a connection is kept without a request; longer than clients keep idle connections, so that theirs is the
#: side that closes.
KEEP_ALIVE_SECONDS = 75
#: Connections at once, where the process may have as many descriptors; see ``http1``.
CONNECTIONS = 16_384
#: Requests of one HTTP/2 connection at once.
STREAMS = 128
#: Requests that one HTTP/2 connection may give up, and frames without any use that it may send: at once, and
#: each second.
RESETS = (200, 20.0)
CONTROL_FRAMES = (1_000, 100.0)
