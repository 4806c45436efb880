"""What lies in everybody's folders and is nobody's media: it is passed over, and counted by kind."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping

__all__ = [
    "BROKEN_LINK",
    "EMPTY",
    "FOLDER_LINK",
    "NAMES",
    "SIDECAR",
    "SPECIAL",
    "ending",
    "skipped_folder",
    "skipped_key",
    "skipped_name",
    "summarize",
]

HIDDEN, SYSTEM, TEMPORARY = "hidden", "system", "temporary"
EMPTY, SIDECAR, SPECIAL = "empty", "sidecars", "special"
FOLDER_LINK, BROKEN_LINK = "linksToFolders", "brokenLinks"

#: The kinds in words.
NAMES = {
    HIDDEN: "hidden", SYSTEM: "of the system", TEMPORARY: "temporary", EMPTY: "empty", SIDECAR: "beside others",
    SPECIAL: "pipes and devices", FOLDER_LINK: "links to folders", BROKEN_LINK: "links to nothing",
}  # fmt: skip

# Windows, macOS, Linux; the NAS of Synology and QNAP; archives made on a Mac.
_SYSTEM_FOLDERS = frozenset(
    {
        "$recycle.bin", "recycler", "recycled", "system volume information", "found.000", "lost+found",
        "@eadir", "#recycle", "#snapshot", "@recycle", "@recently-snapshot", "@sharebin", "@tmp",
        "network trash folder", "temporary items", "__macosx",
    }
)  # fmt: skip
_SYSTEM_FILES = frozenset({"thumbs.db", "ehthumbs.db", "ehthumbs_vista.db", "desktop.ini", "icon\r", "iconcache.db"})
# Office's owner files lie beside every document that is open; the others are half written.
_TEMPORARY = re.compile(
    r"~\$.*|~wr[dl]\d+\.tmp|.*~|.*\.(tmp|temp|part|partial|crdownload|download|lock|lck|swp)", re.DOTALL
)
# What other programs note beside a photograph or a video.
_SIDECARS = (".xmp", ".aae", ".thm", ".nfo")
_ENDING = re.compile(r"[a-z0-9_-]{1,12}")


def skipped_folder(name: str) -> str | None:
    """The kind of a folder that is passed over, None for one that is looked into."""
    if name.startswith("."):
        return HIDDEN
    return SYSTEM if name.lower() in _SYSTEM_FOLDERS else None


def skipped_name(name: str) -> str | None:
    """The kind of a file that is passed over by its name, None for one that is looked at."""
    lower = name.lower()
    if lower in _SYSTEM_FILES or lower.startswith("._") or lower == ".ds_store":
        return SYSTEM
    if name.startswith("."):
        return HIDDEN
    if _TEMPORARY.fullmatch(lower):
        return TEMPORARY
    return SIDECAR if lower.endswith(_SIDECARS) else None


def skipped_key(key: str, prefix: str) -> str | None:
    """The same of an object of S3 under a prefix: the folders between, in its key, count as well."""
    *folders, name = key[prefix.rfind("/") + 1 :].split("/")
    return next((kind for folder in folders if (kind := skipped_folder(folder))), None) or skipped_name(name)


def ending(name: str) -> str:
    """What files of other kinds are counted by: ``.heic``, or ``(none)``."""
    _, dot, found = name.lower().rpartition(".")
    return f".{found}" if dot and _ENDING.fullmatch(found) else "(none)"


def summarize(counts: Mapping[str, int], shown: int = 8) -> str:
    """Counts in words, the most first: ``4 .heic, 3 .svg, …``."""
    found = [f"{count:,} {what}" for what, count in Counter(counts).most_common(shown)]
    return ", ".join([*found, *(["…"] if len(counts) > shown else [])])
