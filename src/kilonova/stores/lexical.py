"""BM25 for any script: what the words of a text are, and their weights.

The weights are those of Robertson and Zaragoza (The Probabilistic Relevance Framework: BM25 and Beyond, 2009) without
the inverse document frequency, which the store adds from what it holds.
"""

from __future__ import annotations

import unicodedata
import zlib
from collections import Counter

import regex

__all__ = ["query_weights", "terms", "weights"]

_K1, _B = 1.2, 0.75
_USUAL = 100  # terms of a usual text: a page or a segment has some hundreds, a photograph's name and place a dozen
# These are written without blanks between words.
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}\p{Thai}\p{Lao}\p{Khmer}\p{Myanmar}々ー]"
_RUNS = regex.compile(rf"(?P<unspaced>{_UNSPACED}+)|(?P<word>[[\p{{L}}\p{{M}}]--{_UNSPACED}]+|\p{{N}}+)", regex.V1)


def terms(text: str) -> list[str]:
    """The words of a text, folded; where a script has no blanks, every two neighbouring characters and each alone."""
    found: list[str] = []
    for run in _RUNS.finditer(unicodedata.normalize("NFKC", text).casefold()):
        if run["word"]:
            found.append(run["word"])
        else:
            characters = run["unspaced"]
            found += characters
            found += [characters[place : place + 2] for place in range(len(characters) - 1)]
    return found


def weights(text: str) -> dict[int, float]:
    """Weights by hashed term of a text that is kept."""
    counts = Counter(map(_key, terms(text)))
    length = sum(counts.values()) / _USUAL
    return {key: count * (_K1 + 1) / (count + _K1 * (1 - _B + _B * length)) for key, count in counts.items()}


def query_weights(text: str) -> dict[int, float]:
    """Weights by hashed term of a text that is looked for."""
    return dict.fromkeys(map(_key, terms(text)), 1.0)


def _key(term: str) -> int:
    return zlib.crc32(term.encode())
