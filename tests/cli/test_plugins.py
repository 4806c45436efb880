"""``kilonova plugins`` as a user runs it."""

from __future__ import annotations

import json
import os
import subprocess
import tomllib
from pathlib import Path
from typing import Any

import pytest

from kilonova.plugins import GROUPS
from tests.plugins.distributions import install
from tests.servers import BIN, clean_environment

ROOT = Path(__file__).parents[2]
REGISTERED: dict[str, dict[str, str]] = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]
OURS = {group: REGISTERED[group] for group in GROUPS if group in REGISTERED}


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """A folder that Python imports from, with Kilonova's own entry points as ``pyproject.toml`` has them now."""
    install(tmp_path, "kilonova", OURS)
    return tmp_path


def run(site: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
    environment = {**clean_environment(), "COLUMNS": "200", "PYTHONPATH": os.pathsep.join(paths)}
    command = [str(BIN / "kilonova"), "plugins", *arguments]
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)


def listed(site: Path) -> dict[tuple[str, str], dict[str, Any]]:
    done = run(site, "--json")
    assert done.returncode == 0, done.stderr
    return {(one["group"], one["name"]): one for one in json.loads(done.stdout)}


def test_all_of_ours_are_listed_and_can_be_loaded(site: Path) -> None:
    found = listed(site)
    assert set(found) == {(group, name) for group, some in OURS.items() for name in some}
    assert {one["built_in"] for one in found.values()} == {True}
    assert [one["fault"] for one in found.values() if one["group"] == "kilonova.stores"] == [""] * 6


def test_those_of_others_have_their_distribution_and_fault(site: Path) -> None:
    entries = {
        "kilonova.stores": {"broken": "broken_store:BACKEND", "wrong": "json:dumps"},
        "kilonova.rerankers": {"好": "good_store:open_reranker"},
    }
    install(
        site,
        "strange-things",
        entries,
        broken_store="raise RuntimeError('[red]boom[/]\\x1b[31m')",
        good_store="def open_reranker(model): return lambda query, texts: texts",
    )
    found = listed(site)
    assert found["kilonova.rerankers", "好"] == {
        "group": "kilonova.rerankers",
        "name": "好",
        "distribution": "strange-things",
        "version": "1.2",
        "built_in": False,
        "fault": "",
    }
    assert "RuntimeError: [red]boom" in found["kilonova.stores", "broken"]["fault"]
    assert found["kilonova.stores", "wrong"]["fault"] == "json:dumps is not what kilonova.stores holds."
    assert found["kilonova.stores", "edge"]["built_in"]
    shown = run(site).stdout
    assert "strange-things 1.2" in shown
    assert r"[red]boom[/]\x1b[31m" in shown  # as it is, not obeyed
    assert "built in" in shown
    assert "kilonova.readers" in shown


def test_an_extra_that_is_not_installed_is_named(site: Path) -> None:
    (site / "sitecustomize.py").write_text(
        "import importlib.util as util\n"
        "real = util.find_spec\n"
        "util.find_spec = lambda name, package=None: None if name == 'faiss' else real(name, package)\n"
    )
    found = listed(site)
    assert found["kilonova.stores", "edge"]["fault"] == ""
    assert "pip install 'kilonova[faiss]'" in found["kilonova.stores", "faiss"]["fault"]


def test_help_has_an_example(site: Path) -> None:
    done = run(site, "--help")
    assert done.returncode == 0
    assert "kilonova plugins --json" in done.stdout
