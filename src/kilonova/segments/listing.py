"""What lies in folders and under S3 prefixes, and what of it could not be looked at."""

from __future__ import annotations

import errno
import os
import stat
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from kilonova.errors import KilonovaError
from kilonova.media.subtitles import ENDINGS as SUBTITLES
from kilonova.segments.files import File, Kind, kind_of, kind_of_file, under
from kilonova.segments.skipped import (
    BROKEN_LINK,
    EMPTY,
    FOLDER_LINK,
    SIDECAR,
    SPECIAL,
    ending,
    skipped_folder,
    skipped_key,
    skipped_name,
)
from kilonova.storage.files import path_of, uri_of
from kilonova.storage.objects import ObjectInfo, objects
from kilonova.storage.s3 import connect, split_prefix

__all__ = ["Listing", "is_missing", "look", "resolve", "scan_prefix"]


@dataclass
class Listing:
    """What was found under some roots.

    Attributes:
        roots: where, as ``resolve`` gives them.
        files: what can be indexed, each once.
        faults: files, folders and roots that could not be looked at, and why: what is known of them stays.
        missing: those of the roots that are not there.
        other: files of kinds that cannot be indexed, by ending.
        skipped: what is passed over, by kind (``segments.skipped``).
        passed: uris of both, folders among them.
        mounts: folders that are disks or shares of their own.
        unmounted: folders that were, when they were looked at before (``search.mounts``).
        meant: roots of other runs within what was passed over: a hidden folder that was named itself.
    """

    roots: list[str]
    files: list[File] = field(default_factory=list)
    faults: list[tuple[str, str]] = field(default_factory=list)
    missing: set[str] = field(default_factory=set)
    other: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    passed: set[str] = field(default_factory=set)
    mounts: set[str] = field(default_factory=set)
    unmounted: set[str] = field(default_factory=set, compare=False)
    meant: set[str] = field(default_factory=set, compare=False)

    def passes(self, uri: str) -> bool:
        """Whether a file, or a folder that it lies in, was passed over."""
        return any(one in self.passed for one in (uri, *map(uri_of, path_of(uri).parents)))

    def unseen(self, uri: str) -> bool:
        """Whether a file lies in something that could not be looked at."""
        return any(under(uri, fault) for fault, _ in self.faults)


def resolve(paths: Sequence[str]) -> list[str]:
    """The uris of paths and S3 prefixes, each once."""
    found = [path if path.startswith("s3://") else uri_of(os.path.realpath(_expanded(path))) for path in paths]
    return list(dict.fromkeys(found))


def is_missing(root: str) -> bool:
    """Whether a root is known not to be there; of S3 only listing tells."""
    if root.startswith("s3://"):
        return False
    try:
        path_of(root).stat()
    except (FileNotFoundError, NotADirectoryError):
        return True
    except OSError:
        return False
    return False


def look(roots: Sequence[str]) -> Listing:
    """List folders, S3 prefixes and single paths.

    Hidden files and folders, and what systems leave in folders, are passed over; links to folders are not followed.
    What cannot be listed is one of ``faults`` and never ends the rest.

    Args:
        roots: as ``resolve`` gives them.
    """
    return _Look(Listing(list(roots))).all()


def scan_prefix(root: str) -> Iterator[tuple[str, ObjectInfo, str]]:
    """The objects under an S3 prefix: their uris, their states, and why they are passed over (``segments.skipped``), ""
    for those that are not.

    Raises:
        KilonovaError: they cannot be listed.
    """
    bucket, prefix = split_prefix(root)
    for uri, info in objects(connect(), root):
        if not uri.endswith("/"):  # what consoles make to show a folder
            yield uri, info, skipped_key(uri.removeprefix(f"s3://{bucket}/"), prefix) or ""


class _Look:
    def __init__(self, found: Listing) -> None:
        self._found = found
        self._folders: set[str] = set()  # overlapping roots: each folder and each file counts once
        self._seen: set[str] = set()

    def all(self) -> Listing:
        # folders first: a file that is a root besides has its sidecar and subtitles there
        for root in sorted(self._found.roots, key=_is_file):
            if root.startswith("s3://"):
                self._prefix(root)
            else:
                self._path(root)
        return self._found

    def _skip(self, uri: str, kind: str) -> None:
        self._found.skipped[kind] += 1
        self._found.passed.add(uri)

    def _fault(self, uri: str, error: OSError) -> None:
        fault = (uri, f"It cannot be looked at: {error.strerror}. What is known of it stays.")
        if fault not in self._found.faults[-1:]:
            self._found.faults.append(fault)

    def _prefix(self, root: str) -> None:
        states: dict[str, ObjectInfo] = {}
        try:
            for uri, info, skipped in scan_prefix(root):
                if uri in self._seen:
                    continue
                self._seen.add(uri)
                if skipped:
                    self._skip(uri, skipped)
                else:
                    states[uri] = info
        except KilonovaError as error:  # what came before it is there all the same
            self._found.faults.append((root, f"It cannot be listed: {error} What is known of it stays."))
        self._classify(states)

    def _path(self, root: str) -> None:
        path = path_of(root)
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            self._found.missing.add(root)
            self._found.faults.append(
                (
                    root,
                    f"There is no {root}. Is its disk mounted? What is known of it stays; --remove-missing forgets it.",
                )
            )
        except OSError as error:
            self._fault(root, error)
        else:
            if stat.S_ISDIR(found.st_mode):
                self._tree(path)
            elif root not in self._seen:
                self._seen.add(root)
                if self._regular(root, found):
                    self._classify({root: _info(found)})

    def _tree(self, top: Path) -> None:
        todo = [top]
        while todo:
            folder = todo.pop()
            uri = uri_of(folder)
            if uri in self._folders:
                continue
            self._folders.add(uri)
            try:
                if folder.is_mount():
                    self._found.mounts.add(uri)
                with os.scandir(folder) as entries:
                    inside = sorted(entries, key=lambda one: os.fsencode(one.name))
            except FileNotFoundError:
                continue  # deleted meanwhile
            except OSError as error:
                self._fault(uri, error)
                continue
            states: dict[str, ObjectInfo] = {}
            folders = [Path(one.path) for one in inside if self._entry(one, states)]
            self._classify(states)
            todo += reversed(folders)

    def _entry(self, entry: os.DirEntry[str], states: dict[str, ObjectInfo]) -> bool:
        """Note a file's state; whether the entry is a folder to look into."""
        uri = uri_of(entry.path)
        kind = skipped_name(entry.name)
        try:
            found = entry.stat()
        except OSError as error:
            if kind := kind or skipped_folder(entry.name):
                self._skip(uri, kind)
            elif error.errno == errno.ELOOP or (error.errno in (errno.ENOENT, errno.ENOTDIR) and entry.is_symlink()):
                self._skip(uri, BROKEN_LINK)
            elif error.errno == errno.EACCES:  # it is the folder that lets nobody in, to none of its files
                self._fault(uri_of(Path(entry.path).parent), error)
            elif error.errno not in (errno.ENOENT, errno.ENOTDIR):  # else deleted meanwhile
                self._fault(uri, error)
            return False
        if stat.S_ISDIR(found.st_mode):
            kind = FOLDER_LINK if entry.is_symlink() else skipped_folder(entry.name)
            if kind:
                self._skip(uri, kind)
            return kind is None
        if uri not in self._seen:
            self._seen.add(uri)
            if kind:
                self._skip(uri, kind)
            elif self._regular(uri, found):
                states[uri] = _info(found)
        return False

    def _regular(self, uri: str, found: os.stat_result) -> bool:
        if stat.S_ISREG(found.st_mode):
            return True
        self._skip(uri, SPECIAL)  # a pipe would be waited for without an end
        return False

    def _classify(self, states: Mapping[str, ObjectInfo]) -> None:
        subtitles = _subtitles(states)
        taken = {uri for those in subtitles.values() for uri in those}
        for uri, info in states.items():
            kind = kind_of_file(uri, info) if info.size else kind_of(uri)
            if uri in taken or (uri.endswith(".json") and uri.removesuffix(".json") in states):
                self._skip(uri, SIDECAR)
            elif kind is None:
                self._found.other[ending(uri.rpartition("/")[2])] += 1
                self._found.passed.add(uri)
            elif not info.size:
                self._skip(uri, EMPTY)
            else:
                beside = f"{uri}.json"
                sidecar = (beside, states[beside]) if beside in states else None
                cues = tuple((one, states[one]) for one in sorted(subtitles.get(uri, ())))
                self._found.files.append(File(uri, kind, info, sidecar=sidecar, subtitles=cues))


def _is_file(root: str) -> bool:
    try:
        return not root.startswith("s3://") and path_of(root).is_file()
    except OSError:
        return False


def _expanded(path: str) -> Path:
    try:
        return Path(path).expanduser()
    except RuntimeError:  # ~ and no user's name: a file may be called so
        return Path(path)


def _info(found: os.stat_result) -> ObjectInfo:
    return ObjectInfo(found.st_size, str(found.st_mtime_ns))


def _subtitles(states: Mapping[str, ObjectInfo]) -> dict[str, list[str]]:
    """The subtitles of videos and recordings, by their uris."""
    stems = {uri.rpartition(".")[0]: uri for uri in states if kind_of(uri) in (Kind.VIDEO, Kind.AUDIO)}
    found: dict[str, list[str]] = {}
    for uri in states:
        if uri.lower().endswith(SUBTITLES):
            stem = uri.rpartition(".")[0]
            video = stems.get(stem) or stems.get(stem.rpartition(".")[0])
            if video is not None:
                found.setdefault(video, []).append(uri)
    return found
