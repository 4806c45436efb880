"""Files of office programs."""

from __future__ import annotations

import io
from datetime import datetime
from pathlib import Path

import docx
import openpyxl
import pptx
import pytest
from docx.enum.text import WD_BREAK
from docx.oxml import OxmlElement

from kilonova.errors import InvalidInput
from kilonova.media import document, office


def word(path: Path, *, rendered: bool = False) -> Path:
    made = docx.Document()
    made.core_properties.title, made.core_properties.author = "年度报告", "王"
    made.core_properties.created = datetime(2024, 5, 1)
    made.add_heading("年度报告 Annual report")
    paragraph = made.add_paragraph("Revenue grew.")
    if rendered:  # as Word leaves it: the break that was asked for, and where it came to lie
        paragraph.add_run().add_break(WD_BREAK.PAGE)
        run = made.add_paragraph().add_run()
        run._r.append(OxmlElement("w:lastRenderedPageBreak"))
        run.add_text("港口 harbours")
    else:
        paragraph.add_run().add_break(WD_BREAK.PAGE)
        made.add_paragraph("港口 harbours")
    table = made.add_table(1, 2)
    table.cell(0, 0).text, table.cell(0, 1).text = "ships", "船 12"
    made.save(str(path))
    return path


def slides(path: Path) -> Path:
    made = pptx.Presentation()
    for title, text in (("灯塔 Lighthouses", "They burn oil."), ("Second", "第二页")):
        slide = made.slides.add_slide(made.slide_layouts[1])
        slide.shapes.title.text = title
        slide.placeholders[1].text = text
    table = slide.shapes.add_table(1, 2, 0, 0, 9_000, 9_000).table
    table.cell(0, 0).text, table.cell(0, 1).text = "height", "40 m"
    slide.notes_slide.notes_text_frame.text = "say it slowly"
    made.save(str(path))
    return path


def sheets(path: Path) -> Path:
    made = openpyxl.Workbook()
    made.active.title = "船"
    made.active.append(["name", "length", None])
    made.active.append(["信天翁", 31.5])
    made.create_sheet("empty")
    made.save(path)
    return path


def read(path: Path) -> list[str]:
    with path.open("rb") as file:
        return [page.words for page in office.words(file, path.name)]


@pytest.mark.parametrize("rendered", [False, True])
def test_words_of_a_document(tmp_path: Path, rendered: bool) -> None:
    first, second = read(word(tmp_path / "a.docx", rendered=rendered))
    assert first == "年度报告 Annual report\nRevenue grew."
    assert second.split("\n")[-2:] == ["港口 harbours", "ships\t船 12"]


def test_words_of_slides(tmp_path: Path) -> None:
    assert read(slides(tmp_path / "a.PPTX")) == [
        "灯塔 Lighthouses\nThey burn oil.",
        "Second\n第二页\nheight\t40 m\nsay it slowly",
    ]


def test_words_of_sheets(tmp_path: Path) -> None:
    assert read(sheets(tmp_path / "a.xlsx")) == ["船\nname\tlength\n信天翁\t31.5", "empty"]


def test_properties(tmp_path: Path) -> None:
    with word(tmp_path / "a.docx").open("rb") as file:
        assert office.properties(file) == {"title": "年度报告", "author": "王", "date": "2024-05-01T00:00:00Z"}
    assert office.properties(io.BytesIO(b"nothing")) == {}


@pytest.mark.parametrize("name", ["a.docx", "a.pptx", "a.xlsx"])
@pytest.mark.parametrize("data", [b"", b"PK\x03\x04 nothing", b"words"])
def test_broken_files_are_refused(name: str, data: bytes) -> None:
    with pytest.raises(InvalidInput, match=f"{name} cannot be read"):
        office.words(io.BytesIO(data), name)
    made = io.BytesIO()
    openpyxl.Workbook().save(made)
    if name != "a.xlsx":
        with pytest.raises(InvalidInput, match="cannot be read"):
            office.words(made, name)


@pytest.mark.libreoffice
@pytest.mark.parametrize(("make", "name"), [(word, "报告.docx"), (slides, "a.pptx"), (sheets, "a.xlsx")])
def test_pages_by_libreoffice(tmp_path: Path, make: object, name: str) -> None:
    assert callable(make)
    (tmp_path / "out").mkdir()
    made = office.as_pdf(make(tmp_path / name), tmp_path / "out")
    assert made is not None
    pages = list(document.pages(made))
    assert pages[0].pixels.min() < 100  # something is drawn on it
    assert any(said in (pages[0].text or "") for said in ("Annual report", "Lighthouses", "length"))


def test_without_libreoffice_there_are_words_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert office.as_pdf(word(tmp_path / "a.docx"), tmp_path) is None
