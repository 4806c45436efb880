"""Child processes of one kind, kept for the next user: one takes half a second to start."""

from __future__ import annotations

from kilonova._process.parent import Child

__all__ = ["Children"]


class Children:
    """Started when first needed, replaced when they are dropped.

    Args:
        target: ``module:function`` of the handler, see ``Child``.
        arguments: passed to that function.
        memory: bytes of address space that each may map.
    """

    def __init__(self, target: str, *arguments: str, memory: int) -> None:
        self._target, self._arguments, self._memory = target, arguments, memory
        self._idle: list[Child] = []
        self._busy: set[Child] = set()

    def take(self) -> Child:
        """A process that nobody else uses."""
        child = self._idle.pop() if self._idle else Child(self._target, *self._arguments, memory=self._memory)
        self._busy.add(child)
        return child

    def keep(self, child: Child) -> None:
        """Give a process back."""
        self._busy.discard(child)
        self._idle.append(child)

    def drop(self, child: Child) -> None:
        """End a process that cannot be used again."""
        self._busy.discard(child)
        child.close()

    def close(self) -> None:
        """End all processes."""
        for child in [*self._idle, *self._busy]:
            child.close()
        self._idle.clear()
        self._busy.clear()
