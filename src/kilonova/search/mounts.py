"""What is remembered of folders from run to run, so that nothing is forgotten by mistake.

Which were disks or shares of their own: the empty folder that is left when one is away does not mean that its files are
gone. Which were named themselves: a hidden folder that somebody indexed is passed over when the folder around it is.

A file for each under ``mounts`` and ``named`` of the data folder.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from pathlib import Path

from kilonova.segments.files import under
from kilonova.segments.listing import Listing

__all__ = ["compare"]


def compare(data: Path, listing: Listing, *, forget: bool) -> None:
    """Note the mounted folders and the roots of a listing, and say which of those known are not mounted now
    (``unmounted``), or lie in what was passed over (``meant``).

    Args:
        data: the data folder.
        listing: what was looked at.
        forget: whether what is not mounted now shall be forgotten.
    """
    _note(data / "mounts", listing.mounts)
    _note(data / "named", (root for root in listing.roots if not root.startswith("s3://")))
    for path in (data / "mounts").glob("*"):
        mount = path.read_text(encoding="utf-8")
        if mount in listing.mounts or not any(under(mount, root) for root in listing.roots):
            continue
        if forget:
            path.unlink()
        else:
            listing.unmounted.add(mount)
    named = (path.read_text(encoding="utf-8") for path in (data / "named").glob("*"))
    listing.meant.update(root for root in named if listing.passes(root))


def _note(folder: Path, uris: Iterable[str]) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for uri in uris:
        path = folder / hashlib.blake2b(uri.encode(), digest_size=16).hexdigest()
        if not path.exists():
            path.write_text(uri, encoding="utf-8")
