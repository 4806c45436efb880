"""Cuts long texts where a reader would, and leaves out what is no text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import regex

__all__ = ["TextSpan", "cut_text", "readable_spans"]

# What a cut may not separate is a grapheme cluster (Unicode Standard Annex 29); clusters are short, emoji families
# the longest in use.
_CLUSTER = regex.compile(r"\X")
_LOOK = 64
# Ends of sentences and of clauses in scripts that put no spaces between words.
_SENTENCE_ENDS = "。！？；…．｡︒!?;\u104b\u1362\u0964\u0965"
_CLAUSE_ENDS = "，、：,:\u104a\u1361"
_CLOSERS = "”’」』）】》〉〕\"')]"


# Words so long are data: base64, keys, numbers without blanks. Of them the beginning stands for all, as each 800
# characters cost a model half a second. Other runs without blanks, such as minified JSON, say something for longer.
_DATA = regex.compile(r"[A-Za-z0-9+/=_-]++")
_RUN = regex.compile(r"[^\s\p{Han}\p{Hiragana}\p{Katakana}\p{Hangul}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}\p{Tibetan}]++")
_DATA_KEPT, _RUN_KEPT = 1_000, 16_000


@dataclass(frozen=True)
class TextSpan:
    """A stretch of a text: ``value`` is the text from ``start`` to ``end``, in characters from zero."""

    start: int
    end: int
    value: str


def readable_spans(text: str) -> Iterator[TextSpan]:
    """The text without the rest of words that are too long to be words, such as encoded data."""
    place = 0
    for start, end in _left_out(text):
        yield TextSpan(place, start, text[place:start])
        place = end
    if place < len(text):
        yield TextSpan(place, len(text), text[place:])


def _left_out(text: str) -> Iterator[tuple[int, int]]:
    for run in _RUN.finditer(text):
        if run.end() - run.start() <= _DATA_KEPT:
            continue
        place, budget = run.start(), _RUN_KEPT
        for data in _DATA.finditer(text, run.start(), run.end()):
            end = data.start() + _DATA_KEPT
            if end - place > budget:
                break
            if data.end() > end:
                yield end, data.end()
                place, budget = data.end(), budget - (end - place)
        if run.end() - place > budget:
            yield place + budget, run.end()


def cut_text(pieces: Iterable[str], longest: int) -> Iterator[TextSpan]:
    """Cut a text into segments of at most ``longest`` characters that together are the whole text.

    A cut lies after the last blank of the second half of what fits; where there is none, as in Chinese, Japanese or
    Thai, after the end of a sentence, else of a clause, else between any two grapheme clusters.
    """
    buffer, start = "", 0
    for piece in pieces:
        buffer += piece
        place = 0
        while len(buffer) - place > longest + _LOOK:
            cut = _cut(buffer, place, longest)
            yield TextSpan(start, start + cut - place, buffer[place:cut])
            start, place = start + cut - place, cut
        buffer = buffer[place:]
    place = 0
    while place < len(buffer):
        cut = _cut(buffer, place, longest) if len(buffer) - place > longest else len(buffer)
        yield TextSpan(start, start + cut - place, buffer[place:cut])
        start, place = start + cut - place, cut


def _cut(text: str, place: int, longest: int) -> int:
    """Where the segment that begins at ``place`` ends, at most ``longest`` characters on."""
    low, high = place + longest // 2, place + longest
    if blank := next((index + 1 for index in range(high - 1, low, -1) if text[index].isspace()), 0):
        return _between_clusters(text, place, blank)
    for marks in (_SENTENCE_ENDS, _CLAUSE_ENDS):
        for index in range(high - 1, low, -1):
            if text[index] in marks:
                end = index + 1
                while end < high and text[end] in _CLOSERS + _SENTENCE_ENDS:
                    end += 1
                return _between_clusters(text, place, end)
    return _between_clusters(text, place, high)


def _between_clusters(text: str, place: int, end: int) -> int:
    """``end``, or the beginning of the grapheme cluster that it lies in; ``end`` for clusters that never end."""
    if text[end - 1] < "\x80" and text[end : end + 1] < "\x80" and text[end - 1] != "\r":
        return end
    begin = max(place, end - _LOOK)
    # the text is looked at from a place that begins a cluster or, far inside a monster of one, from anywhere
    starts = (match.start() for match in _CLUSTER.finditer(text, begin, min(len(text), end + _LOOK)))
    best = begin
    for start in starts:
        if start > end:
            break
        best = start
    return best if best > place + (end - place) // 2 else end
