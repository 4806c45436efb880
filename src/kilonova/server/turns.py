"""Work of all connections, a little at a time, so that the event loop always comes round to everybody."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Callable

__all__ = ["Turns"]

_SECONDS = 0.001  # of one turn of the event loop, in which one connection is accepted, too


class Turns:
    """Does work at once as long as little was done in this turn of the event loop; else in one of the next.

    Args:
        loop: the event loop.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._waiting: deque[Callable[[], None]] = deque()
        self._spent = 0.0
        self._scheduled = False

    def do(self, work: Callable[[], None]) -> None:
        """Do something short, soon."""
        if self._waiting or self._spent > _SECONDS:
            self._waiting.append(work)
        else:
            self._run(work)
        if not self._scheduled:
            self._scheduled = True
            self._loop.call_soon(self._turn)

    def _turn(self) -> None:
        self._spent = 0.0
        while self._waiting and self._spent < _SECONDS:
            self._run(self._waiting.popleft())
        self._scheduled = bool(self._waiting)
        if self._scheduled:
            self._loop.call_soon(self._turn)

    def _run(self, work: Callable[[], None]) -> None:
        begin = time.perf_counter()
        work()
        self._spent += time.perf_counter() - begin
