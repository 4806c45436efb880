"""Model families of other distributions beside ours."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from dataclasses import replace
from pathlib import Path

import pytest

from kilonova.errors import InvalidInput, NotFound, Unavailable
from kilonova.models import cards, registry
from kilonova.models.family import ModelFamily
from kilonova.plugins import GROUPS, resolve
from kilonova.search import rerank
from tests.plugins.distributions import install

ROOT = Path(__file__).parents[2]
FAMILY = """
from dataclasses import replace
from kilonova.models import cards
from kilonova.models.fake import Fake

def names():
    return ["{name}"]

def claims(name):
    return name.startswith("{name}")

def describe(name):
    {describe}
    return replace(cards.FAKE, id=name, repository="{repository}")

def load(name, card):
    return Fake()
"""


def family(name: str, describe: str = "", repository: str = "") -> str:
    return FAMILY.format(name=name, describe=describe, repository=repository)


def test_the_tables_in_code_are_those_of_the_distribution() -> None:
    groups = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]["entry-points"]
    assert list(groups[registry.GROUP].items()) == list(registry.BUILT_IN.items())
    assert registry.GROUP in GROUPS
    assert groups[rerank.GROUP] == rerank.BUILT_IN
    assert rerank.GROUP in GROUPS
    for where in registry.BUILT_IN.values():
        assert isinstance(resolve(where), ModelFamily)


def test_ours_are_found_without_reading_entry_points() -> None:
    code = """
import sys
from kilonova.models import registry
for name in ("kilonova-mini", "fake", "embeddinggemma-2:text", "bedrock:x", "qwen3-vl-embedding-8b:int8"):
    registry.is_here(name)
registry.card("kilonova-mini"), registry.card("qwen3-vl-embedding-2b")
print(*(name for name in ("importlib.metadata", "numpy", "urllib3", "boto3") if name in sys.modules))
"""
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    assert done.stdout.split() == []


def test_a_family_of_another_distribution(site: Path) -> None:
    install(site, "many-words", {registry.GROUP: {"words": "many_words_one"}}, many_words_one=family("mots-词"))
    assert registry.names()[-1] == "mots-词"
    assert registry.is_here("mots-词")
    assert registry.card("mots-词:text") == replace(
        cards.FAKE, id="mots-词", modalities=registry.card("mots-词:text").modalities
    )
    assert registry.load("mots-词").card.id == "mots-词"
    # an address with slashes is no folder while a family claims it
    assert registry.load("mots-词+http://somewhere/v1#x").card.id == "mots-词+http://somewhere/v1#x"
    with pytest.raises(InvalidInput, match="no form in 8 bits"):
        registry.card("mots-词:int8")


def test_ours_come_first(site: Path) -> None:
    install(site, "thieves", {registry.GROUP: {"fake": "thieves_one"}}, thieves_one=family("fake", "1 / 0"))
    assert registry.card("fake") == cards.FAKE
    assert registry.names().count("fake") == 1


def test_a_model_that_is_to_be_pulled(site: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install(
        site, "far", {registry.GROUP: {"far": "far_one"}}, far_one=family("far-away", repository="Somebody/Far-Model")
    )
    monkeypatch.setenv("KILONOVA_DATA", str(site / "data"))
    assert not registry.is_here("far-away")
    with pytest.raises(Unavailable, match="kilonova pull far-away"):
        registry.load("far-away")
    assert registry.pulled_name("somebody/far-model") == "far-away"
    (site / "data/models/far-away").mkdir(parents=True)
    assert registry.is_here("far-away")


def test_broken_families_are_named_and_harm_no_other(site: Path) -> None:
    install(site, "no-library", {registry.GROUP: {"broken": "no_library_one"}}, no_library_one="import nobody_has_it")
    install(site, "no-family", {registry.GROUP: {"wrong": "os:name"}})
    install(site, "bad-cards", {registry.GROUP: {"bad": "bad_cards_one"}}, bad_cards_one=family("bad", "1 / 0"))
    install(site, "good-words", {registry.GROUP: {"good": "good_words_one"}}, good_words_one=family("good"))
    assert registry.load("good").card.id == "good"
    assert registry.card("kilonova-mini") == cards.MINI
    assert registry.names()[-1] == "good"
    assert "bad" not in registry.names()
    for name, match in (
        ("broken", "distribution no-library cannot be imported: ModuleNotFoundError"),
        ("broken:some/model", "distribution no-library"),
        ("wrong", "distribution no-family is not what"),
        ("bad", "plug-in 'bad' failed: ZeroDivisionError"),
    ):
        with pytest.raises(Unavailable, match=match):
            registry.card(name)
    with pytest.raises(NotFound, match="no-library"):
        registry.card("nothing")
    assert not registry.is_here("nothing")
    with pytest.raises(InvalidInput, match="no model in"):
        registry.card("./nothing/here")
