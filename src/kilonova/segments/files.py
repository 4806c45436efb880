"""What kind of thing a file is, and what lies beside it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.util import find_spec

from kilonova.errors import KilonovaError
from kilonova.media.content import Modality
from kilonova.media.sniff import HEIC, TEXTS, modality_of_name, sniff
from kilonova.segments.documents import has_built_in_reader, has_plugin_reader
from kilonova.storage.files import name_of, open_file, path_of
from kilonova.storage.objects import ObjectInfo

__all__ = ["HINTS", "PLACE", "File", "Kind", "kind_of", "kind_of_file", "under"]


class Kind(StrEnum):
    """What people search for and by: Nova's modalities, and documents."""

    TEXT = "text"
    DOCUMENT = "document"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"

    @property
    def modality(self) -> Modality:
        """What its files are embedded as; pages of documents are images."""
        return Modality.IMAGE if self is Kind.DOCUMENT else Modality(str(self))


#: Fields of a payload that say where a point lies in its file, in which encoding that is, and how its words begin; it
#: has those that apply.
PLACE = ("start", "end", "page", "encoding", "snippet")
#: What opens files of an ending that cannot be indexed as it is.
HINTS = {f".{ending}": "pip install 'kilonova[heic]'" for ending in HEIC}
_KINDS = {modality: Kind(str(modality)) for modality in Modality}


@dataclass(frozen=True)
class File:
    """A file that can be indexed.

    Attributes:
        uri: as ``storage.files`` has it.
        kind: by its name.
        info: its state: size, and ETag or time of its last change.
        owner: 12-digit account that must own the file's bucket.
        format: what somebody says of it; its name's ending where "".
        sidecar: uri and state of a JSON file beside it that says more of it, ``photo.jpg.json``.
        subtitles: the same of subtitles beside a video or a recording, ``video.srt`` or ``video.zh.srt``.
    """

    uri: str
    kind: Kind
    info: ObjectInfo
    owner: str | None = None
    format: str = ""
    sidecar: tuple[str, ObjectInfo] | None = None
    subtitles: tuple[tuple[str, ObjectInfo], ...] = ()

    @property
    def name(self) -> str:
        """The last part of the uri, composed (NFC): macOS writes é as two characters, and people ask for one."""
        return unicodedata.normalize("NFC", name_of(self.uri))


def kind_of(name: str) -> Kind | None:
    """By a file name's ending, None for one that cannot be indexed."""
    lower = name.lower()
    if has_built_in_reader(name):
        return Kind.DOCUMENT
    if lower.endswith(TEXTS):
        return Kind.TEXT
    if lower.endswith(tuple(HINTS)) and not _reads_heic():
        return None
    modality = modality_of_name(name)
    if modality is None:
        return Kind.DOCUMENT if has_plugin_reader(name) else None
    return _KINDS[modality]


@cache
def _reads_heic() -> bool:
    return find_spec("pillow_heif") is not None


def kind_of_file(uri: str, info: ObjectInfo) -> Kind | None:
    """The same of a file that is there: .ts is the ending of videos and of a programming language."""
    if not uri.lower().endswith((".ts", ".mts")):
        return kind_of(uri)
    try:
        with open_file(uri, info) as file:
            return Kind.VIDEO if sniff(file.read(1024))[1] else Kind.TEXT
    except (OSError, KilonovaError):
        return Kind.VIDEO  # reading it says why it cannot be read


def under(uri: str, root: str) -> bool:
    """Whether a file is the root or lies in it; whether an object has it as its prefix."""
    if root.startswith("s3://"):
        bucket, _, prefix = root.removeprefix("s3://").partition("/")
        return uri.startswith(f"s3://{bucket}/{prefix}")
    if uri.startswith("file://") or root.startswith("file://"):  # names that are not UTF-8
        if uri.startswith("s3://"):
            return False
        uri, root = str(path_of(uri)), str(path_of(root))
    return uri == root or uri.startswith(root if root.endswith("/") else f"{root}/")
