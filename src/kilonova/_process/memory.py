"""What a process gives back of the memory that it has let go."""

from __future__ import annotations

import ctypes

__all__ = ["return_large_blocks"]

_M_MMAP_THRESHOLD = -3  # of glibc's malloc.h
_LARGE = 1 << 20


def return_large_blocks() -> None:
    """Give every block of a megabyte back to the system when it is freed.

    By itself glibc raises that bound to the largest block it has seen, up to 32 MB, and then keeps the bodies of past
    requests, once for each thread that parsed one (mallopt(3)). Other C libraries have no such bound to set.
    """
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    if mallopt is not None:
        mallopt(_M_MMAP_THRESHOLD, _LARGE)
