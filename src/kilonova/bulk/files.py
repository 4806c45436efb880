"""What lies under an S3 prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kilonova.media.content import Modality
from kilonova.media.sniff import TEXTS, modality_of_name
from kilonova.segments.files import kind_of
from kilonova.segments.skipped import EMPTY, ending, skipped_key
from kilonova.storage.objects import ObjectInfo, objects
from kilonova.storage.s3 import split_prefix

__all__ = ["Listed", "PassedOver", "files"]


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


@dataclass(frozen=True)
class PassedOver:
    """An object that is not embedded.

    Attributes:
        ending: what is counted of files of kinds that cannot be embedded, "" for others.
        skipped: the kind of what lies in everybody's folders (``segments.skipped``), "" for others.
    """

    ending: str = ""
    skipped: str = ""


def files(client: Any, uri: str, output: str) -> Iterator[Listed | PassedOver]:
    """The files under a prefix, without the parts written to ``output``."""
    bucket, prefix = split_prefix(uri)
    for name, info in objects(client, uri):
        if name.endswith("/") and not info.size:
            continue  # what consoles make to show a folder
        if name.startswith(f"{output}/") and name.endswith(".parquet"):
            continue
        modality = Modality.TEXT if name.lower().endswith(TEXTS) else modality_of_name(name)
        if kind := skipped_key(name.removeprefix(f"s3://{bucket}/"), prefix):
            yield PassedOver(skipped=kind)
        elif modality is None or kind_of(name) is None:  # or its library is not installed
            yield PassedOver(ending=ending(name.rpartition("/")[2]))
        elif not info.size:
            yield PassedOver(skipped=EMPTY)
        else:
            yield Listed(name, info, modality)
