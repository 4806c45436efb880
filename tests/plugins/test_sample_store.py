"""A vector store that another distribution brings (``sqlite_store/``), from its entry point to a search."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.errors import Unavailable
from kilonova.stores import registry
from kilonova.stores.base import VectorStore
from kilonova.testing import StoreSuite
from tests.plugins.distributions import install
from tests.servers import BIN, clean_environment

SOURCE = Path(__file__).with_name("sqlite_store")
PROJECT = tomllib.loads((SOURCE / "pyproject.toml").read_text())["project"]


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the sample as pip installs it."""
    folder = tmp_path_factory.mktemp("site")
    install(folder, PROJECT["name"], PROJECT["entry-points"])
    shutil.copy(SOURCE / "kilonova_sqlite.py", folder)
    return folder


@pytest.fixture
def store(site: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[VectorStore]:
    """An empty store of the sample."""
    monkeypatch.setattr(sys, "path", [str(site), *sys.path])
    made = registry.open_store(f"sqlite:{tmp_path / '数据' / 'points.db'}")
    yield made
    made.close()


class TestSample(StoreSuite):
    """The suite that the sample's author would run."""


def test_a_file_that_is_none_of_it(store: VectorStore, tmp_path: Path) -> None:
    (tmp_path / "other.db").write_bytes(b"garbage" * 1_000)
    with pytest.raises(Unavailable, match=r"other\.db cannot be used: file is not a database"):
        registry.open_store(f"sqlite:{tmp_path / 'other.db'}")


def test_from_the_command_line(site: Path, tmp_path: Path) -> None:
    def kilonova(*arguments: str) -> str:
        paths = [str(site), *filter(None, [os.environ.get("PYTHONPATH")])]
        environment = {**clean_environment(), "PYTHONPATH": os.pathsep.join(paths), "KILONOVA_HOME": str(tmp_path)}
        command = [str(BIN / "kilonova"), *arguments]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=100, check=False)
        assert done.returncode == 0, done.stderr
        return done.stdout

    listed = {(one["group"], one["name"]): one for one in json.loads(kilonova("plugins", "--json"))}
    sample = listed["kilonova.stores", "sqlite"]
    assert (sample["distribution"], sample["built_in"], sample["fault"]) == ("kilonova-sqlite", False, "")

    folder, address = tmp_path / "notes", f"sqlite:{tmp_path / 'points.db'}"
    folder.mkdir()
    (folder / "海滩.txt").write_text("日落海滩，浪花与沙。")
    (folder / "report.txt").write_text("The annual report says that revenue grew.")
    kilonova("index", str(folder), "--model", "fake", "--store", address, "--data", str(tmp_path / "data"))
    assert (tmp_path / "points.db").exists()
    for words, right in (("日落海滩", "海滩.txt"), ("annual revenue", "report.txt")):
        hits = json.loads(kilonova("search", words, "--store", address, "--json", "--data", str(tmp_path / "data")))
        assert hits[0]["payload"]["uri"] == str(folder / right)
    assert json.loads(kilonova("collections", "list", "--store", address, "--json"))[0]["vectors"] == 2
