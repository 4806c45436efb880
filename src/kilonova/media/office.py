"""Files of office programs: their words, and their pages where LibreOffice is installed.

docx   a page for each page break that Word has left in the file
pptx   a page for each slide, with its notes
xlsx   a page for each sheet, a line for each row
"""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from kilonova.wire.errors import Validation

__all__ = ["ENDINGS", "as_pdf", "properties", "words"]

#: Endings of files that are read here.
ENDINGS = (".docx", ".pptx", ".xlsx")
_CONVERSION_SECONDS = 50.0
_CORE = "docProps/core.xml"  # Open Packaging Conventions (ECMA-376 part 2)


def words(file: BinaryIO, name: str) -> list[str]:
    """The words of each page, slide or sheet.

    Raises:
        Validation: the file cannot be read.
    """
    reader = {".docx": _docx, ".pptx": _pptx, ".xlsx": _xlsx}[Path(name).suffix.lower()]
    try:
        return [page.strip() for page in reader(file)]
    except (BadZipFile, KeyError, ValueError, OSError, ElementTree.ParseError, SyntaxError) as error:
        raise Validation(f"{name} cannot be read: {error}.", "Damaged or locked files are not read.") from None


def as_pdf(path: Path, folder: Path) -> Path | None:
    """The same file as PDF, by LibreOffice; None where it is not installed or cannot do it.

    Args:
        path: the file.
        folder: an empty one, for the PDF and LibreOffice's own files.
    """
    program = shutil.which("soffice")
    if program is None:
        return None
    command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", "pdf"]
    try:
        subprocess.run(
            [*command, "--outdir", str(folder), str(path)], capture_output=True, timeout=_CONVERSION_SECONDS, check=True
        )
    except (subprocess.SubprocessError, OSError):
        return None
    made = folder / f"{path.stem}.pdf"
    return made if made.exists() else None


def properties(file: BinaryIO) -> dict[str, str]:
    """``title``, ``author`` and ``date`` as the file says."""
    try:
        with ZipFile(file) as archive:
            root = ElementTree.fromstring(archive.read(_CORE))
    except (BadZipFile, KeyError, ElementTree.ParseError):
        return {}
    said = {re.sub(r"\{.*\}", "", one.tag): (one.text or "").strip() for one in root}
    return {"title": said.get("title", ""), "author": said.get("creator", ""), "date": said.get("created", "")}


def _docx(file: BinaryIO) -> Iterator[str]:
    import docx
    from docx.oxml.ns import qn
    from docx.table import Table

    document = docx.Document(file)
    rendered = document.element.body.xpath(".//w:lastRenderedPageBreak")
    breaks = "w:lastRenderedPageBreak" if rendered else "w:br[@w:type='page']"
    page: list[str] = []
    for block in document.iter_inner_content():
        if isinstance(block, Table):
            page += ["\t".join(cell.text for cell in row.cells) for row in block.rows]
            continue
        # the words before a break belong to the page that it ends
        parts = [""]
        for one in block._p.xpath(f".//w:t | .//w:tab | .//{breaks}"):
            if one.tag == qn("w:t"):
                parts[-1] += one.text or ""
            elif one.tag == qn("w:tab"):
                parts[-1] += "\t"
            else:
                parts.append("")
        for finished in parts[:-1]:
            yield "\n".join([*page, finished])
            page = []
        page.append(parts[-1])
    yield "\n".join(page)


def _pptx(file: BinaryIO) -> Iterator[str]:
    import pptx

    for slide in pptx.Presentation(file).slides:
        lines = list(_shapes(slide.shapes))
        if slide.has_notes_slide and slide.notes_slide.notes_text_frame is not None:
            lines.append(slide.notes_slide.notes_text_frame.text)
        yield "\n".join(lines)


def _shapes(shapes: Any) -> Iterator[str]:
    for shape in shapes:
        if getattr(shape, "shapes", None) is not None:  # a group
            yield from _shapes(shape.shapes)
        elif shape.has_text_frame:
            yield shape.text_frame.text
        elif getattr(shape, "has_table", False):
            yield from ("\t".join(cell.text for cell in row.cells) for row in shape.table.rows)


def _xlsx(file: BinaryIO) -> Iterator[str]:
    import openpyxl

    book = openpyxl.load_workbook(file, read_only=True, data_only=True)
    try:
        for sheet in book.worksheets:
            rows = (
                "\t".join("" if one is None else str(one) for one in row) for row in sheet.iter_rows(values_only=True)
            )
            yield "\n".join([sheet.title, *(row for row in rows if row.strip())])
    finally:
        book.close()
