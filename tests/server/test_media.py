"""Which files `/v1/items/{id}/media` hands out, and who else on the machine can read what is kept."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from kilonova import _home
from kilonova.search import indexed
from tests import samples
from tests.servers import API_KEY, BIN, Kilonova, clean_environment

SECRET = "what nobody indexed"


class Home:
    """A home folder that was indexed as a whole, its links and hidden parts too, and a server."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.data, outside = folder / "我的", folder / "data", folder / "outside"
        for path in (self.folder / ".ssh", self.folder / "notes", outside):
            path.mkdir(parents=True)
        self.note, self.picture = self.folder / "notes" / "日记.txt", self.folder / "photo.png"
        self.note.write_text("the first day")
        self.picture.write_bytes(samples.image("png"))
        (outside / "secret.txt").write_text(SECRET)
        (self.folder / ".ssh" / "id_rsa").write_text(SECRET)
        (self.folder / ".hidden.txt").write_text(SECRET)
        (self.folder / "key.pem").write_text(SECRET)
        (self.folder / "link.txt").symlink_to(outside / "secret.txt")
        (self.folder / "linked").symlink_to(outside)
        self.forbidden = [
            str(self.folder / name)
            for name in (".ssh/id_rsa", ".hidden.txt", "key.pem", "link.txt", "linked/secret.txt", "notes", "none.txt")
        ]
        self.forbidden += [
            f"{self.folder}/notes/../.hidden.txt", f"{self.folder}//photo.png", f"file://{self.note}", "",
            "/etc/passwd",
            str(outside / "secret.txt"), f"{self.note}\0", "s3://media/x",
        ]  # fmt: skip
        self.variables = {**clean_environment(), "KILONOVA_API_KEYS": API_KEY}
        self.run("index", str(self.folder), "--model", "fake", "--dimension", "256")
        self.server = Kilonova("--data", str(self.data))
        self.http = httpx.Client(
            base_url=self.server.__enter__().wait_ready().url,
            headers={"Authorization": f"Bearer {API_KEY}"},
            timeout=30,
        )

    def run(self, *arguments: str) -> None:
        command = [str(BIN / "kilonova"), *arguments, "--data", str(self.data)]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == 0, done.stderr

    def write(self, collection: str, uri: str) -> None:
        """A point whose payload names a file, as any caller may write it."""
        point = {"id": "mine", "vector": [1.0] * 256, "payload": {"uri": uri}}
        answer = self.http.post(f"/v1/collections/{collection}/points", json={"points": [point]})
        assert answer.status_code == 200, answer.text

    def media(self, item: str, collection: str = "files") -> httpx.Response:
        return self.http.get(
            f"/v1/items/{item.replace('#', '%23')}/media", params={"collection": collection}, follow_redirects=False
        )

    def make(self, name: str) -> None:
        wanted: dict[str, Any] = {"name": name, "model": "fake", "dimension": 256, "metric": "cosine"}
        answer = self.http.post("/v1/collections", json=wanted)
        assert answer.status_code == 200, answer.text


@pytest.fixture
def home(tmp_path: Path) -> Iterator[Home]:
    made = Home(tmp_path)
    yield made
    made.server.close()


def test_only_what_was_indexed_is_handed_out(home: Home) -> None:
    assert home.media(f"{home.note}#0").text == "the first day"
    home.make("mine")
    for collection in ("mine", "files"):
        for uri in home.forbidden:
            home.write(collection, uri)
            answer = home.media("mine", collection)
            assert answer.status_code == 404, (collection, uri)
            assert SECRET not in answer.text
    home.write("mine", str(home.note))  # indexed, but not into this collection
    assert home.media("mine", "mine").status_code == 404


def test_a_file_that_became_a_link_is_not_followed(home: Home) -> None:
    home.note.unlink()
    home.note.symlink_to(home.folder / ".hidden.txt")
    assert home.media(f"{home.note}#0").status_code == 404
    home.note.unlink()
    assert home.media(f"{home.note}#0").status_code == 404
    folder = home.note.parent
    folder.rmdir()
    folder.symlink_to(home.folder.parent / "outside")
    (home.folder.parent / "outside" / home.note.name).write_text(SECRET)
    assert home.media(f"{home.note}#0").status_code == 404


@pytest.mark.parametrize("way", ["over HTTP", "by the command"])
def test_a_dropped_collection_takes_its_files_along(home: Home, way: str) -> None:
    item = f"{home.note}#0"
    assert home.media(item).status_code == 200
    if way == "over HTTP":
        assert home.http.delete("/v1/collections/files").status_code == 200
    else:
        home.run("collections", "drop", "files", "--yes")
    home.make("files")
    home.write("files", str(home.note))
    assert home.media("mine").status_code == 404


def test_links_within_what_is_indexed_are_fine(tmp_path: Path) -> None:
    data, root = tmp_path / "data", tmp_path / "root"
    (root / "b").mkdir(parents=True)
    (root / "b" / "真.txt").write_text("x")
    (root / "a.txt").symlink_to(root / "b" / "真.txt")
    uris = [str(root / "a.txt"), str(root / "b" / "真.txt"), "s3://bucket/键"]
    indexed.record(data, "c", [str(root), "s3://bucket/"], uris)
    assert indexed.find_path(data, "c", uris[0]) == uris[1]
    assert indexed.find_path(data, "c", uris[1]) == uris[1]
    assert indexed.find_path(data, "c", uris[2]) == uris[2]
    assert indexed.find_path(data, "other", uris[1]) is None
    assert indexed.find_path(tmp_path, "c", uris[1]) is None
    odd = os.fsdecode(b"/caf\xe9.txt")  # a name that is no UTF-8
    (tmp_path / "root2").mkdir()
    Path(f"{tmp_path}/root2{odd}").write_text("x")
    indexed.record(data, "c", [str(tmp_path / "root2")], [f"{tmp_path}/root2{odd}"])
    assert indexed.find_path(data, "c", f"{tmp_path}/root2{odd}") == f"{tmp_path}/root2{odd}"


def test_nobody_else_reads_what_is_kept(home: Home) -> None:
    home.http.post("/v1/search", json={"text": "day", "collection": "files"})
    home.server.client().list_async_invokes()
    assert stat.S_IMODE(home.data.stat().st_mode) == 0o700
    assert stat.S_IMODE((home.data / "jobs.sqlite").stat().st_mode) & 0o077 == 0


def test_a_data_folder_that_is_open_is_closed(tmp_path: Path) -> None:
    old = tmp_path / "old"
    (old / "collections").mkdir(parents=True)
    old.chmod(0o755)
    assert _home.private(old) == old
    assert stat.S_IMODE(old.stat().st_mode) == 0o700
    shared = tmp_path / "shared"
    (shared / "collections").mkdir(parents=True)
    (shared / "holidays.txt").write_text("of everybody")
    (shared / "jobs.sqlite").write_text("")
    for path in (shared, shared / "collections", shared / "holidays.txt", shared / "jobs.sqlite"):
        path.chmod(0o755)
    _home.private(shared)
    modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in (shared, *shared.iterdir())}
    assert modes == {"shared": 0o755, "collections": 0o700, "holidays.txt": 0o755, "jobs.sqlite": 0o700}
    new = _home.private(tmp_path / "a" / "new")
    assert stat.S_IMODE(new.stat().st_mode) == 0o700
