"""What the base of every store does by itself: backends see collections that exist and clean values."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kilonova.errors import AlreadyExists, InvalidInput, NotFound, Unavailable
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.backends.servers import Fault, ServerStore
from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore
from kilonova.stores.filters.tree import Filter

ONES = np.ones(4, np.float32)
NOTES = Collection("笔记", "fake", 4)


class Recorder(ServerStore):
    """Notes what a backend is asked."""

    metrics = frozenset({Metric.COSINE, Metric.EUCLID})

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[Any, ...]] = []
        self.there: dict[str, Collection] = {}

    def _create(self, collection: Collection) -> None:
        self.there[collection.name] = collection

    def _drop(self, name: str) -> None:
        self.forget(name)
        del self.there[name]

    def _collections(self) -> Iterable[Collection]:
        self.calls.append(("list",))
        return self.there.values()

    def _upsert(self, collection: Collection, points: Sequence[Point]) -> None:
        self.calls.append(("upsert", collection, [(one.id, one.vector.dtype, one.text) for one in points]))

    def _delete(self, collection: Collection, ids: Sequence[str]) -> None:
        self.calls.append(("delete", collection, list(ids)))

    def _scroll(self, collection: Collection, where: Filter | None, *, vectors: bool) -> Iterator[Point]:
        yield Point("a", ONES)

    def _get(self, collection: Collection, ids: Sequence[str]) -> Iterable[Point]:
        self.calls.append(("get", collection, list(ids)))
        return [Point("b", ONES), Point("a", ONES)]

    def _count(self, collection: Collection, where: Filter | None) -> int:
        return 7

    def _nearest(
        self, collection: Collection, vector: np.ndarray, k: int, where: Filter | None, *, exact: bool
    ) -> list[Match]:
        self.calls.append(("nearest", collection, vector.dtype, vector.flags.c_contiguous))
        return []

    def _lexical(self, collection: Collection, text: str, k: int, where: Filter | None) -> list[Match]:
        self.calls.append(("lexical", collection, text))
        return []

    def close(self) -> None:
        self.there.clear()


@pytest.fixture
def recorder() -> Recorder:
    found = Recorder()
    found.create(NOTES)
    found.find(NOTES.name)
    found.calls.clear()
    return found


def test_a_backend_gets_clean_values(recorder: Recorder) -> None:
    wide = np.ones(8)[::2]  # float64, with gaps
    recorder.upsert("笔记", [Point("a", ONES, text="old"), Point("b", wide), Point("a", ONES, text="new")])
    recorder.delete("笔记", {"a": 1, "": 2, "caf\udce9": 3, "x" * 4_097: 4})
    found = recorder.get("笔记", ["a", "c", "b", "a", "caf\udce9"])
    recorder.nearest("笔记", wide, 3)
    recorder.lexical("笔记", "灯塔", 3)
    recorder.optimize("笔记")
    float32 = np.dtype(np.float32)
    assert recorder.calls == [
        ("upsert", NOTES, [("a", float32, "new"), ("b", float32, "")]),
        ("delete", NOTES, ["a"]),
        ("get", NOTES, ["a", "c", "b"]),
        ("nearest", NOTES, float32, True),
        ("lexical", NOTES, "灯塔"),
    ]
    assert [one.id for one in found] == ["a", "b", "a"]


def test_a_backend_is_not_asked_for_nothing(recorder: Recorder) -> None:
    recorder.upsert("笔记", [])
    recorder.delete("笔记", [])
    assert recorder.get("笔记", []) == recorder.nearest("笔记", ONES, 0) == []
    assert recorder.lexical("笔记", " …", 3) == recorder.lexical("笔记", "灯塔", 0) == []
    assert recorder.calls == []


def test_what_is_refused_never_reaches_a_backend(recorder: Recorder) -> None:
    with pytest.raises(AlreadyExists, match="There is a collection 笔记 already"):
        recorder.create(NOTES)
    with pytest.raises(InvalidInput, match=r"compare by dot product\. Use cosine or Euclidean distance"):
        recorder.create(Collection("点", "fake", 4, Metric.DOT))
    recorder.calls.clear()
    for point in (Point("a", np.ones(3)), Point("a", np.full(4, 1e300)), Point("", ONES)):
        with pytest.raises(InvalidInput):
            recorder.upsert("笔记", [point])
    for vector in (np.ones(3), np.full(4, 1e300), np.full(4, np.nan)):
        with pytest.raises(InvalidInput):
            recorder.nearest("笔记", vector, 3)
    assert recorder.calls == [("list",)] * 2  # of those of another dimension it is looked whether that was changed


@pytest.mark.parametrize("name", ["猫", "../x", ""])
def test_every_method_says_that_there_is_no_such_collection(recorder: Recorder, name: str) -> None:
    calls = [
        lambda: recorder.find(name), lambda: recorder.drop(name), lambda: recorder.upsert(name, []),
        lambda: recorder.delete(name, []), lambda: recorder.get(name, []), lambda: recorder.count(name),
        lambda: list(recorder.scroll(name)), lambda: recorder.nearest(name, ONES, 1),
        lambda: recorder.lexical(name, "a", 1), lambda: recorder.optimize(name),
    ]  # fmt: skip
    for call in calls:
        with pytest.raises(NotFound, match="There are: 笔记"):
            call()


def test_a_server_is_asked_once_what_a_collection_is(recorder: Recorder) -> None:
    recorder.forget("笔记")
    for _ in range(3):
        recorder.upsert("笔记", [Point("a", ONES)])
        recorder.nearest("笔记", ONES, 1)
        assert recorder.count("笔记") == 7
    assert [call[0] for call in recorder.calls].count("list") == 1
    recorder.calls.clear()
    assert recorder.counts() == ([(NOTES, 7)], {})
    assert recorder.calls == [("list",)]


def test_a_collection_that_somebody_made_again_is_looked_for_again(recorder: Recorder) -> None:
    recorder.there["笔记"] = Collection("笔记", "fake", 8)
    wide = np.ones(8, np.float32)
    recorder.upsert("笔记", [Point("a", wide)])
    recorder.nearest("笔记", wide, 1)
    assert [call[0] for call in recorder.calls] == ["list", "upsert", "nearest"]
    with pytest.raises(InvalidInput, match="vectors of 8"):
        recorder.nearest("笔记", ONES, 1)


def test_what_was_dropped_elsewhere_is_no_longer_known(recorder: Recorder) -> None:
    def gone() -> None:
        raise FileNotFoundError("笔记")

    recorder.table = (Fault(FileNotFoundError, NotFound, "{} is gone."), Fault(OSError, Unavailable, "No: {}."))  # type: ignore[misc]
    with pytest.raises(NotFound, match="笔记 is gone"):
        recorder.call(gone)
    recorder.there.clear()
    with pytest.raises(NotFound, match="no collection 笔记"):
        recorder.count("笔记")


def test_backends_cannot_go_round_the_checks() -> None:
    kinds: list[Any] = [VectorStore]
    for kind in kinds:
        kinds += kind.__subclasses__()
    assert len(kinds) > 4
    for kind in kinds[1:]:
        own = {name for name in vars(kind) if getattr(getattr(VectorStore, name, None), "__final__", False)}
        assert own == set(), kind


def test_two_that_make_the_same_collection(tmp_path: Path) -> None:
    store, faults = QdrantEdge(tmp_path), []
    barrier = threading.Barrier(4)

    def make() -> None:
        barrier.wait()
        try:
            store.create(NOTES)
        except AlreadyExists as fault:
            faults.append(str(fault))

    makers = [threading.Thread(target=make) for _ in range(4)]
    for maker in makers:
        maker.start()
    for maker in makers:
        maker.join()
    try:
        assert faults == ["There is a collection 笔记 already."] * 3
        assert store.collections() == [NOTES]
    finally:
        store.close()


def test_a_collection_that_was_made_again_is_not_written_as_the_old_one(tmp_path: Path) -> None:
    store = QdrantEdge(tmp_path)
    store.create(NOTES)
    old = store.find("笔记")
    store.drop("笔记")
    store.create(Collection("笔记", "fake", 8))
    try:
        with pytest.raises(Unavailable, match="just made again"), store.using(old):
            raise AssertionError("it was opened")
        assert store.count("笔记") == 0
    finally:
        store.close()


@pytest.mark.parametrize("store", ["qdrant-edge", "opensearch", "s3vectors", "faiss-flat"], indirect=True)
def test_a_backend_says_itself_that_another_process_was_faster(store: VectorStore) -> None:
    store.create(NOTES)
    with pytest.raises(AlreadyExists):
        store._create(NOTES)
    assert store.count("笔记") == 0
