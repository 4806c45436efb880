"""Files of office programs: their words, and their pages where LibreOffice is installed.

docx   a page for each page break that Word has left in the file
pptx   a page for each slide, with its notes
xlsx   a page for each sheet, a line for each row
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import signal
import subprocess
from dataclasses import replace
from pathlib import Path
from typing import BinaryIO
from xml.etree import ElementTree
from zipfile import BadZipFile, ZipFile

from kilonova.errors import InvalidInput
from kilonova.media.package import OfficePage

__all__ = ["ENDINGS", "as_pdf", "converter", "properties", "words"]

#: Endings of files that are read here.
ENDINGS = (".docx", ".pptx", ".xlsx")
_CONVERSION_SECONDS = 50.0
_CORE = "docProps/core.xml"  # Open Packaging Conventions (ECMA-376 part 2)
_ROOTS = {".docx": "document", ".pptx": "presentation", ".xlsx": "workbook"}


def words(file: BinaryIO, name: str) -> list[OfficePage]:
    """The words of each page, slide or sheet.

    Args:
        file: the open file.
        name: its own, for its ending and for errors.

    Raises:
        InvalidInput: the file cannot be read.
    """
    from kilonova.media.docx import docx_pages
    from kilonova.media.package import BROKEN, Package, Spent, local
    from kilonova.media.pptx import pptx_pages
    from kilonova.media.words import printable
    from kilonova.media.xlsx import xlsx_pages

    ending = Path(name).suffix.lower()
    package = Package(file, name)
    try:
        mains = package.of_kind("", "officeDocument")
        if not mains or next((local(root) for _, root in package.events(mains[0], ("start",))), "") != _ROOTS[ending]:
            raise InvalidInput(
                f"{name} cannot be read: it is no {ending} file.", "Damaged or locked files are not read."
            )
        reader = {".docx": docx_pages, ".pptx": pptx_pages, ".xlsx": xlsx_pages}[ending]
        return [replace(page, words=printable(page.words.strip())) for page in reader(package, mains[0])]
    except Spent:
        raise InvalidInput(f"{name} cannot be read: it has more in it than is read.") from None
    except BROKEN as error:
        raise InvalidInput(f"{name} cannot be read: {error}.", "Damaged or locked files are not read.") from None


def converter() -> str | None:
    """The program that makes PDF of office files, None where there is none."""
    return shutil.which("soffice")


def as_pdf(path: Path, folder: Path) -> Path | None:
    """The same file as PDF, by LibreOffice; None where it is not installed or cannot do it.

    Args:
        path: the file.
        folder: an empty one, for the PDF and LibreOffice's own files.
    """
    program = converter()
    if program is None:
        return None
    command = [program, f"-env:UserInstallation={(folder / 'profile').as_uri()}", "--headless", "--convert-to", "pdf"]
    command += ["--outdir", str(folder), str(path)]
    try:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            start_new_session=True,
        )  # fmt: skip
    except OSError:
        return None
    try:
        if process.wait(_CONVERSION_SECONDS):
            return None
    except subprocess.TimeoutExpired:
        return None
    finally:  # the program that is started starts another, which would go on by itself
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
    made = folder / f"{path.stem}.pdf"
    return made if made.exists() else None


def properties(file: BinaryIO) -> dict[str, str]:
    """``title``, ``author`` and ``date`` as the file says."""
    try:
        with ZipFile(file) as archive:
            root = ElementTree.fromstring(archive.read(_CORE))
    except (BadZipFile, KeyError, ValueError, OSError, RuntimeError, ElementTree.ParseError):
        return {}
    said = {re.sub(r"\{.*\}", "", one.tag): (one.text or "").strip() for one in root}
    return {"title": said.get("title", ""), "author": said.get("creator", ""), "date": said.get("created", "")}
