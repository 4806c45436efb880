"""PDF files to pages."""

from pathlib import Path

import pytest

from kilonova.media import limits
from kilonova.media.content import Detail
from kilonova.media.document import pages
from kilonova.wire.errors import Validation
from tests import samples


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


def test_a_range_of_pages(report: Path) -> None:
    assert [page.text for page in pages(report, range(2, 3))] == ["Third page"]
    with pytest.raises(Validation, match="has 3 pages; there is no page 4"):
        list(pages(report, range(3, 4)))


@pytest.mark.parametrize("data", [b"", b"no pdf", samples.pdf("x")[:200]])
def test_what_is_no_pdf_is_refused(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "x.pdf"
    path.write_bytes(data)
    with pytest.raises(Validation, match=r"cannot be read as a PDF|cannot be rendered|has 0 pages"):
        next(pages(path, range(1)))
