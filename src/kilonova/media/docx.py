"""The words of Word's files: a page for each page break that Word has left in the file."""

from __future__ import annotations

from collections.abc import Iterator

from kilonova.media.flow import TextFlow, part_lines
from kilonova.media.package import BROKEN, OfficePage, Package, Spent, attribute, local

__all__ = ["docx_pages"]

_NOTES = ("footnote", "endnote", "comment")
_MANY = "There is more in it than is read."


def docx_pages(package: Package, part: str) -> Iterator[OfficePage]:
    """The words of each page: of the body, and of the notes and comments that it refers to. Headers and footers stand
    on the first one.

    Args:
        package: the file.
        part: its main part.
    """
    reader = _Reader(package, part)
    try:
        yield from reader.pages()
    except Spent:
        yield reader.broken_off(_MANY)
    except BROKEN as error:
        yield reader.broken_off(f"It is damaged: {error}.")


class _Reader:
    def __init__(self, package: Package, part: str) -> None:
        self._package, self._part = package, part
        self._notes: dict[tuple[str, str], list[str]] = {}
        self._here: list[str] = []  # notes of the page
        self._head: list[str] = []
        self._foot: list[str] = []
        self._finished: list[str] = []
        self._flow = TextFlow(package, part, self._break, self._note)
        self._kind = "page"

    def pages(self) -> Iterator[OfficePage]:
        for one in self._package.of_kind(self._part, "header"):
            self._head += part_lines(self._package, one)
        for one in self._package.of_kind(self._part, "footer"):
            self._foot += part_lines(self._package, one)
        for kind in _NOTES:
            self._read_notes(kind)
        # where Word left its pages' ends, the breaks that were asked for lie there, too
        self._kind = "rendered" if self._package.mentions(self._part, b":lastRenderedPageBreak") else "page"
        for event, element in self._package.events(self._part):
            self._flow.feed(event, element)
            while self._finished:
                yield OfficePage(self._finished.pop(0))
        yield OfficePage(self.rest())

    def broken_off(self, fault: str) -> OfficePage:
        """The words that there are of the page under way."""
        self._flow.break_off()
        return OfficePage(self.rest(), fault)

    def rest(self) -> str:
        """The words of the page under way."""
        lines = [*dict.fromkeys(self._head), *self._flow.take(), *dict.fromkeys(self._foot), *self._here]
        self._head, self._foot, self._here = [], [], []
        return "\n".join(lines)

    def _break(self, kind: str) -> bool:
        if kind == self._kind:
            self._finished.append(self.rest())
        return kind == self._kind

    def _note(self, kind: str, number: str) -> None:
        self._here += self._notes.pop((kind, number), [])

    def _read_notes(self, kind: str) -> None:
        for part in self._package.of_kind(self._part, f"{kind}s"):
            flow = TextFlow(self._package, part)
            try:
                for event, element in self._package.events(part):
                    flow.feed(event, element)
                    if event == "end" and local(element) == kind:
                        self._notes[kind, attribute(element, "id")] = [line for line in flow.take() if line.strip()]
            except BROKEN:
                continue  # the body is there without its notes
