"""Stores by their addresses, those of other distributions among them."""

from __future__ import annotations

import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kilonova import plugins
from kilonova.errors import InvalidInput, KilonovaError
from kilonova.stores import registry
from tests.plugins.distributions import install

ROOT = Path(__file__).parents[2]
GOOD = """
from kilonova.stores.registry import Backend
BACKEND = Backend("memory:NAME", lambda where: "a store at " + where)
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that Python imports from."""
    monkeypatch.setattr(sys, "path", [str(tmp_path), *sys.path])
    return tmp_path


def test_our_entry_points_are_the_table() -> None:
    declared = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"][registry.GROUP]
    assert {name: plugins.resolve(where) for name, where in declared.items()} == registry.BUILT_IN
    assert list(declared) == list(registry.BUILT_IN)


def test_every_extra_is_one_of_ours() -> None:
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["optional-dependencies"]
    assert {one.extra for one in registry.BUILT_IN.values()} - {""} <= set(extras)


def test_ours_are_opened_without_reading_entry_points(tmp_path: Path) -> None:
    code = (
        "import sys; from kilonova.stores import registry; heavy = ('importlib.metadata', 'qdrant_edge', 'faiss')\n"
        "assert not [one for one in heavy if one in sys.modules], sys.modules\n"
        f"registry.open_store('edge:{tmp_path}').close()\n"
        "assert 'importlib.metadata' not in sys.modules and 'faiss' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_a_store_of_another_distribution(site: Path) -> None:
    install(site, "good-store", {registry.GROUP: {"memory": "good_store:BACKEND"}}, good_store=GOOD)
    assert registry.open_store("memory:x") == "a store at x"
    assert registry.open_store("memory+http://x:1") == "a store at http://x:1"  # type: ignore[comparison-overlap]
    with pytest.raises(InvalidInput, match=r"These are: edge:FOLDER.*memory:NAME\."):
        registry.open_store("nowhere:/x")


def test_nobody_takes_the_place_of_ours(site: Path) -> None:
    install(site, "bad-store", {registry.GROUP: {"edge": "bad_edge:BACKEND"}}, bad_edge=GOOD)
    store = registry.open_store(f"edge:{site / 'collections'}")
    assert store.collections() == []
    store.close()


def test_a_store_that_cannot_be_imported_is_named_and_harms_no_other(site: Path) -> None:
    install(site, "broken-store", {registry.GROUP: {"broken": "broken_store:BACKEND"}}, broken_store="import nothing_x")
    install(site, "fine-store", {registry.GROUP: {"fine": "fine_store:BACKEND"}}, fine_store=GOOD)
    with pytest.raises(KilonovaError, match=r"distribution broken-store cannot be imported.*nothing_x"):
        registry.open_store("broken:x")
    assert registry.open_store("fine:x") == "a store at x"
    with pytest.raises(InvalidInput, match=r"These are: .*memory:NAME.*broken-store cannot be imported"):
        registry.open_store("nowhere:/x")


def test_a_library_that_a_store_of_others_lacks(site: Path) -> None:
    code = GOOD.replace('"a store at " + where', "__import__('nothing_y')")
    install(site, "poor-store", {registry.GROUP: {"poor": "poor_store:BACKEND"}}, poor_store=code)
    with pytest.raises(KilonovaError, match=r"nothing_y is missing, which poor needs\."):
        registry.open_store("poor:x")
