"""The words of web pages."""

from __future__ import annotations

from typing import Any

from lxml import etree

__all__ = ["words_of_html"]

_HIDDEN = frozenset({"script", "style", "template"})
_LINES = frozenset({"p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4"})
_CELLS = frozenset({"td", "th"})
_CHUNK = 1 << 20


def words_of_html(text: str) -> str:
    """The words that a browser shows, a line for each block.

    libxml2 forgives whatever pages have in them, and takes no longer for pages that were made to take long.
    """
    target = _Words()
    parser = etree.HTMLParser(target=target, encoding="utf-8", huge_tree=True, remove_comments=True, remove_pis=True)
    data = text.replace("\0", "").encode("utf-8", "replace")  # a zero would be the end for it
    if not data.strip():
        return ""
    for place in range(0, len(data), _CHUNK):
        parser.feed(data[place : place + _CHUNK])
    parser.close()
    return "".join(target.parts).strip()


class _Words:
    """lxml calls it for what it meets; no tree is kept."""

    def __init__(self) -> None:
        self.parts: list[str] = []
        self._hidden = 0

    def start(self, tag: str, attributes: Any) -> None:
        self._hidden += tag in _HIDDEN
        if tag in _LINES:
            self.parts.append("\n")
        elif tag in _CELLS:
            self.parts.append(" ")

    def end(self, tag: str) -> None:
        self._hidden -= tag in _HIDDEN

    def data(self, text: str) -> None:
        if not self._hidden:
            self.parts.append(text)

    def close(self) -> None:
        """Needed by lxml."""
