"""One vocabulary (docs/glossary.md): words that have a better one, and names of functions that hide what these do."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path

import pytest

from docs import generate

ROOT = Path(__file__).parent.parent
SOURCES = sorted((ROOT / "src").rglob("*.py"))
# Generated pages take their words from src, where they are looked for, too.
PAGES = sorted({ROOT / "README.md", ROOT / "CHANGELOG.md", *(ROOT / "docs").rglob("*.md")} - generate.PAGES.keys())

#: What is not written, and what is written instead.
BANNED = {
    "film": "video",
    "films": "videos",
    "picture": "image",
    "pictures": "images",
    "strange": "unsupported, unexpected",
    "told": "given, called, reported",
    "mixture": "composite input",
    "mixtures": "composite inputs",
    "no name of a": "not a valid name",
    "can be had": "is available",
}
#: Also in src: the sense of "audio" is meant there almost always.
BANNED_IN_SOURCE = {**BANNED, "sounds": "audio, clips, recordings"}

ALLOWED = (
    re.compile(r"\bPictures\b"),  # the folder of that name in a home
    re.compile(r"(?i)environmental sounds"),  # of data sets: sound is the physical thing
    re.compile(r"(?i)\bsounds like\b"),  # the verb
    re.compile(r"\bsounds: \[640\]"),  # a field of the weights
    re.compile(r"\btold apart\b"),  # an idiom, which means "distinguished"
)

#: Verbs, and nouns of other stems.
NOT_PARTICIPLES = {"embed", "feed", "need", "speed"}
#: Words before a participle that say what the function does, or that it answers a question.
VERBS = {"as", "find", "is", "has", "mark", "parse", "read", "test", "while"}
#: Names that a protocol prescribes, by who calls them.
PROTOCOLS = {"data_received": "asyncio", "eof_received": "asyncio"}
#: Pure functions, named after what they return, as ``sorted`` is.
PURE = {
    "asked": "a filter as a request has it",
    "called": "a name as a store or a message has it",
    "compared": "a comparison as a store's query has it",
    "declared": "the encoding that a text names",
    "described": "settings as text",
    "dotted": "words with dots between them",
    "encoded": "bytes as a content",
    "escaped": "a name without special characters",
    "expanded": "a path without ~",
    "failed": "an error, from why processes could not start",
    "installed": "plug-ins, by the entry points that there are",
    "joined": "texts, tests or headers as one",
    "nested": "a value in lists or objects",
    "noted": "texts of a page's annotations",
    "placed": "a query that starts at a token",
    "prompted": "tokens after those of a prompt",
    "quoted": "a string with quotes around it",
    "reached": "progress as text",
    "related": "parts of a document that a part refers to",
    "scaled": "a spectrogram in the model's range",
    "unquoted": "a string without its quotes",
}


def test_pages_keep_to_the_vocabulary() -> None:
    breaches = [
        breach
        for page in PAGES
        if "zh" not in page.relative_to(ROOT).parts
        for number, line in enumerate(_prose(page.read_text(encoding="utf-8")), 1)
        for breach in _breaches(page, number, line, BANNED)
    ]
    assert not breaches, "\n" + "\n".join(breaches)


def test_comments_and_strings_keep_to_the_vocabulary() -> None:
    breaches = [
        breach
        for path in SOURCES
        for number, line in _texts(path.read_text(encoding="utf-8"))
        for breach in _breaches(path, number, line, BANNED_IN_SOURCE)
    ]
    assert not breaches, "\n" + "\n".join(breaches)


def test_functions_that_act_are_named_by_verbs() -> None:
    breaches = [
        f"{path.relative_to(ROOT)}:{line}: {name}"
        for path in SOURCES
        for name, line in _functions(path.read_text(encoding="utf-8"))
        if _is_participle(name)
    ]
    assert not breaches, "\n" + "\n".join(breaches)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("A film of two pictures.", ["film", "pictures"]),
        ("Films; it is TOLD.", ["Films", "TOLD"]),
        ("_film_reader or film2", ["film", "film"]),
        ("'x' is no name of a collection", ["no name of a"]),
        ("filmed, depicture, foretold, ~/Pictures, Environmental sounds, told apart", []),
    ],
)
def test_words_are_found(text: str, words: list[str]) -> None:
    assert [breach.split(": ")[1].split(" → ")[0] for breach in _breaches(ROOT, 1, text, BANNED_IN_SOURCE)] == words


def test_code_and_links_of_pages_are_no_prose() -> None:
    page = "see `a.film`\n```sh\nfilm\n```\n[text](film.md)\nfilm\n"
    assert [number for number, line in enumerate(_prose(page), 1) if "film" in line] == [6]


def test_comments_docstrings_and_strings_are_looked_at() -> None:
    code = 'film = 1  # a film\n"""One\nfilm."""\nx = f"film {film}"\n'
    assert [number for number, line in _texts(code) if "film" in line] == [1, 3, 4]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("opened", True), ("_said", True), ("_told", True), ("_file_opened", True), ("open_store", False),
        ("embed", False), ("is_wanted", False), ("_quoted", False), ("data_received", False), ("sorted_by", False),
    ],
)  # fmt: skip
def test_participles(name: str, expected: bool) -> None:
    assert _is_participle(name) is expected


def _breaches(path: Path, number: int, line: str, banned: dict[str, str]) -> Iterator[str]:
    for pattern in ALLOWED:
        line = pattern.sub("", line)
    words = sorted(banned, key=len, reverse=True)
    for found in re.finditer(rf"(?i)(?<![a-z])(?:{'|'.join(words)})(?![a-z])", line):
        yield f"{path.relative_to(ROOT)}:{number}: {found[0]} → {banned[found[0].lower()]}"


def _prose(page: str) -> list[str]:
    """The lines of a page; code and addresses, which are as they are, are left out."""
    lines, code = [], False
    for line in page.splitlines():
        fence = line.lstrip().startswith("```")
        lines.append("" if code or fence else re.sub(r"`[^`]*`|\]\([^)]*\)", " ", line))
        code ^= fence
    return lines


def _texts(code: str) -> Iterator[tuple[int, str]]:
    """The lines of comments, docstrings and strings, with their numbers."""
    kinds = {tokenize.COMMENT, tokenize.STRING, getattr(tokenize, "FSTRING_MIDDLE", tokenize.STRING)}
    for token in tokenize.generate_tokens(io.StringIO(code).readline):
        if token.type in kinds:
            formatted = token.type == tokenize.STRING and "f" in re.split("[\"']", token.string)[0].lower()
            for number, line in enumerate(token.string.splitlines(), token.start[0]):
                # Python 3.11 has f-strings as one token, with the names in their braces.
                yield number, re.sub(r"\{[^{}]*\}", " ", line) if formatted else line


def _functions(code: str) -> Iterator[tuple[str, int]]:
    """Functions and their lines; properties and fixtures, which are values, are left out."""
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            decorators = {ast.unparse(one).partition("(")[0].rpartition(".")[2] for one in node.decorator_list}
            if not decorators & {"property", "cached_property", "fixture"}:
                yield node.name, node.lineno


def _is_participle(name: str) -> bool:
    plain = name.strip("_")
    words = plain.split("_")
    if plain in PURE or plain in PROTOCOLS or words[0] in VERBS or words[-1] in NOT_PARTICIPLES:
        return False
    return words[-1].endswith("ed") or words[-1] in ("said", "told")
