"""Pages of PDF files, drawn, and read where they are scans."""

from __future__ import annotations

import io
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any, BinaryIO, cast

from kilonova.errors import InvalidInput, KilonovaError, Unreadable
from kilonova.media.ocr import PageReader
from kilonova.media.words import join_lines
from kilonova.segments.documents import Page, Pages
from kilonova.segments.facts import date_facts, plain

__all__ = ["READER", "pdf_pages"]


class _Source(io.RawIOBase):
    """A file for PDFium, which has no way to say why it could not be read."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.fault: KilonovaError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(memoryview(buffer).nbytes)
        except KilonovaError as error:
            self.fault = error
            return 0
        except OSError as error:
            self.fault = Unreadable(f"The file cannot be read: {error.strerror}.")
            return 0
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)


class _Pages:
    def __init__(self, document: Any, source: _Source | None) -> None:
        self._document, self._source = document, source

    def __len__(self) -> int:
        return len(self._document)

    def __getitem__(self, number: int) -> Page:
        from kilonova.media import document

        try:
            image = document.page(self._document, number)
        except InvalidInput as error:
            words = document.words(self._document, number)
            self._check()
            return Page(None, words, str(error))
        self._check()
        if image.text is not None:
            return Page(image, image.text)
        # a scan's words are looked for by BM25, too, so they are not left to the model
        noted = document.words(self._document, number)
        try:
            read = join_lines(_ocr()(image.pixels))
        except Exception as error:  # whatever the models make of an image, the image is there
            return Page(image, noted, f"The words of page {number + 1} cannot be read ({type(error).__name__}).")
        words = "\n".join(one for one in (read, noted) if one)
        return Page(replace(image, text=words), words)

    def _check(self) -> None:
        """Say what kept the file from being read, if that is why PDFium cannot make anything of it."""
        if self._source is not None and self._source.fault is not None:
            raise self._source.fault


@cache
def _ocr() -> PageReader:
    return PageReader()


@contextmanager
def pdf_pages(file: Path | BinaryIO) -> Iterator[Pages]:
    """The pages of a PDF file, a path or the open file.

    Raises:
        InvalidInput: it is no PDF, damaged or locked by a password.
        Unavailable, Unreadable: the file cannot be read at present.
    """
    from kilonova.media import document

    if isinstance(file, Path):
        with document.open_document(file) as opened:
            yield _Pages(opened, None)
        return
    source = _Source(file)
    with _open(source) as opened:
        yield _Pages(opened, source)


@contextmanager
def _open(source: _Source) -> Iterator[Any]:
    from kilonova.media import document

    with ExitStack() as stack:
        try:
            opened = stack.enter_context(document.open_document(cast(BinaryIO, source)))
        except InvalidInput as error:
            raise source.fault or error from None
        yield opened


class _Pdf:
    @contextmanager
    def open(self, file: BinaryIO, name: str, folder: Path) -> Iterator[Pages]:
        with pdf_pages(file) as pages:
            yield pages

    def facts(self, file: BinaryIO) -> dict[str, Any]:
        with _open(_Source(file)) as opened:
            facts = cast(dict[str, str], opened.get_metadata_dict(skip_empty=True))
            found = {"title": plain(facts.get("Title")), "author": plain(facts.get("Author")), "pages": len(opened)}
        made = re.match(r"D:(\d{4})(\d\d)(\d\d)", facts.get("CreationDate", ""))
        return found | (date_facts("-".join(made.groups())) if made else {})


READER = _Pdf()
