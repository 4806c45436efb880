"""What stores outside this process have in common."""

from __future__ import annotations

from kilonova.stores.base import Collection, VectorStore

__all__ = ["ServerStore"]


class ServerStore(VectorStore):
    """Asks once what a collection was made with: that does not change."""

    def __init__(self) -> None:
        self._known: dict[str, Collection] = {}

    def find(self, name: str) -> Collection:
        if name not in self._known:
            self._known[name] = super().find(name)
        return self._known[name]

    def forget(self, name: str) -> None:
        """Ask again the next time."""
        self._known.pop(name, None)
