"""What kind of thing a file is, and what lies beside it."""

from __future__ import annotations

import unicodedata
from dataclasses import dataclass
from enum import StrEnum

from kilonova.media.content import Modality
from kilonova.media.office import ENDINGS
from kilonova.media.sniff import TEXTS, modality_of_name
from kilonova.storage.files import name_of, path_of
from kilonova.storage.objects import ObjectInfo

__all__ = ["PLACE", "File", "Kind", "kind_of", "under"]


class Kind(StrEnum):
    """What people search for and by: Nova's modalities, and documents."""

    TEXT = "text"
    DOCUMENT = "document"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


#: Fields of a payload that say where a point lies in its file, and how its words begin; it has those that apply.
PLACE = ("start", "end", "page", "snippet")
_KINDS = {modality: Kind(str(modality)) for modality in Modality}


@dataclass(frozen=True)
class File:
    """A file that can be indexed.

    Attributes:
        uri: as ``storage.files`` has it.
        kind: by its name.
        info: its state: size, and ETag or time of its last change.
        sidecar: uri and state of a JSON file beside it that says more of it, ``photo.jpg.json``.
        subtitles: the same of subtitles beside a film or a recording, ``film.srt`` or ``film.zh.srt``.
    """

    uri: str
    kind: Kind
    info: ObjectInfo
    sidecar: tuple[str, ObjectInfo] | None = None
    subtitles: tuple[tuple[str, ObjectInfo], ...] = ()

    @property
    def name(self) -> str:
        """The last part of the uri, composed (NFC): macOS writes é as two characters, and people ask for one."""
        return unicodedata.normalize("NFC", name_of(self.uri))


def kind_of(name: str) -> Kind | None:
    """By a file name's ending, None for one that cannot be indexed."""
    lower = name.lower()
    if lower.endswith((".pdf", *ENDINGS)):
        return Kind.DOCUMENT
    if lower.endswith(TEXTS):
        return Kind.TEXT
    modality = modality_of_name(name)
    return _KINDS[modality] if modality is not None else None


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
