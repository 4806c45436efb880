"""Which files that a collection knows are gone: those alone that are known to be."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterable
from dataclasses import dataclass, field

from kilonova.segments.files import under
from kilonova.segments.listing import Listing
from kilonova.storage.files import path_of

__all__ = ["Removal", "removal"]

_FORGET = "--remove-missing forgets it"


@dataclass
class Removal:
    """What follows from a listing.

    Attributes:
        gone: files that are to be removed.
        faults: what is kept though it was not found, and why.
    """

    gone: list[str] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)


def removal(listing: Listing, known: Iterable[str], vanished: set[str], *, remove_missing: bool) -> Removal:
    """Tell files that are gone from those that cannot be seen at present.

    Args:
        listing: what there was.
        known: the uris that the collection has.
        vanished: files of the listing that were not there any more when they were read.
        remove_missing: whether roots that are not there, are empty or not mounted have lost their files indeed.
    """
    there = {file.uri for file in listing.files} - vanished
    absent = [uri for uri in known if uri not in there and any(under(uri, root) for root in listing.roots)]
    found = Removal()
    away = [] if remove_missing else _away(listing, absent, there, vanished, found.faults)
    unseen = [uri for uri, _ in listing.faults if not (remove_missing and uri in listing.missing)]
    for uri in absent:
        if not any(under(uri, one) for one in (*away, *unseen)) and _is_gone(uri, listing, found.faults):
            found.gone.append(uri)
    return found


def _away(
    listing: Listing, absent: list[str], there: set[str], vanished: set[str], faults: list[tuple[str, str]]
) -> list[str]:
    """Roots and mounted folders whose files cannot be said to be gone."""
    away = []
    for root in sorted({*listing.roots, *listing.mounts, *listing.unmounted}):
        if listing.unseen(root):
            continue  # it is said already
        lost = sum(under(uri, root) for uri in absent)
        if not (lost or any(under(uri, root) for uri in vanished)):
            continue
        if root in listing.unmounted or (root in listing.mounts and not os.path.ismount(path_of(root))):
            said = "It was a disk or share of its own and is not mounted"
        elif root in listing.roots and not any(under(uri, root) for uri in there):
            said = "Nothing to index is in it any more; is its disk mounted"
        elif not root.startswith("s3://") and not _has_entries(root):
            said = "It cannot be listed any more; is its disk mounted"
        else:
            continue
        end = "?" if "is its" in said else "."
        faults.append((root, f"{said}{end} What is known of its {lost:,} files stays; {_FORGET}."))
        away.append(root)
    return away


def _has_entries(root: str) -> bool:
    path = path_of(root)
    try:
        if not path.is_dir():
            return path.exists()
        with os.scandir(path) as entries:
            return next(entries, None) is not None
    except OSError:
        return False


def _is_gone(uri: str, listing: Listing, faults: list[tuple[str, str]]) -> bool:
    if uri.startswith("s3://"):
        return True  # the whole prefix was listed, and it was not there
    path = path_of(uri)
    try:
        path.lstat()
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            return True
        faults.append((uri, f"It cannot be looked at: {error.strerror}. What is known of it stays."))
        return False
    # what is there and was passed over is not indexed any more; anything else came after the listing
    return listing.passes(uri) and not any(under(uri, one) for one in listing.meant)
