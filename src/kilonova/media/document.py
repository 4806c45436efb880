"""PDF files to pages: an image of each, and the words in its text layer, its forms and its notes."""

from __future__ import annotations

import ctypes
import math
import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pypdfium2
import pypdfium2.raw as pdfium

from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Detail, Image
from kilonova.media.words import join_lines

__all__ = ["open_document", "page", "pages", "words"]

_POINTS = 72.0  # PDF's unit of length, to the inch
_DPI = 150.0
_MENDED_BYTES = 64 << 20  # files that are cut short are read whole to be mended
_CATALOGUE = re.compile(rb"(\d+)\s+(\d+)\s+obj\s*<<[^>]{0,1000}?/Type\s*/Catalog\b")
_NOTES = 2_000  # annotations of a page that are read
# Buttons say "Yes" or "Off"; what people choose from lists and type is theirs.
_FIELDS = frozenset({pdfium.FPDF_FORMFIELD_TEXTFIELD, pdfium.FPDF_FORMFIELD_COMBOBOX, pdfium.FPDF_FORMFIELD_LISTBOX})


def pages(file: Path | BinaryIO, wanted: range | None = None) -> Iterator[Image]:
    """The pages of a PDF file, a path or the open file (all, or those of the range, from 0), one at a time.

    Each is rendered at 150 dpi, smaller where its longest side would pass ``limits.DOCUMENT_SIDE``. Its text is that
    of the file's text layer, of its form fields and its notes; a page without text layer, a scan, has None, and a model
    that reads pages looks for itself.

    Raises:
        InvalidInput: no PDF, damaged or locked by a password; or a page that is not there or cannot be rendered.
    """
    with open_document(file) as document:
        for number in wanted if wanted is not None else range(len(document)):
            if not 0 <= number < len(document):
                raise InvalidInput(f"The file has {len(document)} pages; there is no page {number + 1}.")
            yield page(document, number)


@contextmanager
def open_document(file: Path | BinaryIO) -> Iterator[pypdfium2.PdfDocument]:
    """A PDF file, a path or the open file, as PDFium's document.

    Raises:
        InvalidInput: no PDF, damaged or locked by a password.
    """
    try:
        document = pypdfium2.PdfDocument(file)
    except (pypdfium2.PdfiumError, FileNotFoundError) as error:
        mended = _mend(file)
        if mended is None:
            raise InvalidInput(
                f"The file cannot be read as a PDF: {_reason(error)}.", "Damaged or locked files are not read."
            ) from None
        document = mended
    try:
        try:
            document.init_forms()  # without it what was typed into a form is neither drawn nor read
        except pypdfium2.PdfiumError:
            document.formenv = None  # a broken form: the pages are there
        yield document
    finally:
        document.close()


def _mend(file: Path | BinaryIO) -> pypdfium2.PdfDocument | None:
    """A file that is cut short, with a new trailer, as viewers make one: PDFium finds objects without their table, but
    not which of them is the catalogue. None where that does not help."""
    try:
        if isinstance(file, Path):
            data = file.read_bytes() if file.stat().st_size <= _MENDED_BYTES else b""
        else:
            file.seek(0)
            data = file.read(_MENDED_BYTES + 1)
    except OSError:
        return None
    catalogues = _CATALOGUE.findall(data) if len(data) <= _MENDED_BYTES else []
    if not catalogues or b"/Encrypt" in data:
        return None
    trailer = b"\ntrailer\n<< /Root %s %s R /Size 1000000 >>\nstartxref\n0\n%%%%EOF\n" % catalogues[-1]
    try:
        return pypdfium2.PdfDocument(data + trailer)
    except pypdfium2.PdfiumError:
        return None


def page(document: pypdfium2.PdfDocument, number: int) -> Image:
    """A page, from 0, as ``pages`` has it.

    Raises:
        InvalidInput: it cannot be rendered.
    """
    try:
        with closing(document[number]) as found:
            longest = max(side for side in (*found.get_size(), 1.0) if math.isfinite(side))
            scale = min(_DPI / _POINTS, limits.DOCUMENT_SIDE / longest)
            with closing(found.render(scale=scale)) as bitmap:
                pixels = np.array(bitmap.to_pil().convert("RGB"))
            drawn = _layer(found)
            text = _joined(drawn, *_noted(document, found)) if drawn.strip() else None
    except Exception as error:  # PDFium's own, and what Pillow and ctypes make of sizes that no page has
        raise InvalidInput(f"Page {number + 1} cannot be read: {_reason(error)}.") from None
    return Image(pixels, Detail.DOCUMENT, text)


def words(document: pypdfium2.PdfDocument, number: int) -> str:
    """The words of a page, from 0, that has no image or no text layer: what is in its layer, its form fields and its
    notes; "" where they cannot be read either."""
    try:
        with closing(document[number]) as found:
            return _joined(_layer(found), *_noted(document, found))
    except pypdfium2.PdfiumError:  # it cannot be loaded at all
        return ""


def _layer(found: pypdfium2.PdfPage) -> str:
    try:
        with closing(found.get_textpage()) as layer:
            text: str = layer.get_text_range()
            return text
    except pypdfium2.PdfiumError:  # a broken font, say: what is drawn is read off the image
        return ""


def _joined(*texts: str) -> str:
    parts = (join_lines(one.replace("\r\n", "\n")).strip() for one in texts)
    return "\n".join(dict.fromkeys(part for part in parts if part))


def _noted(document: pypdfium2.PdfDocument, found: pypdfium2.PdfPage) -> Iterator[str]:
    """What was typed into the form fields of a page, and written into its notes."""
    form = document.formenv.raw if document.formenv is not None else None
    for index in range(min(pdfium.FPDFPage_GetAnnotCount(found.raw), _NOTES)):
        annotation = pdfium.FPDFPage_GetAnnot(found.raw, index)
        if not annotation:
            continue
        try:
            kind = pdfium.FPDFAnnot_GetSubtype(annotation)
            if kind != pdfium.FPDF_ANNOT_WIDGET:
                if kind not in (pdfium.FPDF_ANNOT_POPUP, pdfium.FPDF_ANNOT_LINK):
                    yield _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"Contents")
            elif form is None:
                yield _string(pdfium.FPDFAnnot_GetStringValue, annotation, b"V")
            elif pdfium.FPDFAnnot_GetFormFieldType(form, annotation) in _FIELDS:
                yield _string(pdfium.FPDFAnnot_GetFormFieldValue, form, annotation)
        finally:
            pdfium.FPDFPage_CloseAnnot(annotation)


def _string(read: Any, *arguments: Any) -> str:
    """A string of PDFium, which writes UTF-16 with a zero at its end and says how many bytes it needs."""
    size = read(*arguments, None, 0)
    if size <= 2:
        return ""
    buffer = ctypes.create_string_buffer(size)
    read(*arguments, ctypes.cast(buffer, ctypes.POINTER(pdfium.FPDF_WCHAR)), size)
    return buffer.raw[: size - 2].decode("utf-16-le", "ignore").replace("\r\n", "\n").replace("\r", "\n")


def _reason(error: Exception) -> str:
    return str(error).rstrip(". ") or type(error).__name__
