"""Files wherever they lie: paths of this machine, and objects of S3.

The uri of a file is its absolute path, ``/home/王/a.txt``, or ``s3://bucket/key``. Names that are not UTF-8 (old discs,
archives of Windows) have no text that can be written: such a file's uri is ``file:///home/王/caf%E9.txt``, with those
bytes and ``%`` percent-encoded as RFC 8089 has it.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import BinaryIO, cast
from urllib.parse import unquote_to_bytes

from kilonova.errors import Gone, Unreadable
from kilonova.storage.objects import ObjectFile, ObjectInfo
from kilonova.storage.s3 import connect

__all__ = ["name_of", "open_file", "path_of", "read_file", "uri_of"]

_SCHEME = "file://"


def uri_of(path: str | os.PathLike[str]) -> str:
    """The uri of an absolute path."""
    raw = os.fsencode(path)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return _SCHEME + _escaped(raw)


def path_of(uri: str) -> Path:
    """The path of a file's uri, whatever bytes are in it; the uri must be none of S3."""
    raw = (
        unquote_to_bytes(uri.removeprefix(_SCHEME))
        if uri.startswith(_SCHEME)
        else uri.encode("utf-8", "surrogateescape")
    )
    return Path(os.fsdecode(raw))


def name_of(uri: str) -> str:
    """The last part of a uri as text that can be written: a byte that is no UTF-8 reads ``%E9``."""
    name = uri.rpartition("/")[2]
    if not uri.startswith(_SCHEME):
        return name
    return _printable(unquote_to_bytes(name))


def open_file(uri: str, info: ObjectInfo, owner: str | None = None) -> BinaryIO:
    """A file for reading.

    Args:
        uri: of a path or an object.
        info: the state that is wanted; only objects of S3 are held to it.
        owner: 12-digit account that must own the bucket.

    Raises:
        Gone: there is no such path.
        Unreadable: it may not be read, or cannot be.
    """
    if uri.startswith("s3://"):
        return cast(BinaryIO, ObjectFile(connect(), uri, info, owner))
    try:
        return path_of(uri).open("rb")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise Gone(f"{uri} cannot be read: {error.strerror}.") from None
    except OSError as error:
        raise Unreadable(f"{uri} cannot be read: {error.strerror}.") from None


def read_file(uri: str, info: ObjectInfo) -> bytes:
    """All of a file.

    Raises:
        Gone, Unreadable: as ``open_file``.
        Unavailable: S3 keeps failing.
    """
    with open_file(uri, info) as file:
        try:
            return file.read()
        except OSError as error:
            raise Unreadable(f"{uri} cannot be read: {error.strerror}.") from None


def _escaped(raw: bytes) -> str:
    return _printable(raw.replace(b"%", b"%25"))


def _printable(raw: bytes) -> str:
    text = raw.decode("utf-8", "surrogateescape")
    return re.sub("[\udc80-\udcff]", lambda found: f"%{ord(found[0]) - 0xDC00:02X}", text)
