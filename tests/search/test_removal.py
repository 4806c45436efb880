"""Entries are removed only for files that are known to be gone."""

from __future__ import annotations

import errno
import os
import shutil
import stat
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kilonova.errors import InvalidInput, Unavailable
from kilonova.segments import listing
from kilonova.segments.listing import look, resolve
from kilonova.storage.objects import objects
from tests.search.indexing import brought, known, opened
from tests.servers import BIN, S3, clean_environment


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "资料"
    (made / "内" / "deep").mkdir(parents=True)
    for name in ("a.txt", "内/b.txt", "内/deep/c.txt"):
        (made / name).write_text(f"words of {name}")
    return made


def fail_in(monkeypatch: pytest.MonkeyPatch, where: str, path: Path, number: int) -> None:
    """Have ``os.scandir`` or ``Path.lstat`` fail for one path; root may look everywhere, so modes do not do."""
    of: Any = os if where == "scandir" else Path
    right = getattr(of, where)

    def wrong(asked: Any, *arguments: Any, **options: Any) -> Any:
        if not isinstance(asked, int) and os.fspath(asked) == os.fspath(path):
            raise OSError(number, os.strerror(number), str(path))
        return right(asked, *arguments, **options)

    monkeypatch.setattr(of, where, wrong)


@pytest.mark.parametrize("number", [errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN])
def test_a_folder_that_cannot_be_listed_keeps_its_files(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").unlink()
    fail_in(monkeypatch, "scandir", folder / "内", number)
    (folder / "new.txt").write_text("new")
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.removed) == (1, 1)
    ((uri, reason),) = tally.failed
    assert uri == str(folder / "内")
    assert os.strerror(number) in reason
    assert set(known(tmp_path)) == {"new.txt", "b.txt", "c.txt"}


def test_a_file_that_cannot_be_looked_at_stays(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").unlink()
    fail_in(monkeypatch, "lstat", folder / "a.txt", errno.EIO)
    tally = brought(tmp_path, folder)
    assert (tally.removed, [uri for uri, _ in tally.failed]) == (0, [str(folder / "a.txt")])


@pytest.mark.parametrize("how", ["empty", "missing", "only what cannot be indexed"])
def test_an_empty_or_missing_root_keeps_everything(tmp_path: Path, folder: Path, how: str) -> None:
    other = tmp_path / "other"
    other.mkdir()
    (other / "o.txt").write_text("other")
    brought(tmp_path, folder, other)
    shutil.rmtree(folder)
    if how != "missing":
        folder.mkdir()
    if how == "only what cannot be indexed":
        (folder / ".NOT_MOUNTED").touch()
        (folder / "lost+found").mkdir()
    tally = brought(tmp_path, folder, other)
    assert (tally.unchanged, tally.removed, len(tally.failed)) == (1, 0, 1)
    assert "--remove-missing" in tally.failed[0][1]
    assert len(known(tmp_path)) == 4
    meant = brought(tmp_path, folder, other, remove_missing=True)
    assert (meant.unchanged, meant.removed, meant.failed) == (1, 3, [])
    assert set(known(tmp_path)) == {"o.txt"}


@pytest.mark.parametrize("left", ["empty", "stub", "missing"])
def test_a_disk_within_that_is_not_mounted_keeps_its_files(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, left: str
) -> None:
    disk = folder / "内"
    right = Path.is_mount
    with monkeypatch.context() as mounted:
        mounted.setattr(Path, "is_mount", lambda self: self == disk or right(self))
        mounted.setattr(os.path, "ismount", lambda path: Path(path) == disk)
        assert brought(tmp_path, folder).added == 3
        (disk / "b.txt").unlink()  # mounted, so what is gone is gone
        assert brought(tmp_path, folder).removed == 1
    shutil.rmtree(disk)
    if left != "missing":
        disk.mkdir()
    if left == "stub":
        (disk / "readme.txt").write_text("Mount me.")
    for _ in range(2):
        tally = brought(tmp_path, folder)
        assert (tally.removed, [uri for uri, _ in tally.failed]) == (0, [str(disk)])
        assert "c.txt" in known(tmp_path)
    assert brought(tmp_path, folder, remove_missing=True).removed == 1
    assert brought(tmp_path, folder).failed == []


def test_a_disk_that_goes_away_while_the_run_goes_on(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought(tmp_path, folder)
    for path in folder.rglob("*.txt"):
        path.write_text("changed")
    right = look

    def away(roots: list[str]) -> listing.Listing:
        found = right(roots)
        shutil.rmtree(folder)
        folder.mkdir()
        return found

    monkeypatch.setattr("kilonova.api.index.look", away)
    tally = brought(tmp_path, folder)
    assert (tally.removed, len(tally.failed)) == (0, 1)
    assert len(known(tmp_path)) == 3


def test_files_deleted_while_the_run_goes_on_are_no_failures(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").write_text("changed")
    (folder / "new.txt").write_text("new")
    right = look

    def deleted(roots: list[str]) -> listing.Listing:
        found = right(roots)
        (folder / "a.txt").unlink()
        (folder / "new.txt").unlink()
        return found

    monkeypatch.setattr("kilonova.api.index.look", deleted)
    tally = brought(tmp_path, folder)
    assert (tally.removed, tally.failed, tally.unchanged, tally.total) == (1, [], 2, 2)
    assert set(known(tmp_path)) == {"b.txt", "c.txt"}


def test_a_file_that_comes_back_after_the_listing_stays(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Editors delete a file and write it anew."""
    brought(tmp_path, folder)
    (folder / "a.txt").unlink()
    right = look

    def back(roots: list[str]) -> listing.Listing:
        found = right(roots)
        (folder / "a.txt").write_text("back")
        return found

    monkeypatch.setattr("kilonova.api.index.look", back)
    tally = brought(tmp_path, folder)
    assert (tally.removed, tally.failed) == (0, [])


def test_what_is_passed_over_from_now_on_is_removed(tmp_path: Path, folder: Path) -> None:
    (folder / "stays.txt").write_text("stays")
    brought(tmp_path, folder)
    (folder / "a.txt").write_text("")
    (folder / "内" / "b.txt").write_text(" \n\t")
    (folder / "内" / "deep").rename(folder / "内" / "@eaDir")
    tally = brought(tmp_path, folder)
    assert (tally.removed, tally.failed, set(known(tmp_path))) == (3, [], {"stays.txt"})
    assert tally.skipped == {"empty": 2, "system": 1}


def test_a_hidden_folder_that_was_named_is_not_forgotten(tmp_path: Path, folder: Path) -> None:
    hidden = folder / ".notes"
    hidden.mkdir()
    for name in ("h.txt", "i.txt"):
        (hidden / name).write_text(name)
    assert brought(tmp_path, hidden).added == 2
    (hidden / "i.txt").unlink()
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.removed, tally.failed) == (3, 1, [])
    assert "h.txt" in known(tmp_path)


def test_a_folder_that_was_deleted_is_gone(tmp_path: Path, folder: Path) -> None:
    brought(tmp_path, folder)
    shutil.rmtree(folder / "内")
    tally = brought(tmp_path, folder)
    assert (tally.removed, tally.failed, set(known(tmp_path))) == (2, [], {"a.txt"})


@pytest.mark.parametrize("mode", [0, stat.S_IRUSR])  # with names alone none of its files can be looked at
def test_a_locked_folder_as_a_user_meets_it(tmp_path: Path, folder: Path, mode: int) -> None:
    """The real thing: no permission, and the command line."""
    brought(tmp_path, folder)
    limited: list[str] = []
    if os.geteuid() == 0:
        limited = [shutil.which("setpriv") or "setpriv", "--bounding-set", "-dac_override,-dac_read_search"]
    (folder / "内").chmod(mode)
    try:
        done = subprocess.run(
            [*limited, str(BIN / "kilonova"), "index", str(folder), "--data", str(tmp_path / "data")],
            env=clean_environment(), capture_output=True, text=True, timeout=100, check=False,
        )  # fmt: skip
    finally:
        (folder / "内").chmod(stat.S_IRWXU)
    assert done.returncode == 1, done.stderr
    assert done.stderr.count("Permission denied") == 1
    assert set(known(tmp_path)) == {"a.txt", "b.txt", "c.txt"}


def test_s3_prefixes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with S3() as s3:
        for name, value in s3.environment().items():
            monkeypatch.setenv(name, value)
        for name in ("in/一.txt", "in/b/two.txt", "in/empty.txt", "in/~$x.docx", "in/@eaDir/t.txt"):
            s3.client.put_object(Bucket="media", Key=name, Body=b"" if "empty" in name else name.encode())
        tally = brought(tmp_path, "s3://media/in", "s3://media/in/b/")
        assert (tally.added, tally.failed) == (2, [])
        assert tally.skipped == {"empty": 1, "temporary": 1, "system": 1}

        right = objects

        def interrupted(client: Any, root: str) -> Any:
            yield next(iter(right(client, root)))
            raise Unavailable("S3 failed.")

        with monkeypatch.context() as broken:
            broken.setattr(listing, "objects", interrupted)
            for _ in range(2):
                tally = brought(tmp_path, "s3://media/in")
                assert (tally.removed, [uri for uri, _ in tally.failed]) == (0, ["s3://media/in"])

        s3.client.delete_object(Bucket="media", Key="in/b/two.txt")
        assert brought(tmp_path, "s3://media/in").removed == 1
        s3.client.delete_object(Bucket="media", Key="in/一.txt")
        tally = brought(tmp_path, "s3://media/in")
        assert (tally.removed, [uri for uri, _ in tally.failed]) == (0, ["s3://media/in"])
        assert brought(tmp_path, "s3://no-such-bucket/in").failed[0][0] == "s3://no-such-bucket/in"
        assert brought(tmp_path, "s3://media/in", remove_missing=True).removed == 1


def test_watching_goes_on_when_a_root_goes_away(tmp_path: Path, folder: Path) -> None:
    seen = []
    with opened(tmp_path) as files:
        for progress in files.watch(folder, every=0.05):
            seen.append((progress.unchanged, progress.removed, len(progress.failed)))
            if len(seen) == 1:
                folder.rename(tmp_path / "away")
            elif len(seen) == 2:
                (tmp_path / "away").rename(folder)
            else:
                break
    assert seen == [(0, 0, 0), (0, 0, 1), (3, 0, 0)]


def test_nothing_is_made_for_paths_that_are_not_there(tmp_path: Path) -> None:
    found = look(resolve([str(tmp_path / "nowhere")]))
    assert found.missing == {str(tmp_path / "nowhere")}
    with opened(tmp_path) as files:
        with pytest.raises(InvalidInput, match="There is no"):
            files.add(tmp_path / "nowhere")
        assert files.store.collections() == []
