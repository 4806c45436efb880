"""What lies under an S3 prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kilonova.media.content import Modality
from kilonova.media.sniff import modality_of_name
from kilonova.storage.objects import ObjectInfo, patiently
from kilonova.storage.s3 import explained
from kilonova.wire.errors import Validation

__all__ = ["Listed", "files", "objects", "split_prefix"]

_TEXTS = (".txt", ".md", ".csv", ".json", ".jsonl", ".html", ".htm", ".srt")


@dataclass(frozen=True)
class Listed:
    """A file that can be embedded, by its name."""

    uri: str
    info: ObjectInfo
    modality: Modality

    @staticmethod
    def digest(uri: str, etag: str) -> bytes:
        """16 bytes that stand for a state of a file: sets of millions of them fit into memory."""
        return hashlib.blake2b(f"{uri}\n{etag}".encode(), digest_size=16).digest()

    @property
    def key(self) -> bytes:
        """This file's."""
        return self.digest(self.uri, self.info.etag)


def split_prefix(uri: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix may be empty.

    Raises:
        Validation: no such URI.
    """
    scheme, _, rest = uri.partition("://")
    bucket, _, prefix = rest.partition("/")
    if scheme != "s3" or not bucket:
        raise Validation(f"{uri!r} is no S3 URI.", "It must read s3://bucket/prefix/.")
    return bucket, prefix


def objects(client: Any, uri: str) -> Iterator[tuple[str, ObjectInfo]]:
    """All objects under a prefix, in the order of their keys.

    Raises:
        Validation: the bucket does not exist or may not be listed.
        Unavailable: S3 keeps failing.
    """
    bucket, prefix = split_prefix(uri)
    going_on: dict[str, str] = {}
    while True:
        page = patiently(
            lambda: explained(uri, client.list_objects_v2, Bucket=bucket, Prefix=prefix, **going_on)  # noqa: B023
        )
        for found in page.get("Contents", ()):
            yield f"s3://{bucket}/{found['Key']}", ObjectInfo(int(found["Size"]), str(found["ETag"]))
        if not page.get("IsTruncated"):
            return
        going_on = {"ContinuationToken": page["NextContinuationToken"]}


def files(client: Any, uri: str) -> Iterator[Listed | None]:
    """The files under a prefix; None for one whose ending says nothing that can be embedded."""
    for name, info in objects(client, uri):
        if name.endswith("/") and not info.size:
            continue  # what consoles make to show a folder
        modality = Modality.TEXT if name.lower().endswith(_TEXTS) else modality_of_name(name)
        yield Listed(name, info, modality) if modality is not None else None
