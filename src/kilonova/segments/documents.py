"""Readers of documents: what turns a file of an ending into pages.

Each is an entry point of the group ``kilonova.readers`` whose name is the ending without its dot. Those of other
distributions are asked for endings that nothing here reads.
"""

from __future__ import annotations

from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, Protocol, TypeGuard, runtime_checkable

from kilonova import plugins
from kilonova.media.content import Image

__all__ = [
    "BUILT_IN",
    "GROUP",
    "DocumentReader",
    "Page",
    "Pages",
    "has_built_in_reader",
    "has_plugin_reader",
    "is_reader",
    "reader_of",
]

#: The group of entry points.
GROUP = "kilonova.readers"

#: Kilonova's own, by ending.
BUILT_IN = {
    "pdf": "kilonova.segments.pdf:READER",
    "docx": "kilonova.segments.office:READER",
    "pptx": "kilonova.segments.office:READER",
    "xlsx": "kilonova.segments.office:READER",
}


@dataclass(frozen=True, eq=False)
class Page:
    """A page of a document.

    Attributes:
        image: what it looks like; None where it cannot be drawn or the reader knows only its words.
        words: its text layer, or what was read off the image; "" where there are none.
        fault: what of it cannot be read, and why.
        crashed: whether it ended the process that read it.
    """

    image: Image | None
    words: str
    fault: str = ""
    crashed: bool = False


class Pages(Protocol):
    """The pages of an open document, each read when it is asked for."""

    def __len__(self) -> int:
        """How many there are."""

    def __getitem__(self, number: int, /) -> Page:
        """A page, from 0."""


@runtime_checkable
class DocumentReader(Protocol):
    """Reads documents of one format, in a process of its own: it may take as long as it needs, up to a minute a page,
    and a file that crashes it costs that file alone."""

    def open(self, file: BinaryIO, name: str, folder: Path) -> AbstractContextManager[Pages]:
        """Open a document.

        Args:
            file: the file, seekable, open until the context ends.
            name: of the file, for its ending and for errors.
            folder: does not exist; may be made for temporary files, and is removed at the end.

        Raises:
            InvalidInput: the file cannot be read.
        """

    def facts(self, file: BinaryIO) -> dict[str, Any]:
        """What the file says of itself as JSON values: ``title``, ``author``, ``pages``, ``date`` (ISO 8601), …"""


def has_built_in_reader(name: str) -> bool:
    """Whether Kilonova itself reads documents of that file name's ending."""
    return _ending(name) in BUILT_IN


def has_plugin_reader(name: str) -> bool:
    """Whether an installed plug-in reads documents of that file name's ending; nothing is imported."""
    return _ending(name) in plugins.names(GROUP)


def reader_of(name: str) -> DocumentReader | None:
    """The reader for a file name's ending, None where there is none.

    Raises:
        Unavailable: the plug-in that reads them cannot be loaded.
    """
    ending = _ending(name)
    if ending in BUILT_IN:
        reader: DocumentReader = plugins.resolve(BUILT_IN[ending])
        return reader
    return plugins.find(GROUP, ending, is_reader)


def _ending(name: str) -> str:
    return name.rpartition(".")[2].lower()


def is_reader(found: object) -> TypeGuard[DocumentReader]:
    """Whether an object is what plug-ins of this group bring."""
    return isinstance(found, DocumentReader)
