"""The public API: what is exported, with which signatures, and that every example in it runs."""

from __future__ import annotations

import doctest
import inspect
import re
from pathlib import Path

import pytest

import kilonova
from kilonova import errors
from kilonova.api import client, contents, embedder, hits, index
from kilonova.engine import engine
from kilonova.models import card
from kilonova.search import query
from kilonova.segments import progress
from tests.servers import API_KEY, Kilonova

SNAPSHOT = Path(__file__).with_name("public.txt")
MODULES = (card, client, contents, embedder, engine, errors, hits, index, progress, query)


def signatures() -> str:
    """Every public name with its signature; of classes those of their public methods, too."""
    lines = []
    for name in kilonova.__all__:
        value = getattr(kilonova, name)
        lines.append(f"{name}{_signature(value)}")
        for member, one in sorted(inspect.getmembers(value)):
            if issubclass(value, Exception | str) or member.startswith("_"):
                continue
            if issubclass(value, list) and member in dir(list):
                continue
            if inspect.isfunction(one) or isinstance(one, property):
                lines.append(f"    .{member}{_signature(one)}")
    return "\n".join(lines) + "\n"


def _signature(value: object) -> str:
    if isinstance(value, property):
        return f" -> {inspect.signature(value.fget).return_annotation}" if value.fget else ""
    assert callable(value)
    try:
        return str(inspect.signature(value))
    except ValueError:
        return ""


def test_names_and_signatures_are_those_that_were_promised() -> None:
    """A change is one of the API: say it in CHANGELOG.md. This writes the file anew:

    python -c "from tests.api.test_public import *; SNAPSHOT.write_text(signatures())"
    """
    assert signatures() == SNAPSHOT.read_text(encoding="utf-8")


def test_names_are_sorted_and_there() -> None:
    assert kilonova.__all__ == sorted(kilonova.__all__)
    assert set(kilonova.__all__) <= set(dir(kilonova))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        kilonova.nothing  # noqa: B018


def test_everything_public_is_documented() -> None:
    for name in kilonova.__all__:
        value = getattr(kilonova, name)
        assert value.__doc__, name
        for member, one in inspect.getmembers(value, inspect.isfunction):
            assert member.startswith("_") or one.__doc__, f"{name}.{member}"


@pytest.mark.parametrize("name", kilonova.__all__)
def test_everything_has_an_example(name: str) -> None:
    value = getattr(kilonova, name)
    if value is not kilonova.KilonovaError and issubclass(value, kilonova.KilonovaError):
        value = kilonova.KilonovaError  # which has one for all of them
    assert ">>>" in value.__doc__


@pytest.mark.timeout(300)
def test_every_example_runs(
    folder: Path, data: Path, server: Kilonova, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KILONOVA_DATA", str(tmp_path))
    monkeypatch.setenv("KILONOVA_HOME", str(tmp_path))
    monkeypatch.setenv("KILONOVA_API_KEY", API_KEY)
    examples = 0
    for module in MODULES:
        result = doctest.testmod(module, extraglobs={"url": server.url}, optionflags=doctest.NORMALIZE_WHITESPACE)
        assert result.failed == 0, module.__name__
        examples += result.attempted
    assert examples >= 40


@pytest.mark.timeout(300)
@pytest.mark.parametrize("page", ["docs/python.md", "docs/zh/python.md"])
def test_the_pages_examples_run(
    page: str, folder: Path, data: Path, server: Kilonova, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setenv("KILONOVA_DATA", str(tmp_path))
    monkeypatch.setenv("KILONOVA_HOME", str(tmp_path))
    monkeypatch.setenv("KILONOVA_API_KEY", API_KEY)
    text = (Path(__file__).parents[2] / page).read_text(encoding="utf-8")
    blocks = re.findall(r"^```python\n(.*?)^```", text, re.MULTILINE | re.DOTALL)
    assert len(blocks) > 5
    names: dict[str, object] = {}
    for block in blocks:
        exec(block.replace("http://127.0.0.1:8000", server.url), names)
