"""Pages of office files: drawn where LibreOffice is installed, their words alone elsewhere."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, BinaryIO

from kilonova.segments.documents import Page, Pages
from kilonova.segments.facts import date_facts
from kilonova.segments.pdf import READER as PDF
from kilonova.segments.pdf import pdf_pages

__all__ = ["READER"]


class _Office:
    @contextmanager
    def open(self, file: BinaryIO, name: str, folder: Path) -> Iterator[Pages]:
        from kilonova.media import office

        if office.converter() is None:
            yield self._words(file, name)
            return
        folder.mkdir(parents=True, exist_ok=True)
        path = folder / f"document{Path(name).suffix.lower()}"
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        made = office.as_pdf(path, folder)
        if made is None:
            yield self._words(file, name)
            return
        with pdf_pages(made) as pages:
            yield pages

    def facts(self, file: BinaryIO) -> dict[str, Any]:
        from kilonova.media import office

        if file.read(2) != b"PK":  # a PDF that is named so
            file.seek(0)
            return PDF.facts(file)
        found = office.properties(file)
        return {**found, **date_facts(found.pop("date", ""))}

    @staticmethod
    def _words(file: BinaryIO, name: str) -> list[Page]:
        from kilonova.media import office

        return [Page(None, page.words, page.fault) for page in office.words(file, name)]


READER = _Office()
