"""Documents in the index: a page that cannot be read costs itself, and readers that die leave nothing behind."""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
import pytest

from kilonova._process.parent import ChildDied
from kilonova.errors import Unavailable
from kilonova.media import office
from kilonova.media.ocr import PageReader
from kilonova.segments import document_worker, read
from kilonova.segments.document_worker import FactsRequest, PageRequest
from kilonova.segments.documents import Page
from kilonova.segments.files import Kind
from kilonova.segments.scratch import Scratch
from kilonova.storage.objects import ObjectInfo
from tests.media.offices import document
from tests.media.pdfs import lines, mapped, paged
from tests.media.test_document import WIDGET, form
from tests.search.indexing import brought, known, opened


def found(tmp_path: Path, words: str) -> set[tuple[str, int]]:
    """Names and pages that BM25 finds."""
    with opened(tmp_path) as index:
        return {(one.payload["name"], one.payload["page"]) for one in index.store.lexical("files", words, 20)}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """With a folder for temporary files of its own."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))
    made = tmp_path / "文件"
    made.mkdir()
    return made


def test_words_of_pages_are_found(tmp_path: Path, folder: Path) -> None:
    (folder / "form.pdf").write_bytes(form(b"100 0 R", WIDGET % b"/FT /Tx /T (n) /V (Quetzalcoatl)"))
    (folder / "lines.pdf").write_bytes(paged(lines(b"(thermody-)", b"(namics)")))
    strings, extra, font = mapped("港口的早晨很安静渔\n船还没有回来")
    (folder / "chinese.pdf").write_bytes(paged(lines(*strings), extra=extra, font=font))
    (folder / "a.docx").write_bytes(
        document("<w:p><w:r><w:t>body</w:t></w:r></w:p>", header="<w:p><w:t>眉</w:t></w:p>")
    )
    assert brought(tmp_path, folder).failed == []
    assert found(tmp_path, "quetzalcoatl") == {("form.pdf", 1)}
    assert found(tmp_path, "thermodynamics") == {("lines.pdf", 1)}
    assert found(tmp_path, "渔船") == {("chinese.pdf", 1)}
    assert found(tmp_path, "眉") == {("a.docx", 1)}
    for point in known(tmp_path).values():
        assert not any("\ufffe" in text for text in (point.text, point.payload["snippet"]))


def test_a_page_that_cannot_be_read_costs_itself(tmp_path: Path, folder: Path) -> None:
    pages = [lines(b"(numbat%d)" % number) for number in range(1, 10)]
    broken = [None if number in (1, 3, 4, 9) else page for number, page in enumerate(pages, 1)]
    (folder / "a.pdf").write_bytes(paged(*broken))
    (folder / "good.txt").write_text("good")
    tally = brought(tmp_path, folder)
    ((_, reason),) = tally.failed
    assert [f"Page {number} cannot be read" in reason for number in (1, 2, 3, 4, 9)] == [True, False, True, True, True]
    assert tally.added == 1
    assert {page for _, page in found(tmp_path, "numbat")} == {2, 5, 6, 7, 8}
    again = brought(tmp_path, folder)  # known, and said again
    assert (again.segments, [reason for _, reason in again.failed]) == (0, [reason])


def test_pages_that_break_their_reader(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One of them costs itself; three in a row end the file, for nothing says where its end is."""
    right, asked = read.Readers._ask, []

    async def ask(self: read.Readers, wanted: FactsRequest | PageRequest) -> object:
        if isinstance(wanted, PageRequest):
            asked.append(wanted.number)
            if wanted.number in (1, *range(4, 99)):
                raise read._Crashed(str(ChildDied("ended by SIGSEGV")))
        return await right(self, wanted)

    monkeypatch.setattr(read.Readers, "_ask", ask)
    (folder / "a.pdf").write_bytes(paged(*(lines(b"(word)") for _ in range(20))))
    ((_, reason),) = brought(tmp_path, folder).failed
    assert "Page 2 breaks its reader (ended by SIGSEGV)." in reason
    assert asked == [0, 1, 2, 3, 4, 5, 6]
    assert {page for _, page in found(tmp_path, "word")} == {1, 3, 4}


def program(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, script: str) -> None:
    """Have a script stand for LibreOffice."""
    path = tmp_path / "bin" / "soffice"
    path.parent.mkdir()
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    monkeypatch.setenv("PATH", f"{path.parent}:{os.environ['PATH']}")


def test_readers_that_are_killed_leave_no_files(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, f"find {tmp_path}/tmp -name document.docx >> {tmp_path}/seen; kill -9 $PPID")
    (folder / "年报.docx").write_bytes(document("<w:p><w:r><w:t>words</w:t></w:r></w:p>"))
    ((_, reason),) = brought(tmp_path, folder).failed
    assert "breaks its reader (ended by SIGKILL)" in reason
    # three pages are tried, each of them twice
    assert (tmp_path / "seen").read_text().count("document.docx") == 6
    assert list((tmp_path / "tmp").iterdir()) == []


def test_what_a_killed_process_left_is_removed_by_the_next(tmp_path: Path, folder: Path) -> None:
    make = (
        "import time; from kilonova.segments.scratch import Scratch; print(Scratch().path, flush=True); time.sleep(99)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", make],
        env=os.environ | {"TMPDIR": str(tmp_path / "tmp")},
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdout is not None
    left = Path(process.stdout.readline().strip())
    (left / "17").mkdir()
    (left / "17" / "document.docx").write_text("somebody's")
    second = Scratch()
    assert left.exists()  # it is in use
    process.kill()
    process.wait()
    third = Scratch()
    assert not left.exists()
    assert second.path.exists()
    for one in (second, third):
        one.close()
        one.close()
    assert list((tmp_path / "tmp").iterdir()) == []


def test_where_the_program_fails_there_are_words_and_no_files(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program(tmp_path, monkeypatch, "exit 3")
    (folder / "年报.docx").write_bytes(document("<w:p><w:r><w:t>words</w:t></w:r></w:p>"))
    (folder / "bad.docx").write_bytes(b"PK\x03\x04 nothing")
    ((uri, reason),) = brought(tmp_path, folder).failed
    assert (Path(uri).name, reason.split(":")[0]) == ("bad.docx", "bad.docx cannot be read")
    assert found(tmp_path, "words") == {("年报.docx", 1)}
    assert list((tmp_path / "tmp").iterdir()) == []


def test_a_program_that_hangs_is_ended_with_its_children(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program(tmp_path, monkeypatch, f"sleep 300 & echo $! > {tmp_path}/child; sleep 300")
    monkeypatch.setattr(office, "_CONVERSION_SECONDS", 1.0)
    (tmp_path / "a.docx").write_bytes(b"x")
    assert office.as_pdf(tmp_path / "a.docx", tmp_path) is None
    child = int((tmp_path / "child").read_text())
    for _ in range(100):
        status = Path(f"/proc/{child}/stat")
        if not status.exists() or ") Z" in status.read_text():
            return
        time.sleep(0.05)
    raise AssertionError("The child goes on.")


def test_a_picture_stays_where_its_words_cannot_be_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def crash(_: object, pixels: np.ndarray) -> str:
        raise RuntimeError(pixels.shape)

    monkeypatch.setattr(PageReader, "__call__", crash)
    path = tmp_path / "scan.pdf"
    path.write_bytes(paged(b"40 40 200 50 re f"))
    page = document_worker.handler(str(tmp_path))(PageRequest(str(path), ObjectInfo(1, ""), 0))
    assert isinstance(page, Page)
    assert page.image is not None
    assert page.fault == "The words of page 1 cannot be read (RuntimeError)."


@pytest.mark.parametrize("shape", [(1, 2048, 3), (2048, 8, 3), (1, 1, 3)])
def test_strips_can_be_read_off(shape: tuple[int, ...]) -> None:
    assert PageReader()(np.full(shape, 255, np.uint8)) == ""


def test_a_pdf_that_its_disk_will_not_give_keeps_what_is_known(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """PDFium calls it damaged, whatever kept it from reading."""

    class Failing:
        def __init__(self, data: bytes) -> None:
            self.place, self.data, self.left = 0, data, 3

        def seek(self, offset: int, whence: int = 0) -> int:
            self.place = offset + {0: 0, 1: self.place, 2: len(self.data)}[whence]
            return self.place

        def tell(self) -> int:
            return self.place

        def read(self, count: int) -> bytes:
            self.left -= 1
            if self.left < 0:
                raise Unavailable("S3 failed.")
            return self.data[self.place : self.place + count]

        def __enter__(self) -> Failing:
            return self

        def __exit__(self, *_: object) -> None:
            pass

    monkeypatch.setattr(document_worker, "open_file", lambda *_: Failing(paged(lines(b"(word)"))))
    for ask in (
        PageRequest("s3://b/a.pdf", ObjectInfo(1, "e"), 0),
        FactsRequest("s3://b/a.pdf", ObjectInfo(1, ""), Kind.DOCUMENT),
    ):
        with pytest.raises(Unavailable, match="S3 failed"):
            document_worker.handler(str(tmp_path))(ask)
