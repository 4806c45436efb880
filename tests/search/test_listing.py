"""What people's folders always hold is passed over and counted by kind."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from kilonova.segments.files import under
from kilonova.segments.listing import look, resolve
from kilonova.segments.skipped import skipped_folder, skipped_key, skipped_name
from tests.search.indexing import brought
from tests.servers import BIN, clean_environment


@pytest.mark.parametrize(
    ("name", "kind"),
    [
        ("~$report.docx", "temporary"), ("~$报告.xlsx", "temporary"), ("~WRL0003.tmp", "temporary"),
        ("notes.txt~", "temporary"), ("film.mp4.part", "temporary"), (".~lock.a.docx#", "hidden"),
        (".DS_Store", "system"), ("._photo.jpg", "system"), ("Thumbs.db", "system"), ("desktop.ini", "system"),
        ("DESKTOP.INI", "system"), ("Icon\r", "system"), (".notes.txt", "hidden"), ("IMG_1.xmp", "sidecars"),
        ("IMG_1.AAE", "sidecars"), ("report.docx", None), ("~notes.txt", None), ("thumbs.jpg", None),
    ],
)  # fmt: skip
def test_names(name: str, kind: str | None) -> None:
    assert skipped_name(name) == kind


@pytest.mark.parametrize("name", ["@eaDir", "#recycle", "$RECYCLE.BIN", "System Volume Information", "__MACOSX"])
def test_folders_of_systems(name: str) -> None:
    assert skipped_folder(name) == "system"
    assert skipped_folder(".git") == "hidden"
    assert skipped_folder("照片") is None


@pytest.mark.parametrize(
    ("key", "prefix", "kind"),
    [
        ("a/@eaDir/x.jpg", "a/", "system"), ("a/@eaDir/x.jpg", "", "system"), ("a/@eaDir/x.jpg", "a/@eaDir/", None),
        (".git/a.txt", "", "hidden"), (".git/a.txt", ".git/a", None), ("in/~$x.docx", "in", "temporary"),
    ],
)  # fmt: skip
def test_keys(key: str, prefix: str, kind: str | None) -> None:
    assert skipped_key(key, prefix) == kind


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "files"
    for name in ("sub", "@eaDir", ".git", "#recycle"):
        (made / name).mkdir(parents=True)
        (made / name / "in.txt").write_text(name)
    (made / "a.txt").write_text("港口")
    for name in ("~$a.docx", ".DS_Store", "one.psd", "two.PSD", "x.svg", "README"):
        (made / name).write_text("x")
    for name in ("empty.txt", "empty.jpg"):
        (made / name).touch()
    (made / "blank.md").write_text("\ufeff\n")
    (made / "page.html").write_text("<html><script>x</script></html>")
    (made / "a.txt.json").write_text("{}")
    (made / "link").symlink_to(made / "sub")
    (made / "link.txt").symlink_to(made / "a.txt")
    (made / "broken.txt").symlink_to(made / "nowhere")
    (made / "loop.txt").symlink_to(made / "loop.txt")
    os.mkfifo(made / "pipe.txt")
    return made


def test_they_are_counted_and_no_failures(tmp_path: Path, folder: Path) -> None:
    command = [str(BIN / "kilonova"), "index", str(folder), "--model", "fake", "--dimension", "256"]
    for arguments in (["--json"], []):
        done = subprocess.run(
            [*command, *arguments, "--data", str(tmp_path / "data")],
            env=clean_environment(), capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
        assert done.returncode == 0, done.stderr
        if arguments:
            said = json.loads(done.stdout)
            assert (said["added"], said["failed"], said["warnings"], said["otherFiles"]) == (3, [], [], 4)
            assert said["files"] == 3
            assert said["otherEndings"] == {".psd": 2, ".svg": 1, "(none)": 1}
            assert said["skipped"] == {
                "empty": 4, "system": 3, "hidden": 1, "temporary": 1, "sidecars": 1,
                "linksToFolders": 1, "brokenLinks": 2, "special": 1,
            }  # fmt: skip
        else:
            assert "4 files of kinds that cannot be indexed: 2 .psd, 1 " in done.stdout
            assert "4 empty" in done.stdout


def test_overlapping_roots_count_a_file_once(tmp_path: Path, folder: Path) -> None:
    roots: list[Path | str] = [folder / "a.txt", folder / "sub", folder, f"{folder}/", folder / "sub" / "in.txt"]
    tally = brought(tmp_path, *roots)
    assert (tally.total, tally.added, tally.other.total(), tally.skipped["system"]) == (3, 3, 4, 3)
    (first,) = (one for one in look(resolve([str(root) for root in roots])).files if one.name == "a.txt")
    assert first.sidecar is not None  # seen with its folder, so with what lies beside it
    assert len(look(resolve([str(folder / ".git"), str(folder)])).files) == 6  # named, so meant


@pytest.mark.parametrize(
    ("uri", "root", "inside"),
    [
        ("/a/b", "/a", True), ("/ab", "/a", False), ("/a", "/a", True), ("file:///a/%E9", "/a", True),
        ("file:///a/%E9/x", "file:///a/%E9", True),
        ("/a/é", "file:///a/%E9", False), ("s3://b/pre/x", "s3://b/pre", True),
        ("s3://b/prefix", "s3://b/pre", True), ("s3://bucket/x", "s3://b", False), ("s3://b/x", "/a", False),
        ("s3://b/x", "file:///a/%E9", False),
    ],
)  # fmt: skip
def test_what_lies_under_a_root(uri: str, root: str, inside: bool) -> None:
    assert under(uri, root) is inside


def test_the_json_is_printed_whatever_the_terminal_takes(tmp_path: Path, folder: Path) -> None:
    command = [str(BIN / "kilonova"), "index", str(folder / "a.txt"), str(folder / "没有.txt"), "--json"]
    done = subprocess.run(
        [*command, "--model", "fake", "--dimension", "256", "--data", str(tmp_path / "data")],
        env={**clean_environment(), "PYTHONIOENCODING": "ascii"}, capture_output=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 1, done.stderr
    assert json.loads(done.stdout)["failed"][0]["uri"] == str(folder / "没有.txt")


@pytest.mark.parametrize("value", ["NaN", "-Infinity", "1e999", "99999999999999999999", "[NaN]"])
def test_facts_that_no_store_keeps_are_refused(tmp_path: Path, folder: Path, value: str) -> None:
    done = subprocess.run(
        [str(BIN / "kilonova"), "index", str(folder), "--set", f"x={value}", "--data", str(tmp_path / "data")],
        env=clean_environment(), capture_output=True, text=True, timeout=100, check=False,
    )  # fmt: skip
    assert done.returncode == 2
    assert "left out" in done.stderr or "64 bits" in done.stderr
