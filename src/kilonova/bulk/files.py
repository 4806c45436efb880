"""What lies under an S3 prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from kilonova.media.content import Modality
from kilonova.media.sniff import TEXTS, modality_of_name
from kilonova.storage.objects import ObjectInfo, objects

__all__ = ["Listed", "files"]


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


def files(client: Any, uri: str, output: str) -> Iterator[Listed | None]:
    """The files under a prefix, without the parts written to ``output``; None for one whose ending says nothing that
    can be embedded."""
    for name, info in objects(client, uri):
        if name.endswith("/") and not info.size:
            continue  # what consoles make to show a folder
        if name.startswith(f"{output}/") and name.endswith(".parquet"):
            continue
        modality = Modality.TEXT if name.lower().endswith(TEXTS) else modality_of_name(name)
        yield Listed(name, info, modality) if modality is not None else None
