"""Child processes of one kind, kept for the next user: one takes half a second to start."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from kilonova._process.parent import Child, ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed

__all__ = ["Children"]


class Children:
    """Started when first needed, replaced when they are dropped.

    Args:
        target: ``module:function`` of the handler, see ``Child``.
        arguments: passed to that function.
        memory: bytes of address space that each may map.
        dropped: called with a process that was ended, to remove what it left.
    """

    def __init__(
        self, target: str, *arguments: str, memory: int, dropped: Callable[[Child], None] = lambda _: None
    ) -> None:
        self._target, self._arguments, self._memory, self._dropped = target, arguments, memory, dropped
        self._idle: list[Child] = []
        self._busy: set[Child] = set()

    async def ask(self, message: object, seconds: float) -> Any:
        """Send one message to a process that nobody else uses, and wait for its answer.

        A process that dies may have been killed from outside, so the message goes to a second one, once.

        Raises:
            ChildDied: the message ended two processes.
            ChildTimeout, KilonovaError, MemoryError, HandlerFailed: see ``Child.call``.
        """
        try:
            return await self._ask(message, seconds)
        except ChildDied:
            return await self._ask(message, seconds)

    async def _ask(self, message: object, seconds: float) -> Any:
        child = self.take()
        try:
            answer = await child.call(message, seconds)
        except (asyncio.CancelledError, ChildDied, ChildTimeout, MemoryError, HandlerFailed):
            self.drop(child)  # in the middle of an exchange, dead, with its heap at the bound, or in an unknown state
            raise
        except BaseException:
            self.keep(child)
            raise
        self.keep(child)
        return answer

    def take(self) -> Child:
        """A process that nobody else uses."""
        while self._idle:
            child = self._idle.pop()
            if child.alive:
                break
            self.drop(child)
        else:
            child = Child(self._target, *self._arguments, memory=self._memory)
        self._busy.add(child)
        return child

    def keep(self, child: Child) -> None:
        """Give a process back; a dead one is not kept."""
        if not child.alive:
            self.drop(child)
            return
        self._busy.discard(child)
        self._idle.append(child)

    def drop(self, child: Child) -> None:
        """End a process that cannot be used again."""
        self._busy.discard(child)
        child.close()
        self._dropped(child)

    def close(self) -> None:
        """End all processes."""
        for child in [*self._idle, *self._busy]:
            child.close()
        self._idle.clear()
        self._busy.clear()
