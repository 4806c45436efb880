"""The parts of an office file (Open Packaging Conventions, ECMA-376 part 2), read as they come and never all at once.

Elements are known by their names without namespaces: the transitional and the strict form differ in nothing else.
"""

from __future__ import annotations

import posixpath
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, BinaryIO
from zipfile import BadZipFile, ZipFile
from zlib import error as ZlibError

from lxml import etree

from kilonova.errors import InvalidInput

__all__ = ["BROKEN", "OfficePage", "Package", "ReadBudget", "Spent", "attribute", "local"]

#: What a part that is not there or is damaged raises.
BROKEN = (
    BadZipFile,
    KeyError,
    ValueError,
    OSError,
    EOFError,
    NotImplementedError,
    RuntimeError,
    ZlibError,
    etree.Error,
)
_SECONDS = 30.0  # of one file; its reader is killed after 60
_EVENTS, _CHARACTERS = 20_000_000, 20_000_000
_CHUNK = 1 << 20
_EACH = 1_000  # events between two looks at the clock
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"


class Spent(Exception):
    """A file has more in it than is read."""


@dataclass(frozen=True)
class OfficePage:
    """The words of a page, slide or sheet; ``fault`` says what of it cannot be read."""

    words: str
    fault: str = ""


class ReadBudget:
    """How much of a file is read: small files can stand for endless ones."""

    def __init__(self) -> None:
        self._end = time.monotonic() + _SECONDS
        self._events = self._characters = 0

    def step(self) -> None:
        """Count an element.

        Raises:
            Spent: it is the last one.
        """
        self._events += 1
        if self._events > _EVENTS:
            raise Spent
        if not self._events % _EACH:
            self.look()

    def look(self) -> None:
        """Look at the clock.

        Raises:
            Spent: time is up.
        """
        if time.monotonic() > self._end:
            raise Spent

    def take(self, text: str) -> str:
        """Count characters; the same text.

        Raises:
            Spent: as ``step``.
        """
        self._characters += len(text)
        if self._characters > _CHARACTERS:
            raise Spent
        return text


class Package:
    """An office file.

    Args:
        file: it.
        name: what it is called, for errors.

    Raises:
        InvalidInput: it is none.
    """

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.budget = ReadBudget()
        file.seek(0)
        if file.read(len(_OLE)) == _OLE:
            raise InvalidInput(
                f"{name} cannot be read: it is locked by a password, or of Office's format before 2007.",
                "Save it anew without a password.",
            )
        try:
            self._archive = ZipFile(file)
        except BROKEN as error:
            raise InvalidInput(f"{name} cannot be read: {error}.", "Damaged or locked files are not read.") from None
        # some programs write other letters' case and backslashes
        self._names = {one.replace("\\", "/").lstrip("/").lower(): one for one in self._archive.namelist()}

    def has(self, part: str) -> bool:
        """Whether there is a part of that name."""
        return part.lower() in self._names

    def events(self, part: str, events: tuple[str, ...] = ("start", "end")) -> Iterator[tuple[str, Any]]:
        """The elements of a part, as lxml's ``iterparse`` has them; an element is emptied after its end.

        Raises:
            KeyError, ValueError, …: ``BROKEN``.
            Spent: there are more than are read.
        """
        with self._archive.open(self._names[part.lower()]) as file:
            parser = etree.iterparse(
                file, events=events, resolve_entities=False, no_network=True, load_dtd=False, remove_comments=True,
                remove_pis=True, huge_tree=False,
            )  # fmt: skip
            for event, element in parser:
                self.budget.step()
                yield event, element
                if event == "end":
                    element.clear(keep_tail=True)
                    while element.getprevious() is not None:
                        del element.getparent()[0]

    def mentions(self, part: str, word: bytes) -> bool:
        """Whether a word stands in a part; so far as it can be read."""
        before = b""
        try:
            with self._archive.open(self._names[part.lower()]) as file:
                while chunk := file.read(_CHUNK):
                    self.budget.look()
                    if word in before + chunk:
                        return True
                    before = chunk[-len(word) :]
        except BROKEN:
            return False
        return False

    def related(self, part: str) -> dict[str, tuple[str, str]]:
        """What a part refers to: by id its kind, ``footnotes``, and the name of the other part."""
        folder, _, name = part.rpartition("/")
        path = f"{folder}/_rels/{name}.rels".lstrip("/")
        if not self.has(path):
            return {}
        found = {}
        for _, element in self.events(path, ("end",)):
            if local(element) == "Relationship" and element.get("TargetMode") != "External":
                target = element.get("Target", "").replace("\\", "/")
                joined = target if target.startswith("/") else posixpath.join(folder, target)
                found[element.get("Id", "")] = (
                    element.get("Type", "").rpartition("/")[2],
                    posixpath.normpath(joined).lstrip("/"),
                )
        return found

    def of_kind(self, part: str, *kinds: str) -> list[str]:
        """The parts of some kinds that a part refers to; none where its references are damaged."""
        try:
            return [target for kind, target in self.related(part).values() if kind in kinds and self.has(target)]
        except BROKEN:
            return []


def local(element: Any) -> str:
    """An element's name without its namespace."""
    return str(element.tag).rpartition("}")[2]


def attribute(element: Any, name: str) -> str:
    """An attribute by its name without its namespace, "" where there is none."""
    return next((str(value) for key, value in element.attrib.items() if key.rpartition("}")[2] == name), "")
