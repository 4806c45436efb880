"""A collection on this machine has one owner: the process that holds its lock."""

from __future__ import annotations

import fcntl
import json
import os
from pathlib import Path

from kilonova.errors import Unavailable

__all__ = ["Owned", "Owner"]


class Owned(Unavailable):
    """Another process owns the collection; ``url`` is the server that works on it for others, "" where it is none."""

    def __init__(self, name: str, pid: int, url: str) -> None:
        where = f" and serves it at {url}" if url else ""
        super().__init__(
            f"The collection {name} is open in process {pid}{where}.",
            "" if url else "Wait until it is done, or stop it.",
        )
        self._parts, self.url = (name, pid, url), url

    def __reduce__(self) -> tuple[type[Owned], tuple[str, int, str]]:
        return Owned, self._parts


class Owner:
    """Holds a folder until it is closed or the process ends, however it ends.

    Args:
        folder: of the collection.
        url: the server at which others may use it, "" where they cannot.

    Raises:
        Owned: another process holds it.
    """

    def __init__(self, folder: Path, url: str) -> None:
        path = folder / "owner.json"
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(self._descriptor)
            try:
                said = json.loads(path.read_text())
            except ValueError:  # it is about to write it
                said = {}
            raise Owned(folder.name, said.get("pid", 0), said.get("url", "")) from None
        os.ftruncate(self._descriptor, 0)
        os.pwrite(self._descriptor, json.dumps({"pid": os.getpid(), "url": url}).encode(), 0)

    def close(self) -> None:
        """Let others have it."""
        os.close(self._descriptor)
