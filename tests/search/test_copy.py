"""Collections from one store to another, by the command line and as a library."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilonova.errors import InvalidInput, KilonovaError, NotFound, Unavailable
from kilonova.search.copy import copy_collection
from kilonova.stores import registry
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, Metric, Point, VectorStore
from tests.servers import BIN, clean_environment


def fill(folder: Path, count: int = 1_203) -> list[Point]:
    rng = np.random.default_rng(3)
    vectors = rng.normal(size=(count, 8)).astype(np.float32)
    points = [Point(f"照片/{row}", one, {"row": row, "tags": ["a"]}, f"字 {row}") for row, one in enumerate(vectors)]
    store = QdrantEdge(folder)
    store.create(Collection("照片", "fake", 8, Metric.EUCLID))
    store.upsert("照片", points)
    store.close()
    return points


def plain(store: VectorStore, name: str) -> dict[str, Any]:
    return {one.id: (one.vector.tolist(), dict(one.payload), one.text) for one in store.scroll(name)}


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "kilonova"), *arguments]
    return subprocess.run(command, env=clean_environment(), capture_output=True, text=True, timeout=60, check=False)


def test_there_and_back(tmp_path: Path) -> None:
    points = fill(tmp_path / "edge")
    edge, faiss, back = (f"edge:{tmp_path}/edge", f"faiss:{tmp_path}/faiss?index=flat", f"edge:{tmp_path}/back")
    there = run("copy", "照片", "--store", edge, "--to", faiss)
    assert (there.returncode, there.stdout) == (0, "照片: 1,203 vectors are copied.\n"), there.stderr
    assert run("copy", "照片", "--store", faiss, "--to", back, "--as", "again").returncode == 0
    store = registry.open_store(back)
    try:
        assert store.collections() == [Collection("again", "fake", 8, Metric.EUCLID)]
        assert plain(store, "again") == {one.id: (one.vector.tolist(), one.payload, one.text) for one in points}
    finally:
        store.close()
    listed = run("collections", "list", "--store", faiss, "--json")
    assert json.loads(listed.stdout)[0]["vectors"] == 1_203


def test_what_cannot_be_copied(tmp_path: Path) -> None:
    fill(tmp_path / "edge", 5)
    edge = f"edge:{tmp_path}/edge"
    assert "Say where to" in run("copy", "照片", "--store", edge).stderr
    assert "no collection 猫" in run("copy", "猫", "--store", edge, "--as", "x").stderr
    assert "already" in run("copy", "照片", "--store", edge, "--as", "照片").stderr
    assert "already" in run("copy", "照片", "--store", edge, "--to", edge).stderr
    assert "faiss:FOLDER" in run("copy", "照片", "--store", edge, "--to", "nowhere:/x").stderr


def test_a_copy_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(tmp_path / "edge", 5)
    source, target = QdrantEdge(tmp_path / "edge"), QdrantEdge(tmp_path / "target")
    try:
        monkeypatch.setattr(source, "count", lambda name: 6)  # somebody wrote meanwhile
        with pytest.raises(Unavailable, match="6 points, its copy 5"):
            copy_collection(source, "照片", target)
        assert target.collections() == []
        with pytest.raises(NotFound):
            copy_collection(source, "猫", target)
        copied = copy_collection(
            source, "照片", source, "二"
        )  # within a store; counts are those of the source, 6 and 6
        assert copied.name == "二"
    finally:
        source.close()
        target.close()


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing(name: str) -> Any:
        raise ModuleNotFoundError("No module named 'faiss'", name="faiss")

    monkeypatch.setattr(registry, "import_module", missing)
    with pytest.raises(KilonovaError, match=r"pip install 'kilonova\[faiss\]'"):
        registry.open_store("faiss:/x")


@pytest.mark.parametrize("address", ["", "faiss", "faiss:", "http://x", "qdrant:", "FAISS:/x"])
def test_no_addresses(address: str) -> None:
    with pytest.raises(InvalidInput, match="no address"):
        registry.open_store(address)
