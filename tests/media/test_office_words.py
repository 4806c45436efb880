"""Words wherever people put them in office files, and files that lie or are damaged."""

from __future__ import annotations

import io
import time
import zipfile
from pathlib import Path

import openpyxl
import openpyxl.chart
import openpyxl.comments
import pptx
import pptx.chart.data
import pptx.enum.chart
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import office
from kilonova.media import package as reading
from tests.media.offices import document, package, pages, relations, workbook


def p(*runs: str) -> str:
    return f"<w:p>{''.join(runs)}</w:p>"


def r(text: str) -> str:
    return f"<w:r><w:t>{text}</w:t></w:r>"


def words(body: str, **parts: str) -> str:
    (page,) = pages(document(body, **parts), "a.docx")
    assert not page.fault
    return page.words


def test_content_controls_of_every_level() -> None:
    block = f"<w:sdt><w:sdtPr><w:text/></w:sdtPr><w:sdtContent>{p(r('封面'))}</w:sdtContent></w:sdt>"
    inline = p(r("a "), f"<w:sdt><w:sdtContent>{r('inline')}</w:sdtContent></w:sdt>")
    cell = f"<w:tbl><w:tr><w:sdt><w:sdtContent><w:tc>{p(r('cell'))}</w:tc></w:sdtContent></w:sdt></w:tr></w:tbl>"
    other = f"<w:customXml>{p(r('custom'))}</w:customXml>"
    assert words(block + inline + cell + other) == "封面\na inline\ncell\ncustom"


def test_headers_footers_notes_and_comments() -> None:
    reference = '<w:r><w:{}Reference w:id="7"/></w:r>'
    body = p(r("body"), *(reference.format(kind) for kind in ("footnote", "endnote", "comment")))
    note = '<w:{0} w:id="0" w:type="separator"><w:p/></w:{0}><w:{0} w:id="7">' + p(r("{0} 脚注")) + "</w:{0}>"
    found = words(
        body, header1=p(r("head")), header2=p(r("head")), footer1=p(r("foot")),
        footnotes=note.format("footnote"), endnotes=note.format("endnote"), comments=note.format("comment"),
    )  # fmt: skip
    assert found == "head\nbody\nfoot\nfootnote 脚注\nendnote 脚注\ncomment 脚注"


def test_notes_stand_on_the_page_that_refers_to_them() -> None:
    note = '<w:footnote w:id="{0}">' + p(r("note {0}")) + "</w:footnote>"
    refer = '<w:r><w:footnoteReference w:id="{}"/></w:r>'
    body = p(r("one"), refer.format(1), '<w:r><w:br w:type="page"/></w:r>') + p(r("two"), refer.format(2))
    found = pages(document(body, header=p(r("head")), footnotes=note.format(1) + note.format(2)), "a.docx")
    assert [page.words for page in found] == ["head\none\nnote 1", "two\nnote 2"]


def test_text_boxes_come_once() -> None:
    box = f"<w:txbxContent>{p(r('boxfinch'))}{p(r('箱'))}</w:txbxContent>"
    both = (
        f"<w:r><mc:AlternateContent><mc:Choice><wps:txbx>{box}</wps:txbx></mc:Choice>"
        f"<mc:Fallback><w:pict><v:textbox>{box}</v:textbox></w:pict></mc:Fallback></mc:AlternateContent></w:r>"
    )
    assert words(p(r("before "), both, r("after")) + p(r("next"))) == "before after\nboxfinch\n箱\nnext"
    old = f"<w:r><w:pict><v:textbox>{box}</v:textbox></w:pict></w:r>"
    assert words(p(old)) == "boxfinch\n箱"
    fallback = "<w:r><mc:AlternateContent><mc:Fallback><w:t>alone</w:t></mc:Fallback></mc:AlternateContent></w:r>"
    assert words(p(fallback)) == "alone"


def test_breaks_tabs_and_hyphens_are_characters() -> None:
    tabs = "<w:pPr><w:tabs><w:tab w:val='left'/></w:tabs></w:pPr>"
    run = (
        "<w:r><w:t>Street 5</w:t><w:br/><w:t>City</w:t><w:cr/><w:t>Land</w:t><w:tab/><w:t>dash</w:t>"
        "<w:noBreakHyphen/><w:t>finch</w:t><w:softHyphen/><w:t>es</w:t></w:r>"
    )
    assert words(p(tabs, run)) == "Street 5\nCity\nLand\tdash-finches"


def test_deletions_and_codes_are_left_out() -> None:
    body = p(
        r("kept "),
        "<w:del><w:r><w:delText>gone</w:delText></w:r></w:del>",
        f"<w:moveFrom>{r('moved')}</w:moveFrom><w:moveTo>{r('moved')}</w:moveTo><w:ins>{r(' new')}</w:ins>",
        "<w:r><w:instrText> PAGE </w:instrText></w:r>",
        f"<w:hyperlink>{r(' link')}</w:hyperlink><w:fldSimple>{r(' field')}</w:fldSimple>",
        "<m:oMath><m:r><m:t>x=1</m:t></m:r></m:oMath>",
        "<w:ruby><w:rt><w:r><w:t>かん</w:t></w:r></w:rt><w:rubyBase><w:r><w:t>漢</w:t></w:r></w:rubyBase></w:ruby>",
    )
    assert words(body) == "kept moved new link fieldx=1漢"


def test_tables_within_tables() -> None:
    def table(*cells: str) -> str:
        return f"<w:tbl><w:tr>{''.join(f'<w:tc>{cell}</w:tc>' for cell in cells)}</w:tr></w:tbl>"

    assert words(table(p(r("a")), p(r("b")) + table(p(r("内")), p(r("d"))) + p())) == "a\tb\n内\td"


def test_charts_and_diagrams() -> None:
    body = p('<w:r><w:drawing><c:chart r:id="r0"/></w:drawing><w:t>here</w:t></w:r>', '<c:relIds r:dm="r1"/>')
    body += p('<c:chart r:id="r0"/>') * 3  # what is shown again is read once
    chart = "<a:p><a:r><a:t>产量</a:t></a:r></a:p><c:cat><c:v>spring</c:v></c:cat><c:val><c:v>17</c:v></c:val>"
    diagram = "<a:p><a:r><a:t>step one</a:t></a:r></a:p><a:p/><a:p><a:r><a:t>step two</a:t></a:r></a:p>"
    assert words(body, chart=chart, diagramData=diagram) == "here\n产量\nspring\nstep one\nstep two"


def test_a_damaged_part_costs_itself() -> None:
    body = p(r("one"), '<w:r><w:br w:type="page"/></w:r>') + p(r("two"))
    found = pages(document(body, footnotes="<w:broken", header=p(r("head")) + "<"), "a.docx")
    assert [page.words for page in found] == ["head\none", "two"]
    whole = document(body)
    with zipfile.ZipFile(io.BytesIO(whole)) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["word/document.xml"] = parts["word/document.xml"].replace(b"</w:body></w:document>", b"<w:p>")
    *_, last = pages(package(parts), "a.docx")
    assert last.words == "two"
    assert "damaged" in last.fault


def test_the_words_of_a_presentation(tmp_path: Path) -> None:
    made = pptx.Presentation()
    first, second, third = (made.slides.add_slide(made.slide_layouts[5]) for _ in range(3))
    first.shapes.title.text = "图表"
    data = pptx.chart.data.CategoryChartData()
    data.categories = ["spring", "秋天"]
    data.add_series("rainfall", (1.25, 2.5))
    kind = pptx.enum.chart.XL_CHART_TYPE.COLUMN_CLUSTERED
    chart = first.shapes.add_chart(kind, 0, 0, 9_000, 9_000, data).chart
    chart.has_title = True
    chart.chart_title.text_frame.text = "Rain by season"
    group = second.shapes.add_group_shape().shapes.add_group_shape()
    group.shapes.add_textbox(0, 0, 9, 9).text_frame.text = "in a group"
    table = second.shapes.add_table(1, 2, 0, 0, 9, 9).table
    table.cell(0, 0).text, table.cell(0, 1).text = "left", "right"
    third.shapes.title.text = "third"
    third.notes_slide.notes_text_frame.text = "say it slowly"
    path = tmp_path / "a.pptx"
    made.save(str(path))
    found = [page.words for page in pages(path.read_bytes(), "a.pptx")]
    assert set(found[0].split("\n")) == {"图表", "Rain by season", "rainfall", "spring", "秋天"}
    assert found[1:] == ["in a group\nleft\tright", "third\nsay it slowly"]
    with zipfile.ZipFile(path) as archive:
        parts = {name: archive.read(name) for name in archive.namelist()}
    parts["ppt/slides/slide2.xml"] = b"<p:sld"
    broken = pages(package(parts), "a.pptx")
    assert "Slide 2 is damaged" in broken[1].fault
    assert broken[2].words == "third\nsay it slowly"


def row(*cells: tuple[str, str]) -> str:
    found = "".join(f'<c r="{place}" t="inlineStr"><is><t>{text}</t></is></c>' for place, text in cells)
    return f"<sheetData><row>{found}</row></sheetData>"


@pytest.mark.parametrize(
    ("dimension", "cells", "right"),
    [
        ("A1", (("A1", "one"), ("B1", "二"), ("D1", "four")), "one\t二\t\tfour"),
        ("A1:XFD1048576", (("A1", "one"),), "one"),
        ("A1", (("A1", "one"), ("XFD1048576", " ")), "one\t "),
        ("A1", (("A1", "one"), ("XFD1048576", "last")), "one\tlast"),
        ("B2:A1", (("C1", "third"),), "\t\tthird"),
    ],
)
def test_the_declared_size_is_not_believed(dimension: str, cells: tuple[tuple[str, str], ...], right: str) -> None:
    begin = time.monotonic()
    (page,) = pages(workbook({"S": f'<dimension ref="{dimension}"/>{row(*cells)}'}), "a.xlsx")
    assert time.monotonic() - begin < 2
    assert page.words == f"S\n{right}".strip()


def test_what_hangs_on_a_sheet() -> None:
    data = workbook(
        {"S": row(("A1", "cell")), "Chart": "", "Empty": "<nothing"},
        **{
            "worksheets___rels__s0.xml.rels": relations(a="drawing ../drawings/d.xml", b="comments ../comments1.xml",
                                                        c="threadedComment ../t.xml"),
            "drawings__d.xml": "<xdr:wsDr SPACES><xdr:sp><a:p><a:r><a:t>文本框</a:t></a:r></a:p></xdr:sp>"
                               '<c:chart r:id="c"/></xdr:wsDr>',
            "drawings___rels__d.xml.rels": relations(c="chart /xl/charts/c.xml"),
            "charts__c.xml": "<c:chartSpace SPACES><a:p><a:r><a:t>Ship</a:t></a:r><a:r><a:t>s</a:t></a:r></a:p>"
                             "<c:cat><c:v>2019</c:v></c:cat><c:val><c:numCache><c:v>17</c:v></c:numCache></c:val>"
                             "</c:chartSpace>",
            "comments1.xml": "<comments><comment><text><r><t>a com</t></r><r><t>ment</t></r></text></comment>"
                             "<comment><text><t>[Threaded comment] open in Excel</t></text></comment></comments>",
            "t.xml": "<x><threadedComment><text>threaded</text></threadedComment></x>",
        },
    )  # fmt: skip
    first, second, third = pages(data, "a.xlsx")
    assert first.words == "S\ncell\n文本框\nShips\n2019\na comment\nthreaded"
    assert second.words == "Chart"
    assert "damaged" in third.fault


def test_values_read_as_before(tmp_path: Path) -> None:
    import datetime

    made = openpyxl.Workbook()
    made.active.title = "V"
    made.active.append([datetime.date(2024, 5, 1), datetime.timedelta(hours=30), 0.125, 7, True, "#N/A", "共享"])
    made.active["A3"].comment = openpyxl.comments.Comment("注", "w")
    made.active["A3"] = "=1+1"
    made.create_chartsheet("Empty chart")
    path = tmp_path / "v.xlsx"
    made.save(path)
    first, *_ = pages(path.read_bytes(), "v.xlsx")
    assert first.words.split("\n")[1] == "2024-05-01 00:00:00\t1 day, 6:00:00\t0.125\t7\tTrue\t#N/A\t共享"
    assert first.words.split("\n")[-1] == "注"


@pytest.mark.slow
def test_small_files_that_stand_for_endless_ones(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reading, "_SECONDS", 0.5)
    rows = "<row><c><v>1</v></c></row>" * 2_000_000
    bomb = workbook({"First": row(("A1", "words")), "B": f"<sheetData>{rows}</sheetData>", "Last": row(("A1", "x"))})
    assert len(bomb) < 300_000
    begin = time.monotonic()
    first, second, *_ = pages(bomb, "a.xlsx")
    assert time.monotonic() - begin < 10
    assert first.words == "First\nwords"
    assert "more in it than is read" in second.fault
    wide = workbook({"W": "<sheetData><row>" + "<c><v>1</v></c>" * 2_000_000})
    (last,) = pages(wide, "a.xlsx")
    assert "more in it than is read" in last.fault
    assert last.words.startswith("W\n1\t1")
    for body in (p(r("word")) * 500_000, p(r("word ") * 500_000)):
        *_, last = pages(document(body), "a.docx")
        assert "more in it than is read" in last.fault
        assert last.words.startswith("word")


def test_deep_nesting_is_that_files_failure() -> None:
    deep = "<w:tbl><w:tr><w:tc>" * 2_000
    (page,) = pages(document(p(r("word")) + deep), "a.docx")
    assert page.words == "word"
    assert "damaged" in page.fault


def test_a_file_that_breaks_off_has_the_words_before() -> None:
    body = p(r("word")) + "<w:tbl><w:tr><w:tc>" + p(r("cell")) + "</w:tc><w:tc><w:p>" + r("under way") + "<w:r>&broken;"
    (page,) = pages(document(body), "a.docx")
    assert page.words == "word\ncell\nunder way"
    assert "damaged" in page.fault


@pytest.mark.parametrize("name", ["年报.docx", "a.pptx", "a.xlsx"])
def test_errors_name_the_file(name: str) -> None:
    for data in (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600), b"nothing", package({"x": ""})):
        with pytest.raises(InvalidInput, match=f"^{name} cannot be read: "):
            office.words(io.BytesIO(data), name)
    with pytest.raises(InvalidInput, match="password"):
        office.words(io.BytesIO(b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1" + bytes(600)), name)
