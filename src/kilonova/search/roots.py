"""Which folders and S3 prefixes were indexed on this machine: only what lies in them is handed out over HTTP.

A file for each under ``roots`` of the data folder. Whoever can write there may read the files himself; points written
over HTTP cannot add to it, so nobody reads a file of the server by naming it in a payload.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from pathlib import Path

from kilonova.search.files import under
from kilonova.storage.files import path_of

__all__ = ["known", "remember"]


def remember(data: Path, roots: Sequence[str]) -> None:
    """Note what is indexed.

    Args:
        data: the data folder.
        roots: as ``listing.resolve`` gives them.
    """
    folder = data / "roots"
    folder.mkdir(parents=True, exist_ok=True)
    for root in roots:
        path = folder / hashlib.blake2b(root.encode(), digest_size=16).hexdigest()
        if not path.exists():
            path.write_text(root, encoding="utf-8")


def known(data: Path, uri: str) -> bool:
    """Whether a file lies in something that was indexed."""
    if not uri.startswith("s3://") and ".." in path_of(uri).parts:
        return False
    return any(under(uri, path.read_text(encoding="utf-8")) for path in (data / "roots").glob("*"))
