"""Which folders were disks or shares of their own when they were indexed: the empty folder that is left when one is
away does not mean that its files are gone.

A file for each under ``mounts`` of the data folder.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from kilonova.search.files import under
from kilonova.search.listing import Listing

__all__ = ["compare"]


def compare(data: Path, listing: Listing, *, forget: bool) -> None:
    """Note the mounted folders of a listing, and say in its ``unmounted`` which of those known are not mounted now.

    Args:
        data: the data folder.
        listing: what was looked at.
        forget: whether what is not mounted now shall be forgotten.
    """
    folder = data / "mounts"
    folder.mkdir(parents=True, exist_ok=True)
    for mount in listing.mounts:
        path = folder / hashlib.blake2b(mount.encode(), digest_size=16).hexdigest()
        if not path.exists():
            path.write_text(mount, encoding="utf-8")
    for path in folder.glob("*"):
        mount = path.read_text(encoding="utf-8")
        if mount in listing.mounts or not any(under(mount, root) for root in listing.roots):
            continue
        if forget:
            path.unlink()
        else:
            listing.unmounted.add(mount)
