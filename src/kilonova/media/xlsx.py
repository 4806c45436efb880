"""The words of Excel's files: a page for each sheet, a line for each row.

Only cells that are there are read. What a sheet says of its size is not believed: some programs write A1 for all of
them, and one blank in the last cell makes a table of 17 billion.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from openpyxl.styles.numbers import BUILTIN_FORMATS, is_date_format, is_timedelta_format
from openpyxl.utils.datetime import CALENDAR_MAC_1904, CALENDAR_WINDOWS_1900, from_excel

from kilonova.media.flow import part_lines
from kilonova.media.package import BROKEN, OfficePage, Package, Spent, local

__all__ = ["xlsx_pages"]

_MOST_BLANKS = 16  # cells in a row that are left out one by one
_THREADED = "[Threaded comment]"  # what Excel writes for older programs, beside the comment itself


def xlsx_pages(package: Package, part: str) -> Iterator[OfficePage]:
    """The words of each sheet, its text boxes, charts and comments; one that is damaged costs the others nothing.

    Args:
        package: the file.
        part: its main part.
    """
    book = _Book(package, part)
    for title, sheet in book.sheets:
        lines = [title]
        fault = ""
        try:
            for line in book.lines(sheet):
                lines.append(line)  # noqa: PERF402  (those before a fault are kept)
        except Spent:
            fault = f"Sheet {title!r} has more in it than is read."
        except BROKEN as error:
            fault = f"Sheet {title!r} is damaged: {error}."
        yield OfficePage("\n".join(lines), fault)


class _Book:
    def __init__(self, package: Package, part: str) -> None:
        self._package = package
        related = package.related(part)
        self.sheets: list[tuple[str, str]] = []
        self._epoch = CALENDAR_WINDOWS_1900
        for _, element in package.events(part, ("end",)):
            if local(element) == "sheet":
                ids = [str(value) for key, value in element.attrib.items() if key.endswith("}id")]
                _, target = related.get(ids[0] if ids else "", ("", ""))
                if package.has(target):
                    self.sheets.append((element.get("name", ""), target))
            elif local(element) == "workbookPr" and element.get("date1904") in ("1", "true"):
                self._epoch = CALENDAR_MAC_1904
        self._strings = [text for one in package.of_kind(part, "sharedStrings") for text in self._texts(one, "si")]
        self._dates = self._styles(package.of_kind(part, "styles"))

    def lines(self, sheet: str) -> Iterator[str]:
        """The rows of a sheet that have words, then what hangs on it."""
        cells: list[str] = []
        reference = kind = style = ""
        row: list[str] = []
        last = silent = 0
        for event, element in self._package.events(sheet):
            name = local(element)
            silent += (name == "rPh") * (1 if event == "start" else -1)
            if event == "start":
                if name == "c":
                    reference, kind, style = (element.get(key, "") for key in ("r", "t", "s"))
                    cells = []
                elif name == "row":
                    row, last = [], 0
            elif name in ("v", "t") and not silent:
                cells.append(element.text or "")
            elif name == "c":
                value = self._value("".join(cells), kind, style)
                column = _column(reference) or last + 1
                row.append(_blanks(last, column) + self._package.budget.take(value))
                last = column
            elif name == "row" and (line := "".join(row)).strip():
                yield line
        yield from self._hanging(sheet)

    def _hanging(self, sheet: str) -> Iterator[str]:
        package = self._package
        for drawing in package.of_kind(sheet, "drawing"):
            yield from part_lines(package, drawing)
        threaded = package.of_kind(sheet, "threadedComment")
        for part in package.of_kind(sheet, "comments"):
            yield from (text for text in self._texts(part, "comment") if not text.startswith(_THREADED))
        for part in threaded:
            yield from self._texts(part, "threadedComment")

    def _texts(self, part: str, name: str) -> Iterator[str]:
        """The texts of the elements of a name, without the readings of their characters."""
        pieces: list[str] = []
        silent = 0
        try:
            for event, element in self._package.events(part):
                found = local(element)
                silent += (found == "rPh") * (1 if event == "start" else -1)
                if event == "end" and found in ("t", "text") and not silent:
                    pieces.append((element.text or "") if found == "t" else (element.text or "").strip())
                elif event == "end" and found == name:
                    yield self._package.budget.take("".join(pieces))
                    pieces = []
        except BROKEN:
            return  # cells that refer to what is lost have no words

    def _styles(self, parts: list[str]) -> list[str]:
        """Whether cells of a style are dates (``date``), lengths of time (``delta``) or neither."""
        formats: dict[int, str] = dict(BUILTIN_FORMATS)
        styles: list[int] = []
        inside = 0
        try:
            for part in parts:
                for event, element in self._package.events(part):
                    name = local(element)
                    inside += (name == "cellXfs") * (1 if event == "start" else -1)
                    if event == "end" and name == "numFmt":
                        formats[int(element.get("numFmtId", "0"))] = element.get("formatCode", "")
                    elif event == "start" and name == "xf" and inside:
                        styles.append(int(element.get("numFmtId", "0")))
        except BROKEN:
            return []
        return [_sort(formats.get(number, "")) for number in styles]

    def _value(self, text: str, kind: str, style: str) -> str:
        try:
            match kind:
                case "s":
                    return self._strings[int(text)]
                case "b":
                    return str(bool(int(text)))
                case "n" | "" if text:
                    return self._number(text, style)
        except (ValueError, IndexError, OverflowError):
            return text if kind != "s" else ""
        return text

    def _number(self, text: str, style: str) -> str:
        found: Any = float(text) if any(one in text for one in ".eE") else int(text)
        sort = self._dates[int(style)] if style and int(style) < len(self._dates) else ""
        if sort:
            return str(from_excel(found, self._epoch, timedelta=sort == "delta"))
        return str(found)


def _sort(form: str) -> str:
    if is_timedelta_format(form):
        return "delta"
    return "date" if is_date_format(form) else ""


def _column(reference: str) -> int:
    """The number of a cell's column, from one; 0 where it is not said."""
    number = 0
    for letter in reference:
        if not letter.isascii() or not letter.isalpha():
            break
        number = number * 26 + ord(letter.upper()) - 64
    return number


def _blanks(last: int, column: int) -> str:
    """What stands before a cell, after one of another column."""
    left_out = column - last - 1
    tabs = left_out + (last > 0)
    return "\t" * (tabs if 0 <= left_out <= _MOST_BLANKS else min(1, last))
