"""PDF files to pages."""

import io
from pathlib import Path

import pytest

from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Detail
from kilonova.media.document import open_document, pages, words
from kilonova.media.document import page as drawn
from kilonova.stores.lexical import terms
from tests import samples
from tests.media.pdfs import lines, mapped, paged


@pytest.fixture
def report(tmp_path: Path) -> Path:
    path = tmp_path / "report.pdf"
    path.write_bytes(samples.pdf("First page", "", "Third page"))
    return path


def test_pages_have_pixels_and_their_words(report: Path) -> None:
    found = list(pages(report))
    assert [page.text for page in found] == ["First page", None, "Third page"]
    assert len(found) == 3
    for page in found:
        assert page.detail is Detail.DOCUMENT
        assert page.pixels.shape == (834, 1250, 3)  # 400 x 600 points at 150 dpi
        assert page.pixels.min() < 100  # something is drawn on it
        assert max(page.pixels.shape) <= limits.DOCUMENT_SIDE


@pytest.mark.parametrize("cut", [1, 60, 150])
def test_files_without_their_end(report: Path, cut: int) -> None:
    data = report.read_bytes()[:-cut]
    for file in (io.BytesIO(data), report):
        report.write_bytes(data)
        assert [page.text for page in pages(file)] == ["First page", None, "Third page"]


def test_files_that_lack_too_much(report: Path) -> None:
    for data in (
        b"%PDF-1.7\n",
        b"%PDF-1.7\n1 0 obj << /Type /Catalog",
        report.read_bytes()[:100],
        b"/Type/Catalog" * 100,
    ):
        with pytest.raises(InvalidInput, match="cannot be read as a PDF"):
            list(pages(io.BytesIO(data)))


def test_a_range_of_pages(report: Path) -> None:
    assert [page.text for page in pages(report, range(2, 3))] == ["Third page"]
    with pytest.raises(InvalidInput, match="has 3 pages; there is no page 4"):
        list(pages(report, range(3, 4)))


@pytest.mark.parametrize("data", [b"", b"no pdf", samples.pdf("x")[:200]])
def test_what_is_no_pdf_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(data)
    with pytest.raises(InvalidInput, match=r"cannot be read as a PDF|cannot be rendered|has 0 pages"):
        next(pages(path, range(1)))


def text_of(data: bytes, number: int = 0) -> str:
    with open_document(io.BytesIO(data)) as document:
        return drawn(document, number).text or ""


@pytest.mark.parametrize("broken", [None, b"q 1 0 0 1 0 0 cm ("])
def test_a_broken_page_costs_the_others_nothing(broken: bytes | None) -> None:
    data = paged(lines(b"(first)"), broken, lines(b"(third)"))
    with open_document(io.BytesIO(data)) as document:
        assert len(document) == 3
        assert [drawn(document, number).text for number in (0, 2)] == ["first", "third"]
        if broken is None:
            with pytest.raises(InvalidInput, match=r"^Page 2 cannot be read: Failed to load page\.$"):
                drawn(document, 1)
            assert words(document, 1) == ""


def form(fields: bytes, *widgets: bytes) -> bytes:
    """A page with the fields of a form."""
    extra = {100 + number: widget for number, widget in enumerate(widgets)}
    annotations = b" ".join(b"%d 0 R" % number for number in extra)
    return paged(
        lines(b"(Name of applicant)"),
        extra=extra,
        page=b"/Annots [%s]" % annotations,
        catalog=b"/AcroForm << /Fields [%s] /NeedAppearances true /DA (/F1 18 Tf 0 g) "
        b"/DR << /Font << /F1 3 0 R >> >> >>" % fields,
    )


WIDGET = b"<< /Type /Annot /Subtype /Widget /Rect [40 100 360 130] /DA (/F1 18 Tf 0 g) %s >>"


def test_what_was_typed_into_a_form_is_drawn_and_read() -> None:
    empty, filled = (
        form(b"100 0 R", WIDGET % (b"/FT /Tx /T (name) " + value)) for value in (b"", b"/V (Quetzalcoatl)")
    )
    assert text_of(filled) == "Name of applicant\nQuetzalcoatl"
    with open_document(io.BytesIO(empty)) as before, open_document(io.BytesIO(filled)) as after:
        differing = (drawn(before, 0).pixels != drawn(after, 0).pixels).any(-1)
    rows, columns = differing.nonzero()
    assert differing.sum() > 100  # the letters
    assert rows.min() > 340  # within its field, 170 points from the top
    assert columns.max() < 834


def test_choices_and_values_of_a_parent_are_read_and_ticks_are_not() -> None:
    parent = b"<< /FT /Tx /T (city) /V <FEFF4E0A6D77> /Kids [101 0 R] >>"
    choice = WIDGET % b"/FT /Ch /Ff 131072 /T (fruit) /Opt [(apple) (quince)] /V (quince)"
    tick = WIDGET % b"/FT /Btn /T (agree) /V /Yes /AS /Yes"
    data = form(b"100 0 R 102 0 R 103 0 R", parent, WIDGET % b"/Parent 100 0 R", choice, tick)
    assert text_of(data).split("\n")[1:] == ["上海", "quince"]


def test_notes_are_read() -> None:
    notes = (
        b"<< /Type /Annot /Subtype /Text /Rect [10 10 30 30] /Contents (a sticky numbat) >>",
        b"<< /Type /Annot /Subtype /FreeText /Rect [10 50 200 90] /DA (/F1 12 Tf) /Contents <FEFF6CE891CA> >>",
        b"<< /Type /Annot /Subtype /Highlight /Rect [40 240 200 270] /Contents (marked) >>",
        b"<< /Type /Annot /Subtype /Popup /Rect [10 10 30 30] /Contents (a sticky numbat) >>",
        b"null",
    )
    assert text_of(form(b"", *notes)) == "Name of applicant\na sticky numbat\n注释\nmarked"


def test_a_note_on_a_scan_does_not_stand_for_its_words() -> None:
    note = b"<< /Type /Annot /Subtype /Text /Rect [10 10 30 30] /Contents (numbat) >>"
    data = paged(b"40 40 200 50 re f", extra={100: note}, page=b"/Annots [100 0 R]")
    with open_document(io.BytesIO(data)) as document:
        assert drawn(document, 0).text is None  # so that it is read off the picture, too
        assert words(document, 0) == "numbat"


def test_words_divided_by_the_ends_of_lines_are_joined() -> None:
    found = text_of(
        paged(lines(b"(the thermody-)", b"(namics of infor-)", b"(mation in 2019-)", b"(2020 of Jean-)", b"(Paul)"))
    )
    assert {"thermodynamics", "information"} <= set(terms(found))
    assert "Jean-Paul" in found
    assert "2019-2020" in found
    assert not any(ord(one) & 0xFFFE == 0xFFFE for one in found)


def test_lines_of_chinese_follow_each_other() -> None:
    strings, extra, font = mapped("港口的早晨很安静渔\n船还没有回来\n标题A")
    found = text_of(paged(lines(*strings), extra=extra, font=font))
    assert found == "港口的早晨很安静渔船还没有回来标题A"
    assert "渔船" in terms(found)


def test_strange_sizes_are_a_pages_own_fault() -> None:
    for box in (b"[0 0 0 0]", b"[0 0 1 14400]", b"[0 0 1e30 1e30]", b"[5 5 -5 -5]", b"[(a) null 3 4]"):
        data = paged(lines(b"(tall)"), lines(b"(usual)")).replace(b"[0 0 400 300]", box, 1)
        with open_document(io.BytesIO(data)) as document:
            try:
                assert max(drawn(document, 0).pixels.shape) <= limits.DOCUMENT_SIDE
            except InvalidInput as error:
                assert "Page 1" in str(error)
            assert drawn(document, 1).text == "usual"
