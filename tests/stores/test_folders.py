"""Collections in folders: what is damaged, too new or too many never harms the others."""

from __future__ import annotations

import json
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest

from kilonova.errors import InvalidInput, KilonovaError, NotFound, Unavailable
from kilonova.stores import registry
from kilonova.stores.base import Collection, Point
from kilonova.stores.folders import MAX_OPEN, FolderStore

ONES = np.ones(4, np.float32)


def threads() -> int:
    return len(list(Path("/proc/self/task").iterdir()))


Reopen = Callable[[], FolderStore]  # type: ignore[type-arg]


@pytest.fixture(params=["edge", "faiss"])
def reopen(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Reopen]:
    """Opens the store in ``tmp_path / "collections"`` again, as a new process would."""
    made: list[FolderStore] = []  # type: ignore[type-arg]

    def again() -> FolderStore:  # type: ignore[type-arg]
        for store in made:
            store.close()
        opened = registry.open_store(f"{request.param}:{tmp_path / 'collections'}")
        assert isinstance(opened, FolderStore)
        made[:] = [opened]
        return opened

    store = again()
    for name in ("damaged", "good"):
        store.create(Collection(name, "fake", 4))
        store.upsert(name, [Point("a", ONES, {"n": 1}, "灯塔")])
    yield again
    for store in made:
        store.close()


def _file(change: Callable[[dict[str, object]], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        path = folder / "collection.json"
        changed = change(json.loads(path.read_text()))
        path.write_text(changed if isinstance(changed, str) else json.dumps(changed))

    return write


def _garbage(folder: Path) -> None:
    for path in folder.rglob("*"):
        if path.is_file() and path.name not in ("collection.json", "owner.json"):
            path.write_bytes(b"garbage" * 20)


def _instead(make: Callable[[Path], object]) -> Callable[[Path], None]:
    def write(folder: Path) -> None:
        (folder / "collection.json").unlink()
        make(folder / "collection.json")

    return write


DAMAGE: dict[str, Callable[[Path], None]] = {
    "cut": _file(lambda facts: json.dumps(facts)[:20]),
    "empty": _file(lambda facts: ""),
    "an object without fields": _file(lambda facts: {}),
    "a list": _file(lambda facts: []),
    "a number": _file(lambda facts: 3),
    "deep": _file(lambda facts: "[" * 100_000),
    "an unknown metric": _file(lambda facts: {**facts, "metric": "hamming"}),
    "no dimension": _file(lambda facts: {**facts, "dimension": "many"}),
    "a newer format": _file(lambda facts: {**facts, "format": 2}),
    "a folder": _instead(Path.mkdir),
    "a pipe": _instead(os.mkfifo),
    "garbage in its files": _garbage,
}


@pytest.mark.slow
@pytest.mark.parametrize("damage", DAMAGE)
def test_damage_stays_in_its_collection(reopen: Reopen, tmp_path: Path, damage: str) -> None:
    reopen().close()
    DAMAGE[damage](tmp_path / "collections" / "damaged")
    store = reopen()
    assert store.find("good").dimension == 4
    assert [match.id for match in store.nearest("good", ONES, 1)] == ["a"]
    assert "good" in [one.name for one in store.collections()]
    if damage != "garbage in its files":
        assert [one.name for one in store.collections()] == ["good"]
        assert list(store.faults()) == ["damaged"]
        assert (
            "Update Kilonova" in store.faults()["damaged"] or "kilonova collections drop" in store.faults()["damaged"]
        )
    for _ in range(2):
        with pytest.raises((Unavailable, InvalidInput), match="damaged"):
            store.count("damaged")
    with pytest.raises(KilonovaError):
        store.upsert("damaged", [Point("b", ONES)])
    store.drop("damaged")
    assert not (tmp_path / "collections" / "damaged").exists()
    with pytest.raises(NotFound):
        store.count("damaged")
    store.create(Collection("damaged", "fake", 4))
    assert store.count("damaged") == 0


def test_a_damaged_index_is_made_anew(tmp_path: Path) -> None:
    address = f"faiss:{tmp_path}"
    store = registry.open_store(address)
    store.create(Collection("notes", "fake", 4))
    store.upsert("notes", [Point(str(row), np.eye(4, dtype=np.float32)[row]) for row in range(4)])
    store.optimize("notes")
    store.close()
    for name in ("built.faiss", "built.npy", "built.json"):
        kept = (tmp_path / "notes" / name).read_bytes()
        (tmp_path / "notes" / name).write_bytes(b"garbage")
        store = registry.open_store(address)
        assert [match.id for match in store.nearest("notes", np.eye(4, dtype=np.float32)[2], 1)] == ["2"]
        store.close()
        (tmp_path / "notes" / name).write_bytes(kept)


@pytest.mark.slow
def test_few_collections_stay_open(reopen: Reopen) -> None:
    store = reopen()
    names = [f"n{number}" for number in range(MAX_OPEN * 2)]
    for name in names:
        store.create(Collection(name, "fake", 4))
        store.upsert(name, [Point("a", ONES)])
    before = threads()
    assert [store.count(name) for name in names] == [1] * len(names)
    assert threads() <= before + 8
    assert len(store._open) <= MAX_OPEN
    with store.using(store.find(names[0])):  # what is in use stays
        assert [store.count(name) for name in names] == [1] * len(names)
        assert names[0] in store._open


@pytest.mark.slow
def test_using_many_at_once(reopen: Reopen) -> None:
    store = reopen()
    names = [f"n{number}" for number in range(MAX_OPEN + 4)]
    for name in names:
        store.create(Collection(name, "fake", 4))
    faults: list[BaseException] = []

    def write(first: int) -> None:
        try:
            for turn in range(40):
                store.upsert(names[(first + turn) % len(names)], [Point(f"{first}-{turn}", ONES)])
        except BaseException as fault:
            faults.append(fault)

    writers = [threading.Thread(target=write, args=(first,)) for first in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert faults == []
    assert sum(store.count(name) for name in names) == 160


def test_a_full_disk_refuses_writes(reopen: Reopen, monkeypatch: pytest.MonkeyPatch) -> None:
    store = reopen()
    monkeypatch.setattr(shutil, "disk_usage", lambda folder: SimpleNamespace(free=255 << 20))
    with pytest.raises(Unavailable, match=r"255 MiB left; writing stops at 256.*Make room"):
        store.upsert("good", [Point("b", ONES)])
    with pytest.raises(Unavailable, match="255 MiB left"):
        store.create(Collection("more", "fake", 4))
    assert [one.name for one in store.collections()] == ["damaged", "good"]
    assert [match.id for match in store.nearest("good", ONES, 5)] == ["a"]
    store.drop("damaged")  # which makes room


def test_a_folder_that_cannot_be_written(tmp_path: Path) -> None:
    (tmp_path / "collections").write_text("a file where the folder should be")
    store = registry.open_store(f"edge:{tmp_path / 'collections'}")
    with pytest.raises(Unavailable, match=r"collections/照片 cannot be written: Not a directory"):
        store.create(Collection("照片", "fake", 4))
