"""Stores that keep each collection in a folder of this machine, written format 1.

NAME/collection.json   {"format": 1, "model": …, "dimension": …, "metric": …}
NAME/owner.json        who has it open (``stores.owner``)
"""

from __future__ import annotations

import json
import shutil
import threading
from abc import abstractmethod
from pathlib import Path
from typing import Generic, Protocol, TypeVar

from kilonova.stores.base import Collection, VectorStore, check_name
from kilonova.stores.owner import Owner
from kilonova.wire.errors import InternalServer, Validation

__all__ = ["FolderStore"]

_FORMAT = 1
_FILE = "collection.json"


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


class FolderStore(VectorStore, Generic[_Opened]):
    """Opens a collection at its first use and keeps it until it is closed.

    Args:
        folder: made when the first collection is.
        url: the server that lets others use what this process has open.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder, self._url = folder, url
        self._open: dict[str, tuple[_Opened, Owner]] = {}
        self._lock = threading.RLock()

    @abstractmethod
    def load(self, collection: Collection, folder: Path, *, new: bool) -> _Opened:
        """Open a collection; a ``new`` one, in whose folder may lie what a process left that ended before it was
        done."""

    def open(self, name: str) -> None:
        """Own a collection from now on; whatever is done with it does the same.

        Raises:
            NotFound: there is none.
            Owned: another process has it.
        """
        self.opened(name)

    def opened(self, name: str) -> _Opened:
        """A collection in use."""
        with self._lock:
            if name not in self._open:
                self._take(self.find(name), new=False)
            return self._open[name][0]

    def create(self, collection: Collection) -> None:
        check_name(collection.name)
        folder = self._folder / collection.name
        with self._lock:
            if (folder / _FILE).exists():
                raise Validation(f"There is a collection {collection.name} already.")
            folder.mkdir(parents=True, exist_ok=True)
            self._take(collection, new=True)
            facts = {"format": _FORMAT, **collection.facts}
            del facts["name"]
            aside = folder / f"{_FILE}.new"
            aside.write_text(json.dumps(facts, indent=1) + "\n")
            aside.rename(folder / _FILE)  # now there is a collection

    def drop(self, name: str) -> None:
        with self._lock:
            found = self.opened(name)
            (self._folder / name / _FILE).unlink()  # now there is none
            _, owner = self._open.pop(name)
            found.close()
            shutil.rmtree(self._folder / name, ignore_errors=True)
            owner.close()

    def collections(self) -> list[Collection]:
        return [_read(path) for path in sorted(self._folder.glob(f"*/{_FILE}"))]

    def close(self) -> None:
        with self._lock:
            for found, owner in self._open.values():
                found.close()
                owner.close()
            self._open.clear()

    def _take(self, collection: Collection, *, new: bool) -> None:
        folder = self._folder / collection.name
        owner = Owner(folder, self._url)
        try:
            self._open[collection.name] = self.load(collection, folder, new=new), owner
        except BaseException:
            owner.close()
            raise


def _read(path: Path) -> Collection:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InternalServer(f"{path} cannot be read: {error}.") from None
    if facts["format"] != _FORMAT:
        raise Validation(f"{path} has format {facts['format']}; this version reads {_FORMAT}.", "Update Kilonova.")
    return Collection.of({**facts, "name": path.parent.name})
