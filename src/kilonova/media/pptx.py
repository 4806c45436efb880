"""The words of PowerPoint's files: a page for each slide, with its tables, charts, notes and comments."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from kilonova.media.flow import TextFlow, part_lines
from kilonova.media.package import BROKEN, OfficePage, Package, Spent, local

__all__ = ["pptx_pages"]


def pptx_pages(package: Package, part: str) -> Iterator[OfficePage]:
    """The words of each slide; one that is damaged costs the others nothing.

    Args:
        package: the file.
        part: its main part.
    """
    related = package.related(part)
    ids = [_relation(element) for _, element in package.events(part, ("end",)) if local(element) == "sldId"]
    for number, one in enumerate(ids, 1):
        _, slide = related.get(one, ("", ""))
        flow = TextFlow(package, slide)
        try:
            yield OfficePage("\n".join(_slide(package, slide, flow)))
        except Spent:
            flow.break_off()
            yield OfficePage("\n".join(flow.lines), "There is more in it than is read.")
            return
        except BROKEN as error:
            flow.break_off()
            yield OfficePage("\n".join(flow.lines), f"Slide {number} is damaged: {error}.")


def _relation(element: Any) -> str:
    """``r:id``; the slide's own ``id`` has no namespace."""
    return next((str(value) for key, value in element.attrib.items() if key.endswith("}id")), "")


def _slide(package: Package, part: str, flow: TextFlow) -> list[str]:
    for event, element in package.events(part):
        flow.feed(event, element)
    lines = [line for line in flow.lines if line.strip()]
    for kind in ("notesSlide", "comments"):
        for one in package.of_kind(part, kind):
            lines += part_lines(package, one)
    return lines
