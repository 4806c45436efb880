"""The words in XML of Word and PowerPoint, in the order they are read in.

WordprocessingML and DrawingML call paragraphs, texts and tables alike (``p``, ``t``, ``tbl``, ``tr``, ``tc``), so one
reader knows both. Libraries hand out blocks of kinds that they know; what lies in others (content controls, text boxes,
alternatives, charts) is lost with them, and words are all that is wanted here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from kilonova.media.package import BROKEN, Package, attribute, local

__all__ = ["TextFlow", "chart_words", "part_lines"]

# Properties, which have no words but elements of the names of words' (tab stops); deletions; codes of fields; the
# readings of ruby.
_SILENT = frozenset(
    {
        "pPr", "rPr", "sectPr", "tblPr", "trPr", "tcPr", "sdtPr", "sdtEndPr", "numPr", "rubyPr", "rt", "rPh",
        "del", "moveFrom", "delText", "instrText", "delInstrText", "fldData", "binData",
    }
)  # fmt: skip
_CHARACTERS = {"tab": "\t", "ptab": "\t", "cr": "\n", "br": "\n", "noBreakHyphen": "-"}
_PLACEHOLDERS = frozenset({"sldNum", "sldImg", "dt"})  # of slides: numbers, images and dates that repeat
_NUMBERS = frozenset({"val", "xVal", "yVal", "bubbleSize", "numDim", "externalData", "formatCode", "numFmt"})


@dataclass
class _Paragraph:
    pieces: list[str] = field(default_factory=list)
    after: list[str] = field(default_factory=list)  # boxes and charts that hang on it


class TextFlow:
    """Reads the events of a part.

    Args:
        package: for what the part refers to.
        part: its name.
        on_break: called with ``page`` or ``rendered`` at a break of the page; whether it is one.
        on_note: called with the kind and id of a footnote, an endnote or a comment where it is referred to.
    """

    def __init__(
        self,
        package: Package,
        part: str,
        on_break: Callable[[str], bool] = lambda _: False,
        on_note: Callable[[str, str], None] = lambda _, __: None,
    ) -> None:
        self._package, self._part = package, part
        self._on_break, self._on_note = on_break, on_note
        self._lines: list[list[str]] = [[]]
        self._cells: list[list[str]] = []
        self._paragraphs: list[_Paragraph] = []
        self._outer: list[list[_Paragraph]] = []  # paragraphs that boxes hang on
        self._silent = 0  # elements under way in which nothing is heard
        self._chosen: list[bool] = []
        self._related: dict[str, tuple[str, str]] | None = None
        self._seen: set[str] = set()

    @property
    def lines(self) -> list[str]:
        """The lines so far."""
        return self._lines[0]

    def take(self) -> list[str]:
        """The lines so far, which are given once."""
        lines, self._lines[0] = self._lines[0], []
        return lines

    def break_off(self) -> None:
        """End what is under way as if it were whole: nothing more comes."""
        open_ones = [paragraph for those in (*self._outer, self._paragraphs) for paragraph in those]
        lines = ["\t".join(cells) for cells in self._cells]
        lines += [line for box_or_cell in self._lines[1:] for line in box_or_cell]
        lines += ["".join(paragraph.pieces) for paragraph in open_ones]
        self._lines = [[*self._lines[0], *lines]]
        self._cells, self._paragraphs, self._outer = [], [], []

    def feed(self, event: str, element: Any) -> None:
        """Take the next event of ``Package.events``."""
        name = local(element)
        if self._silent:
            self._silent += 1 if event == "start" else -1
            return
        if event == "start":
            self._start(name, element)
        else:
            self._end(name, element)

    def _start(self, name: str, element: Any) -> None:
        match name:
            case _ if name in _SILENT:
                self._silent = 1
            case "AlternateContent":
                self._chosen.append(False)
            case "Choice" | "Fallback" if self._chosen:
                self._silent = int(self._chosen[-1])
                self._chosen[-1] = True
            case "p":
                self._paragraphs.append(_Paragraph())
            case "tr":
                self._cells.append([])
            case "tc":
                self._lines.append([])
            case "txbxContent":
                self._lines.append([])
                self._outer.append(self._paragraphs)
                self._paragraphs = []
            case "lastRenderedPageBreak":
                self._break("rendered")
            case "br" if attribute(element, "type") == "page":
                self._break("page")
            case _:
                self._refer(name, element)

    def _refer(self, name: str, element: Any) -> None:
        if name in ("footnoteReference", "endnoteReference", "commentReference"):
            self._on_note(name.removesuffix("Reference"), attribute(element, "id"))
        elif name in ("chart", "relIds"):
            self._hang(self._drawn(element))
        elif name in _CHARACTERS:
            self._say(_CHARACTERS[name])

    def _end(self, name: str, element: Any) -> None:
        match name:
            case "AlternateContent":
                self._chosen.pop()
            case "t":
                self._say(self._package.budget.take(element.text or ""))
            case "p" if self._paragraphs:
                ended = self._paragraphs.pop()
                self._lines[-1] += ["".join(ended.pieces), *ended.after]
            case "tc" if len(self._lines) > 1:
                lines = self._lines.pop()
                (self._cells[-1] if self._cells else self._lines[-1]).append("\n".join(lines).strip("\n"))
            case "tr" if self._cells:
                self._lines[-1].append("\t".join(self._cells.pop()))
            case "txbxContent" if self._outer:
                self._paragraphs = self._outer.pop()
                self._hang(self._lines.pop())
            case "ph" if attribute(element, "type") in _PLACEHOLDERS:
                self._mute()

    def _mute(self) -> None:
        """Hear nothing until the shape of the placeholder ends: its properties, ``nvPr`` and ``nvSpPr``, are open."""
        self._silent = 3

    def _say(self, text: str) -> None:
        if self._paragraphs:
            self._paragraphs[-1].pieces.append(text)
        elif text.strip():
            self._lines[-1].append(text)

    def _hang(self, lines: list[str]) -> None:
        if self._paragraphs:
            self._paragraphs[-1].after += lines
        else:
            self._lines[-1] += lines

    def _break(self, kind: str) -> None:
        if len(self._lines) > 1 or not self._paragraphs:
            return  # in a table or a box: its page ends where it does
        paragraph = self._paragraphs[-1]
        # the words before a break belong to the page that it ends
        self._lines[0].append("".join(paragraph.pieces))
        if self._on_break(kind):
            paragraph.pieces = []
        else:
            self._lines[0].pop()

    def _drawn(self, element: Any) -> list[str]:
        """The words of the chart or diagram that an element refers to."""
        if self._related is None:
            self._related = self._package.related(self._part)
        _, target = self._related.get(attribute(element, "id") or attribute(element, "dm"), ("", ""))
        if not target or target in self._seen or not self._package.has(target):
            return []
        self._seen.add(target)
        return chart_words(self._package, target) if local(element) == "chart" else part_lines(self._package, target)


def part_lines(package: Package, part: str) -> list[str]:
    """The lines of a part of its own, a header or a diagram, without empty ones; none where it is damaged."""
    flow = TextFlow(package, part)
    try:
        for event, element in package.events(part):
            flow.feed(event, element)
    except BROKEN:
        flow.break_off()
    return [line for line in flow.lines if line.strip()]


def chart_words(package: Package, part: str) -> list[str]:
    """The titles, series and categories of a chart, each once, without its numbers."""
    try:
        return list(dict.fromkeys(_chart_words(package, part)))
    except BROKEN:
        return []


def _chart_words(package: Package, part: str) -> Iterator[str]:
    numbers = 0
    title: list[str] = []
    for event, element in package.events(part):
        name = local(element)
        if name in _NUMBERS and not element.get("val"):
            numbers += 1 if event == "start" else -1
        if event == "start" or numbers:
            continue
        if name == "t":
            title.append(element.text or "")
        elif name == "p" and title:
            yield package.budget.take("".join(title))
            title = []
        elif name in ("v", "pt") and (element.text or "").strip():
            yield package.budget.take(element.text.strip())
