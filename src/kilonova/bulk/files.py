"""What lies under an S3 prefix."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator

from kilonova.segments.files import File, Kind, kind_of, kind_of_file
from kilonova.segments.listing import scan_prefix
from kilonova.segments.progress import Progress
from kilonova.segments.skipped import EMPTY, ending

__all__ = ["files", "state_key"]


def state_key(uri: str, etag: str) -> bytes:
    """16 bytes that stand for a state of a file: sets of millions of them fit into memory."""
    return hashlib.blake2b(f"{uri}\n{etag}".encode(), digest_size=16).digest()


def files(uri: str, output: str, progress: Progress) -> Iterator[File]:
    """The files under a prefix, without the parts written to ``output``; the others are counted in ``progress``."""
    for name, info, skipped in scan_prefix(uri):
        if name.startswith(f"{output}/") and name.endswith(".parquet"):
            continue
        kind = kind_of_file(name, info) if info.size else kind_of(name)
        if skipped:
            progress.skipped[skipped] += 1
        elif kind is None or kind is Kind.DOCUMENT:
            progress.other[ending(name.rpartition("/")[2])] += 1
        elif not info.size:
            progress.skipped[EMPTY] += 1
        else:
            yield File(name, kind, info)
