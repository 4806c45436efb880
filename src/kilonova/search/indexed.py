"""Which files were indexed into which collection on this machine: only they are handed out over HTTP.

The list is an SQLite database in the data folder, written by the indexing run alone. Whoever can write there may read
the files himself; points written over HTTP cannot add to it, so nobody reads a file of the server by naming it in a
payload.
"""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from kilonova.segments.files import under
from kilonova.storage.files import path_of

__all__ = ["find_path", "forget", "record"]

_NAME = "indexed.sqlite"
_WAIT_SECONDS = 30.0  # for another run that writes
_TABLE = (
    "CREATE TABLE IF NOT EXISTS files (collection TEXT, uri BLOB, path BLOB, PRIMARY KEY (collection, uri)) "
    "WITHOUT ROWID"
)


def record(data: Path, collection: str, roots: Sequence[str], uris: Iterable[str]) -> None:
    """Note files that are indexed. Those that lie elsewhere in truth, behind a link, are left out.

    Args:
        data: the data folder.
        collection: where their points go.
        roots: what is indexed, as ``listing.resolve`` gives it.
        uris: of the files found there.
    """
    real_roots = [os.path.realpath(path_of(root)) for root in roots if not root.startswith("s3://")]
    folders: dict[str, str] = {}
    rows: list[tuple[str, bytes, bytes]] = []
    for uri in uris:
        remote = uri.startswith("s3://")
        path = uri if remote else _real(os.fspath(path_of(uri)), folders)
        if remote or any(under(path, root) for root in real_roots):
            rows.append((collection, _bytes(uri), _bytes(path)))
    data.mkdir(parents=True, exist_ok=True)
    with _database(data) as database:
        database.execute(_TABLE)
        database.executemany("INSERT OR REPLACE INTO files VALUES (?, ?, ?)", rows)


def find_path(data: Path, collection: str, uri: str) -> str | None:
    """Where the file of a uri lies, if it was indexed into that collection and nothing leads elsewhere by now.

    Args:
        data: the data folder.
        collection: where its point is.
        uri: of the file, as the point says.

    Returns:
        Its path without links, or its ``s3://`` uri; None for a file that is not to be handed out.
    """
    if not (data / _NAME).exists():
        return None
    with _database(data) as database:
        found = database.execute(
            "SELECT path FROM files WHERE collection = ? AND uri = ?", (collection, _bytes(uri))
        ).fetchone()
    if found is None:
        return None
    path = os.fsdecode(found[0])
    return path if uri.startswith("s3://") or os.path.realpath(path_of(uri)) == path else None


def forget(data: Path, collection: str) -> None:
    """Forget the files of a collection that is dropped.

    Args:
        data: the data folder.
        collection: its name.
    """
    if (data / _NAME).exists():
        with _database(data) as database:
            database.execute("DELETE FROM files WHERE collection = ?", (collection,))


@contextmanager
def _database(data: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(data / _NAME, timeout=_WAIT_SECONDS)) as database, database:
        yield database


def _real(path: str, folders: dict[str, str]) -> str:
    """``os.path.realpath`` of a file, with that of its folder looked up once."""
    folder, name = os.path.split(path)
    if folder not in folders:
        folders[folder] = os.path.realpath(folder)
    found = Path(folders[folder]) / name
    return os.path.realpath(found) if found.is_symlink() else str(found)


def _bytes(uri: str) -> bytes:
    return uri.encode("utf-8", "surrogateescape")
