"""PDF files object by object, for what no program writes on purpose."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

__all__ = ["lines", "paged", "written"]

FONT = b"<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>"


def written(objects: Mapping[int, bytes], root: int = 1) -> bytes:
    """A file of objects by number; ``root`` is the catalogue."""
    out, places = bytearray(b"%PDF-1.7\n"), {}
    for number, body in objects.items():
        places[number] = len(out)
        out += b"%d 0 obj\n%s\nendobj\n" % (number, body)
    start, size = len(out), max(objects) + 1
    out += b"xref\n0 %d\n0000000000 65535 f \n" % size
    for number in range(1, size):
        out += b"%010d %05d %s \n" % (places.get(number, 0), 0, b"n" if number in places else b"f")
    out += b"trailer << /Size %d /Root %d 0 R >>\nstartxref\n%d\n%%%%EOF\n" % (size, root, start)
    return bytes(out)


def paged(*contents: bytes | None, extra: Mapping[int, bytes] | None = None, page: bytes = b"", catalog: bytes = b"",
          font: bytes = FONT) -> bytes:  # fmt: skip
    """A file with a page for each content stream; None is a page that is not there.

    Args:
        contents: of the pages.
        extra: more objects, from 100.
        page: more entries of every page.
        catalog: more entries of the catalogue.
        font: the one called F1.
    """
    kids = b" ".join(b"%d 0 R" % (10 + 2 * index) for index in range(len(contents)))
    objects = {
        1: b"<< /Type /Catalog /Pages 2 0 R %s >>" % catalog,
        2: b"<< /Type /Pages /Kids [%s] /Count %d >>" % (kids, len(contents)),
        3: font,
    }
    for index, content in enumerate(contents):
        if content is None:
            continue
        number = 10 + 2 * index
        objects[number] = (
            b"<< /Type /Page /Parent 2 0 R /MediaBox [0 0 400 300] /Contents %d 0 R "
            b"/Resources << /Font << /F1 3 0 R >> >> %s >>" % (number + 1, page)
        )
        objects[number + 1] = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(content), content)
    return written(objects | dict(extra or {}))


def lines(*texts: bytes) -> bytes:
    """A content stream of lines of text in F1, written as PDF strings."""
    return b"BT /F1 18 Tf 22 TL 40 250 Td " + b" ".join(b"%s Tj T*" % text for text in texts) + b" ET"


def mapped(text: str) -> tuple[Sequence[bytes], dict[int, bytes], bytes]:
    """Strings for the lines of a text in any script: a font whose codes, from 33, say which characters they are.

    Returns:
        The lines as PDF strings, the object of the map (100), and the font that refers to it.
    """
    characters = list(dict.fromkeys(text.replace("\n", "")))
    codes = {one: 33 + index for index, one in enumerate(characters)}
    entries = b"\n".join(b"<%02X> <%s>" % (code, one.encode("utf-16-be").hex().encode()) for one, code in codes.items())
    cmap = (
        b"/CIDInit /ProcSet findresource begin 12 dict begin begincmap /CMapName /X def /CMapType 2 def\n"
        b"1 begincodespacerange <00> <FF> endcodespacerange\n%d beginbfchar\n%s\nendbfchar endcmap end end"
        % (len(codes), entries)
    )
    stream = b"<< /Length %d >>\nstream\n%s\nendstream" % (len(cmap), cmap)
    font = FONT.replace(b">>", b"/ToUnicode 100 0 R >>")
    strings = [b"<%s>" % bytes(codes[one] for one in line).hex().encode() for line in text.split("\n")]
    return strings, {100: stream}, font
