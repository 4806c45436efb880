"""Files wherever they lie: paths of this machine, and objects of S3."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from kilonova.storage.objects import ObjectFile, ObjectInfo
from kilonova.storage.s3 import connect
from kilonova.wire.errors import Validation

__all__ = ["open_file", "read_file"]


@cache
def _client() -> Any:
    return connect()  # takes a fifth of a second, and only those who use S3 have credentials


def open_file(uri: str, info: ObjectInfo, owner: str | None = None) -> BinaryIO:
    """A file for reading.

    Args:
        uri: a path or ``s3://bucket/key``.
        info: the state that is wanted; only objects of S3 are held to it.
        owner: 12-digit account that must own the bucket.

    Raises:
        Validation: there is no such path, or it may not be read.
    """
    if uri.startswith("s3://"):
        return cast(BinaryIO, ObjectFile(_client(), uri, info, owner))
    try:
        return Path(uri).open("rb")
    except OSError as error:
        raise Validation(f"{uri} cannot be read: {error.strerror}.") from None


def read_file(uri: str, info: ObjectInfo) -> bytes:
    """All of a file.

    Raises:
        Validation: as ``open_file``.
        Unavailable: S3 keeps failing.
    """
    with open_file(uri, info) as file:
        return file.read()
