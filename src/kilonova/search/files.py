"""What lies in folders and under S3 prefixes, and what kind of thing each file is."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from functools import cache
from importlib.util import find_spec
from pathlib import Path

from kilonova.media.content import Modality
from kilonova.media.office import ENDINGS
from kilonova.media.sniff import HEIC, TEXTS, modality_of_name, sniff
from kilonova.media.subtitles import ENDINGS as SUBTITLES
from kilonova.storage.files import open_file
from kilonova.storage.objects import ObjectInfo, objects
from kilonova.storage.s3 import connect
from kilonova.wire.errors import KilonovaError, Validation

__all__ = ["HINTS", "PLACE", "File", "Kind", "ending_of", "kind_of", "resolve", "under", "walk"]


class Kind(StrEnum):
    """What people search for and by: Nova's modalities, and documents."""

    TEXT = "text"
    DOCUMENT = "document"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


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
        uri: absolute path or ``s3://bucket/key``.
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
        """The last part of the uri."""
        return self.uri.rpartition("/")[2]


def kind_of(name: str) -> Kind | None:
    """By a file name's ending, None for one that cannot be indexed."""
    lower = name.lower()
    if lower.endswith((".pdf", *ENDINGS)):
        return Kind.DOCUMENT
    if lower.endswith(TEXTS):
        return Kind.TEXT
    if ending_of(lower) in HINTS and not _reads_heic():
        return None
    modality = modality_of_name(name)
    return _KINDS[modality] if modality is not None else None


def ending_of(name: str) -> str:
    """A file's ending with its full stop in small letters, by which files that cannot be indexed are counted; "" for a
    name without one."""
    stem, stop, ending = name.rpartition("/")[2].rpartition(".")
    return stop + ending.lower() if stem else ""


@cache
def _reads_heic() -> bool:
    return find_spec("pillow_heif") is not None


def _kind(uri: str, info: ObjectInfo) -> Kind | None:
    """The same of a file that is there: .ts is the ending of films and of a programming language."""
    if not uri.lower().endswith((".ts", ".mts")):
        return kind_of(uri)
    try:
        with open_file(uri, info) as file:
            return Kind.VIDEO if sniff(file.read(1024))[1] else Kind.TEXT
    except (OSError, KilonovaError):
        return Kind.VIDEO  # reading it says why it cannot be read


def under(uri: str, root: str) -> bool:
    """Whether a file is the root or lies in it."""
    return uri == root or uri.startswith(root if root.endswith("/") else f"{root}/")


def walk(roots: Sequence[str], strange: Callable[[str], None]) -> Iterator[File]:
    """The files of folders, S3 prefixes and single paths, in order. Hidden files and folders are left out, links to
    folders are not followed.

    Args:
        roots: as ``resolve`` gives them.
        strange: told the uri of every file that cannot be indexed.

    Raises:
        Validation: a root cannot be listed.
    """
    for root in roots:
        if root.startswith("s3://"):
            yield from _classified(list(_objects(root)), strange)
        elif Path(root).is_dir():
            for folder, folders, names in os.walk(root):
                folders[:] = sorted(name for name in folders if not name.startswith("."))
                found = [(f"{folder}/{name}", info) for name in sorted(names) if (info := _info(Path(folder) / name))]
                yield from _classified(found, strange)
        elif info := _info(Path(root)):
            yield from _classified([(root, info)], strange)


def resolve(paths: Sequence[str]) -> list[str]:
    """Paths as ``walk`` wants them: absolute, and there.

    Raises:
        Validation: one is not there.
    """
    roots = []
    for path in paths:
        if path.startswith("s3://"):
            roots.append(path)
            continue
        found = Path(path).expanduser().resolve()
        if not found.exists():
            raise Validation(f"There is no {path}.", "Name files, folders, or s3://bucket/prefix.")
        roots.append(str(found))
    return roots


def _info(path: Path) -> ObjectInfo | None:
    try:
        found = path.stat()
    except OSError:  # gone meanwhile, or a link to nothing
        return None
    return ObjectInfo(found.st_size, str(found.st_mtime_ns))


def _objects(root: str) -> Iterator[tuple[str, ObjectInfo]]:
    for uri, info in objects(connect(), root):
        if not uri.endswith("/"):  # what consoles make to show a folder
            yield uri, info


def _classified(found: list[tuple[str, ObjectInfo]], strange: Callable[[str], None]) -> Iterator[File]:
    states = dict(found)
    subtitles = _subtitles(states)
    taken = {uri for those in subtitles.values() for uri in those}
    for uri, info in found:
        name = uri.rpartition("/")[2]
        if name.startswith(".") or uri in taken or (name.endswith(".json") and uri.removesuffix(".json") in states):
            continue
        kind = _kind(uri, info)
        if kind is None:
            strange(uri)
            continue
        beside = f"{uri}.json"
        yield File(
            uri,
            kind,
            info,
            (beside, states[beside]) if beside in states else None,
            tuple((one, states[one]) for one in sorted(subtitles.get(uri, ()))),
        )


def _subtitles(states: Mapping[str, ObjectInfo]) -> dict[str, list[str]]:
    """The subtitles of films and recordings, by their uris."""
    stems = {uri.rpartition(".")[0]: uri for uri in states if kind_of(uri) in (Kind.VIDEO, Kind.AUDIO)}
    found: dict[str, list[str]] = {}
    for uri in states:
        if uri.lower().endswith(SUBTITLES):
            stem = uri.rpartition(".")[0]
            film = stems.get(stem) or stems.get(stem.rpartition(".")[0])
            if film is not None:
                found.setdefault(film, []).append(uri)
    return found
