"""Stores that keep each collection in a folder of this machine, written format 1.

NAME/collection.json   {"format": 1, "model": …, "dimension": …, "metric": …}
NAME/owner.json        who has it open (``stores.owner``)
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import threading
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Generic, Protocol, TypeVar

from kilonova._home import replace_file
from kilonova.errors import InvalidInput, KilonovaError, Unavailable
from kilonova.stores.base import Collection, Point, VectorStore, missing, taken
from kilonova.stores.owner import Owner

__all__ = ["MAX_OPEN", "RESERVE", "FolderStore"]

_log = logging.getLogger("kilonova.stores")

_FORMAT = 1
_FILE = "collection.json"
#: Collections kept open when they are not in use. Each has threads, descriptors and memory of its own.
MAX_OPEN = 16
#: Bytes that writing leaves free. A file that is mapped into memory and finds no room on the disk kills the process.
RESERVE = 256 << 20
#: Times a point's bytes that writing it may take, and bytes for the rest of it.
_WRITTEN, _PLACE = 4, 4_096


class _Closable(Protocol):
    def close(self) -> None: ...


_Opened = TypeVar("_Opened", bound=_Closable)


@dataclass
class _Entry(Generic[_Opened]):
    """An open collection, its facts, who owns it, how many calls are using it, and whether it has to be opened anew."""

    collection: _Opened
    facts: Collection
    owner: Owner
    users: int = 0
    broken: bool = False

    def close(self) -> None:
        try:
            self.collection.close()
        finally:
            self.owner.close()


class FolderStore(VectorStore, Generic[_Opened]):
    """Opens a collection at its first use; of those not in use the ``MAX_OPEN`` used last stay open.

    Args:
        folder: made when the first collection is.
        url: the server that lets others use what this process has open.
    """

    def __init__(self, folder: Path, url: str = "") -> None:
        self._folder, self._url = folder, url
        self._open: OrderedDict[str, _Entry[_Opened]] = OrderedDict()
        self._lock = threading.Condition(threading.RLock())

    @abstractmethod
    def load(self, collection: Collection, folder: Path, *, new: bool) -> _Opened:
        """Open a collection; a ``new`` one, in whose folder may lie what a process left that ended before it was
        done."""

    def open(self, collection: Collection) -> None:
        """Own a collection; whatever is done with it does the same.

        Raises:
            NotFound: it was dropped.
            Owned: another process has it.
            Unavailable: its files cannot be read.
        """
        with self.using(collection):
            return

    @contextlib.contextmanager
    def using(self, collection: Collection) -> Iterator[_Opened]:
        """A collection that stays open within the block; faults of the library behind it become ours."""
        entry, name = self._enter(collection), collection.name
        try:
            with library_faults(f"The collection {name} failed", f"If it stays so: kilonova collections drop {name}."):
                yield entry.collection
        except LibraryFault:
            entry.broken = True  # opened anew when it is used again
            raise
        finally:
            with self._lock:
                entry.users -= 1
                self._lock.notify_all()

    def _has(self, name: str) -> bool:
        folder = self._folder / name
        with _disk_faults(folder, "read"):
            return (folder / _FILE).exists()

    def _find(self, name: str) -> Collection:
        entry = self._open.get(name)  # what is open needs no look at the disk
        if entry is not None:
            return entry.facts
        if not self._has(name):
            raise missing(name, self.collections())
        return _collection(self._folder / name / _FILE)

    def _create(self, collection: Collection) -> None:
        folder = self._folder / collection.name
        with self._lock, _disk_faults(folder):
            if self._has(collection.name):  # another thread was faster
                raise taken(collection.name)
            folder.mkdir(parents=True, exist_ok=True)
            self.check_space()
            self._take(collection, new=True)
            facts = {"format": _FORMAT, **collection.facts}
            del facts["name"]
            replace_file(folder / _FILE, json.dumps(facts, indent=1) + "\n")  # now there is a collection

    def _drop(self, name: str) -> None:
        """See the contract. What cannot be opened is deleted like the rest."""
        folder = self._folder / name
        with self._lock:
            if not self._has(name):
                raise missing(name, self.collections())
            entry = self._open.get(name)
            owner = entry.owner if entry is not None else Owner(folder, self._url)
            with _disk_faults(folder):
                (folder / _FILE).rename(folder / f"{_FILE}.old")  # now there is none, whatever kind of entry it was
            if entry is not None:
                self._lock.wait_for(lambda: not entry.users)
                del self._open[name]
                with contextlib.suppress(LibraryFault), library_faults("", ""):  # it goes, whatever its state
                    entry.collection.close()
            shutil.rmtree(folder, ignore_errors=True)
            owner.close()

    def _collections(self) -> list[Collection]:
        return [found for found in self._read().values() if isinstance(found, Collection)]

    def faults(self) -> dict[str, str]:
        return {name: str(found) for name, found in self._read().items() if isinstance(found, KilonovaError)}

    def close(self) -> None:
        with self._lock:
            for entry in self._open.values():
                self._lock.wait_for(lambda entry=entry: not entry.users)  # type: ignore[misc]
                entry.close()
            self._open.clear()

    def check_space(self, size: int = 0, points: Sequence[Point] = ()) -> None:
        """Refuse a write that would not leave room on the disk.

        Args:
            size: bytes about to be written, points: that are about to be written.

        Raises:
            Unavailable: less than 256 MiB would be left.
        """
        size += sum(_WRITTEN * (point.vector.nbytes + len(point.text)) + _PLACE for point in points)
        free = shutil.disk_usage(self._folder).free
        if free - size < RESERVE:
            raise Unavailable(
                f"The disk of {self._folder} has {free >> 20:,} MiB left; writing stops at {RESERVE >> 20}.",
                "Make room, or move the data: --data FOLDER.",
            )

    def _enter(self, collection: Collection) -> _Entry[_Opened]:
        name = collection.name
        with self._lock:
            entry = self._open.get(name)
            if entry is not None and entry.broken and not entry.users:
                del self._open[name]
                with contextlib.suppress(LibraryFault), library_faults("", ""):
                    entry.close()
                entry = None
            if entry is None:
                entry = self._take(self._find(name), new=False)
            if entry.facts != collection:  # dropped and made again since the caller looked
                raise Unavailable(f"The collection {name} was just made again.", "Try again.")
            entry.users += 1
            self._open.move_to_end(name)
            self._close_idle()
            return entry

    def _close_idle(self) -> None:
        idle = [name for name, entry in self._open.items() if not entry.users]
        for name in idle[: max(0, len(self._open) - MAX_OPEN)]:
            self._open.pop(name).close()

    def _take(self, collection: Collection, *, new: bool) -> _Entry[_Opened]:
        name, folder = collection.name, self._folder / collection.name
        with _disk_faults(folder):
            owner = Owner(folder, self._url)
        try:
            hint = f"Delete it with: kilonova collections drop {name}; or restore its folder from a backup."
            with library_faults(f"The collection {name} in {folder} cannot be opened", hint):
                entry = _Entry(self.load(collection, folder, new=new), collection, owner)
        except BaseException:
            owner.close()
            raise
        self._open[name] = entry
        return entry

    def _read(self) -> dict[str, Collection | KilonovaError]:
        """Every collection by its name, or why it cannot be read."""
        found: dict[str, Collection | KilonovaError] = {}
        for path in sorted(self._folder.glob(f"*/{_FILE}")):
            try:
                found[path.parent.name] = _collection(path)
            except KilonovaError as fault:
                found[path.parent.name] = fault
        return found


class LibraryFault(Unavailable):
    """The library behind a store failed in a way that no input explains."""


@contextlib.contextmanager
def library_faults(what: str, hint: str) -> Iterator[None]:
    """Turn what a store's library raises into ``LibraryFault``.

    Qdrant Edge raises plain ``Exception``, and ``PanicException``, which is no ``Exception`` but a ``BaseException``.

    Args:
        what: that failed, and hint: what to do, for the message.
    """
    try:
        yield
    except (KilonovaError, GeneratorExit, KeyboardInterrupt, SystemExit):
        raise
    except BaseException as error:
        _log.info("%s", what, exc_info=True)
        reason = " ".join(str(error).split())[:300] or type(error).__name__
        raise LibraryFault(f"{what}: {reason.rstrip('.')}.", hint) from error


@contextlib.contextmanager
def _disk_faults(folder: Path, work: str = "written") -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Unavailable(
            f"{folder} cannot be {work}: {error.strerror}.", "See who owns it, and whether its disk is full."
        ) from error


def _collection(path: Path) -> Collection:
    """A collection as its file describes it.

    Raises:
        Unavailable: the file cannot be read or does not describe one.
        InvalidInput: it has a newer format.
    """
    name = path.parent.name
    hint = f"Restore the file, or delete the collection with: kilonova collections drop {name}."
    try:
        if not path.is_file():  # a pipe would be waited for without an end, with the store's lock held
            raise OSError("it is no file")
        facts: Any = json.loads(path.read_text())
        if facts["format"] == _FORMAT:
            return Collection.of({**facts, "name": name})
        written = facts["format"]
    except (OSError, ValueError, KeyError, TypeError, RecursionError) as error:
        raise Unavailable(f"{path} cannot be read: {type(error).__name__}: {error}.", hint) from None
    raise InvalidInput(f"{path} has format {written!r}; this version reads {_FORMAT}.", "Update Kilonova.")
