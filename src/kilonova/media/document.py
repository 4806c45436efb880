"""PDF files to pages: a picture of each, and the words in its text layer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

import numpy as np
import pypdfium2

from kilonova.media import limits
from kilonova.media.content import Detail, Image
from kilonova.wire.errors import Validation

__all__ = ["opened", "page", "pages"]

_POINTS = 72.0  # PDF's unit of length, to the inch
_DPI = 150.0


def pages(file: Path | BinaryIO, wanted: range | None = None) -> Iterator[Image]:
    """The pages of a PDF file, a path or the open file (all, or those of the range, from 0), one at a time.

    Each is rendered at 150 dpi, smaller where its longest side would pass ``limits.DOCUMENT_SIDE``. Its text is that
    of the file's text layer; a page without one, a scan, has None, and a model that reads pages looks for itself.

    Raises:
        Validation: no PDF, damaged or locked by a password; or a page that is not there or cannot be rendered.
    """
    with opened(file) as document:
        for number in wanted if wanted is not None else range(len(document)):
            if not 0 <= number < len(document):
                raise Validation(f"The file has {len(document)} pages; there is no page {number + 1}.")
            yield page(document, number)


@contextmanager
def opened(file: Path | BinaryIO) -> Iterator[pypdfium2.PdfDocument]:
    """A PDF file, a path or the open file, as PDFium's document.

    Raises:
        Validation: no PDF, damaged or locked by a password.
    """
    try:
        document = pypdfium2.PdfDocument(file)
    except (pypdfium2.PdfiumError, FileNotFoundError) as error:
        raise Validation(
            f"The file cannot be read as a PDF: {error}.", "Damaged or locked files are not read."
        ) from None
    try:
        yield document
    finally:
        document.close()


def page(document: pypdfium2.PdfDocument, number: int) -> Image:
    """A page, from 0, as ``pages`` has it.

    Raises:
        Validation: it cannot be rendered.
    """
    try:
        found = document[number]
        longest = max(found.get_size())
        scale = min(_DPI / _POINTS, limits.DOCUMENT_SIDE / max(longest, 1.0))
        pixels = np.asarray(found.render(scale=scale).to_pil().convert("RGB"))
        words = found.get_textpage().get_text_range().strip()
    except pypdfium2.PdfiumError as error:
        raise Validation(f"Page {number + 1} cannot be rendered: {error}.") from None
    return Image(pixels, Detail.DOCUMENT, words or None)
