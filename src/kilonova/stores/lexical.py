"""BM25 for any script: what the words of a text are, and their weights.

The weights are those of Robertson and Zaragoza (The Probabilistic Relevance Framework: BM25 and Beyond, 2009) without
the inverse document frequency, which the store adds from what it holds.
"""

from __future__ import annotations

import math
import unicodedata
import zlib
from collections import Counter
from collections.abc import Iterator
from typing import Any

import regex

__all__ = ["key", "query_terms", "query_weights", "rarity", "terms", "weights"]

_K1, _B = 1.2, 0.75
_USUAL = 100  # terms of a usual text: a page or a segment has some hundreds, a photograph's name and place a dozen
# Articles, prepositions and the like in languages with many readers: a query's other words say what is wanted.
_WORDS = """
    a an and are as at be by for from how i in is it its of on or that the there this to was what when where which who
    why will with you your
    das dem den der des die ein eine einer für im ist mit oder und von wie zu
    au aux dans de des du en est et il la le les ou pour que qui sur un une
    como con da di do e el los las no o os para por um uma y che gli lo
    в и как на не по с что
"""
_COMMON = frozenset(_WORDS.split())
# These are written without blanks between words.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々ー]"
_RUNS = regex.compile(rf"(?P<unspaced>{_UNSPACED}+)|(?P<word>[[\p{{L}}\p{{M}}]--{_UNSPACED}]+|\p{{N}}+)", regex.V1)


def terms(text: str) -> list[str]:
    """The words of a text, folded; where a script has no blanks, every character and every two neighbours."""
    found: list[str] = []
    for run in _runs(text):
        if run["word"]:
            found.append(run["word"])
        else:
            found += [*run["unspaced"], *_pairs(run["unspaced"])]
    return found


def query_terms(text: str) -> list[str]:
    """What a query looks for: no words that every text has, and pairs of characters where there are two."""
    found: list[str] = []
    for run in _runs(text):
        found += [run["word"]] if run["word"] else (_pairs(run["unspaced"]) or [run["unspaced"]])
    return [term for term in found if term not in _COMMON] or found


def _runs(text: str) -> Iterator[Any]:
    return _RUNS.finditer(unicodedata.normalize("NFKC", text).casefold())  # type: ignore[no-any-return]


def _pairs(run: str) -> list[str]:
    return [run[place : place + 2] for place in range(len(run) - 1)]


def weights(text: str) -> dict[int, float]:
    """Weights by hashed term of a text that is kept."""
    counts = Counter(map(key, terms(text)))
    length = sum(counts.values()) / _USUAL
    return {key: count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length)) for key, count in counts.items()}


def query_weights(text: str) -> dict[int, float]:
    """Weights by hashed term of a text that is looked for."""
    return dict.fromkeys(map(key, query_terms(text)), 1.0)


def rarity(having: int, total: int) -> float:
    """Inverse document frequency of a term that ``having`` of ``total`` points have, as Qdrant adds it by itself."""
    return math.log(1.0 + (total - having + 0.5) / (having + 0.5))


def key(term: str) -> int:
    """A term's number."""
    return zlib.crc32(term.encode())
