"""PDF files to pages: a picture of each, and the words in its text layer."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pypdfium2

from kilonova.media import limits
from kilonova.media.content import Detail, Image
from kilonova.wire.errors import Validation

__all__ = ["pages"]

_POINTS = 72.0  # PDF's unit of length, to the inch
_DPI = 150.0


def pages(path: Path, wanted: range | None = None) -> Iterator[Image]:
    """The pages of a PDF file (all, or those of the range, from 0), one at a time.

    Each is rendered at 150 dpi, smaller where its longest side would pass ``limits.DOCUMENT_SIDE``. Its text is that
    of the file's text layer; a page without one, a scan, has None, and a model that reads pages looks for itself.

    Raises:
        Validation: no PDF, damaged or locked by a password; or a page that is not there or cannot be rendered.
    """
    document = _open(path)
    try:
        for number in wanted if wanted is not None else range(len(document)):
            if not 0 <= number < len(document):
                raise Validation(f"{path} has {len(document)} pages; there is no page {number + 1}.")
            yield _page(document, number, path)
    finally:
        document.close()


def _open(path: Path) -> pypdfium2.PdfDocument:
    try:
        return pypdfium2.PdfDocument(path)
    except (pypdfium2.PdfiumError, FileNotFoundError) as error:
        raise Validation(f"{path} cannot be read as a PDF: {error}.", "Damaged or locked files are not read.") from None


def _page(document: pypdfium2.PdfDocument, number: int, path: Path) -> Image:
    try:
        page = document[number]
        longest = max(page.get_size())
        scale = min(_DPI / _POINTS, limits.DOCUMENT_SIDE / max(longest, 1.0))
        pixels = np.asarray(page.render(scale=scale).to_pil().convert("RGB"))
        words = page.get_textpage().get_text_range().strip()
    except pypdfium2.PdfiumError as error:
        raise Validation(f"Page {number + 1} of {path} cannot be rendered: {error}.") from None
    return Image(pixels, Detail.DOCUMENT, words or None)
