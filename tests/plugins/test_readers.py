"""A reader of documents as a plug-in: its files are listed, read in a process of their own, indexed and found."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

import kilonova
from kilonova import plugins
from kilonova.segments.documents import BUILT_IN, reader_of
from kilonova.segments.files import Kind, kind_of
from tests.plugins.distributions import install

# Scripts of plays: a page for each scene, whose first line is its title.
SCENES = """
from contextlib import contextmanager
from kilonova.segments.documents import Page


class Plays:
    @contextmanager
    def open(self, file, name, folder):
        text = file.read().decode()
        if "CRASH" in text:
            import os
            os.abort()
        scenes = [scene.strip() for scene in text.split("SCENE")[1:]]
        yield [Page(None, scene, "" if scene else "A scene is empty.") for scene in scenes]

    def facts(self, file):
        return {"title": file.readline().decode().strip()}


READER = Plays()
"""


@pytest.fixture
def site(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder that this process and its children import from."""
    folder = tmp_path / "site"
    folder.mkdir()
    monkeypatch.setattr(sys, "path", [str(folder), *sys.path])
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH", "")])))
    return folder


def test_built_ins_are_registered_as_plugins_are() -> None:
    ours = {one.name: one for one in plugins.installed() if one.group == "kilonova.readers" and one.built_in}
    assert set(ours) == set(BUILT_IN)
    assert not [one.fault for one in ours.values() if one.fault]


def test_files_of_a_new_ending_are_documents(site: Path, tmp_path: Path) -> None:
    install(site, "kilonova-plays", {"kilonova.readers": {"play": "plays_reader:READER"}}, plays_reader=SCENES)
    assert (kind_of("茶馆.play"), kind_of("茶馆.nobody")) == (Kind.DOCUMENT, None)
    folder = tmp_path / "plays"
    folder.mkdir()
    (folder / "茶馆.play").write_text("茶馆\nSCENE 王利发在茶馆里。\nSCENE 常四爷喝茶。\nSCENE")
    (folder / "bad.play").write_text("CRASH")
    with kilonova.Index("plays", model="fake", dimension=256, data=tmp_path / "data") as index:
        progress = index.add(folder)
        reasons = {Path(uri).name: reason for uri, reason in progress.failed}
        assert "SIGABRT" in reasons["bad.play"]
        assert reasons["茶馆.play"] == "A scene is empty."
        (hit,) = index.search("常四爷", mode="keyword", limit=1)
        assert (hit.payload["name"], hit.payload["page"], hit.payload["title"]) == ("茶馆.play", 2, "茶馆")


def test_a_reader_that_cannot_be_loaded_costs_its_files_alone(site: Path, tmp_path: Path) -> None:
    install(site, "kilonova-broken", {"kilonova.readers": {"broken": "broken_reader:READER"}}, broken_reader="1 / 0")
    with pytest.raises(kilonova.Unavailable, match="kilonova-broken cannot be imported: ZeroDivisionError"):
        reader_of("a.broken")
    folder = tmp_path / "files"
    folder.mkdir()
    (folder / "a.broken").write_text("words")
    (folder / "b.txt").write_text("words")
    with kilonova.Index("files", model="fake", dimension=256, data=tmp_path / "data") as index:
        progress = index.add(folder)
    assert progress.added == 1
    ((uri, reason),) = progress.failed
    assert uri.endswith("a.broken")
    assert "kilonova-broken" in reason
