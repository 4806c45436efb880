"""What runs in a process of its own, because files may crash their libraries: what a file says of itself, and the
pages of documents."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from kilonova.errors import InvalidInput, Unavailable, Unreadable
from kilonova.segments.describe import describe_image, describe_media
from kilonova.segments.documents import Page, Pages, reader_of
from kilonova.segments.facts import of_file
from kilonova.segments.files import Kind
from kilonova.storage.files import name_of, open_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["FactsRequest", "PageRequest", "handler"]


@dataclass(frozen=True)
class FactsRequest:
    """Asks for what a file says of itself: JSON values by name."""

    uri: str
    info: ObjectInfo
    kind: Kind


@dataclass(frozen=True)
class PageRequest:
    """Asks for a page of a document, from 0: a ``Page``, or None after the last one."""

    uri: str
    info: ObjectInfo
    number: int


def handler(folder: str) -> Callable[[FactsRequest | PageRequest], dict[str, Any] | Page | None]:
    """The message handler; it keeps a document open from one page to the next.

    Args:
        folder: where a folder of this process may lie, which the parent removes.
    """
    document = _Document(Path(folder) / str(os.getpid()))

    def answer(request: FactsRequest | PageRequest) -> dict[str, Any] | Page | None:
        return document.page(request) if isinstance(request, PageRequest) else _describe(request)

    return answer


class _Document:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._file: tuple[str, ObjectInfo] | None = None
        self._pages: Pages = []

    def page(self, request: PageRequest) -> Page | None:
        try:
            if self._file != (request.uri, request.info):
                self._close()
                self._pages = self._open(request)
                self._file = (request.uri, request.info)
            if request.number >= len(self._pages):
                self._close()
                return None
            return self._pages[request.number]
        except (InvalidInput, Unavailable):  # it may read another time
            self._close()
            raise

    def _close(self) -> None:
        self._file, self._pages = None, []
        self._stack.close()

    def _open(self, request: PageRequest) -> Pages:
        name = name_of(request.uri)
        reader = reader_of(name) or reader_of("document.pdf")
        assert reader is not None
        file = self._stack.enter_context(open_file(request.uri, request.info))
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        return self._stack.enter_context(reader.open(file, name, self._folder))


def _describe(request: FactsRequest) -> dict[str, Any]:
    """A file that says nothing, or nothing that can be read, is described by nothing: whether it can be embedded is
    found out when it is."""
    reader = _describer(request)
    if reader is None:
        return {}
    try:
        with open_file(request.uri, request.info) as file:
            return of_file(reader(file))
    except (Unavailable, Unreadable):  # what it says is not known; it would be missing for good
        raise
    except Exception:  # Pillow, FFmpeg, PDFium and plug-ins raise all kinds for broken files
        return {}


def _describer(request: FactsRequest) -> Callable[[BinaryIO], dict[str, Any]] | None:
    if request.kind is Kind.DOCUMENT:
        found = reader_of(name_of(request.uri))
        return found.facts if found is not None else None
    return {Kind.IMAGE: describe_image, Kind.AUDIO: describe_media, Kind.VIDEO: describe_media}.get(request.kind)
