"""What every vector store must do, as tests. A store's own tests subclass ``StoreSuite``:

    class TestMine(StoreSuite):
        @pytest.fixture
        def store(self, tmp_path):
            store = registry.open_store(f"mine:{tmp_path}")
            yield store
            store.close()

Each test gets a store without collections, and leaves its own behind.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import pytest

from kilonova.errors import InvalidInput, NotFound
from kilonova.stores.base import Collection, Match, Metric, Point, VectorStore
from kilonova.stores.filters.tree import parse

__all__ = ["StoreSuite"]

_SIZE = 16
_DEEPEST = 32
_ONES = np.ones(4, np.float32)


def vector(*numbers: float) -> np.ndarray:
    """These numbers, and zeros up to 16: float32 [16]."""
    return np.array([*numbers, *[0.0] * (_SIZE - len(numbers))], np.float32)


def names(found: Iterable[Point | Match]) -> list[str]:
    """The ids of points or matches."""
    return [one.id for one in found]


def nested(depth: int, wrap: str) -> Any:
    """A 1 in so many lists or objects."""
    value: Any = 1
    for _ in range(depth):
        value = [value] if wrap == "list" else {"n": value}
    return value


_POISON: dict[str, tuple[Any, str]] = {
    "deep list": (nested(140, "list"), "nested more than 32"),
    "deep object": (nested(140, "dict"), "nested more than 32"),
    "just too deep": (nested(_DEEPEST, "list"), "nested more than 32"),
    "nan": (float("nan"), "cannot be kept: nan"),
    "infinity": ([1, float("-inf")], "cannot be kept: -inf"),
    "huge integer": (10**400, "an integer beyond 64 bits"),
    "unsigned integer": (2**63, "an integer beyond 64 bits"),
    "lone surrogate": ("caf\udce9", "not valid Unicode"),
    "lone surrogate in a name": ({"caf\udce9": 1}, "not valid Unicode"),
    "bytes": (b"x", "cannot be kept"),
    "many values": ([0] * 10_001, "more than 10,000 values"),
    "much text": (["x" * 600_000] * 2, "1,000,000 characters"),
}


class StoreSuite:
    """What every vector store must do; subclasses have a fixture ``store`` that gives an empty one."""

    @pytest.fixture
    def filled(self, store: VectorStore) -> VectorStore:
        store.create(Collection("照片", "fake", _SIZE))
        store.upsert(
            "照片",
            [
                Point("beach", vector(1), {"year": 2019, "tags": ["sea", "夏天"], "place": "海南", "ok": True},
                      "日落海滩 sunset"),
                Point("dog", vector(1, 1), {"year": 2020, "tags": ["dog"], "taken": "2020-05-01T10:00:00", "ok": False},
                      "a brown dog on the beach"),
                Point("street", vector(0, 1), {"year": 2021, "height": 1.5, "taken": "2021-01-01"}, "街道夜景 street"),
                Point("quiet", vector(-1), {}),
            ],
        )  # fmt: skip
        return store

    def test_collections(self, store: VectorStore) -> None:
        assert store.collections() == []
        made = [
            Collection("b-2", "fake", 8, Metric.COSINE),
            Collection("照片_1", "kilonova-mini", _SIZE, Metric.EUCLID),
        ]
        for one in made:
            store.create(one)
        assert store.collections() == made
        with pytest.raises(InvalidInput, match="already"):
            store.create(made[0])
        store.drop("b-2")
        assert store.collections() == made[1:]
        with pytest.raises(NotFound, match=r"no collection b-2.*照片_1"):
            store.count("b-2")
        with pytest.raises(NotFound):
            store.drop("b-2")
        store.create(made[0])  # a name can be used again
        assert store.count("b-2") == 0

    @pytest.mark.parametrize("name", ["", "../outside", "a/b", ".hidden", "x" * 65, "𠮷" * 64, "caf\udce9"])
    def test_names_that_are_none(self, store: VectorStore, name: str) -> None:
        with pytest.raises(InvalidInput, match="Invalid collection name"):
            store.create(Collection(name, "fake", _SIZE))
        with pytest.raises(NotFound):
            store.count(name)

    def test_points_come_back(self, filled: VectorStore) -> None:
        assert filled.count("照片") == 4
        (dog, beach) = filled.get("照片", ["dog", "nobody", "beach"])
        assert (dog.id, beach.id) == ("dog", "beach")
        assert np.allclose(beach.vector, vector(1))
        assert beach.payload == {"year": 2019, "tags": ["sea", "夏天"], "place": "海南", "ok": True}
        assert beach.text == "日落海滩 sunset"
        every = {point.id: point for point in filled.scroll("照片")}
        assert sorted(every) == ["beach", "dog", "quiet", "street"]
        assert every["dog"].vector.dtype == np.float32
        assert [len(point.vector) for point in filled.scroll("照片", vectors=False)] == [0] * 4

    def test_upsert_replaces(self, filled: VectorStore) -> None:
        filled.upsert("照片", [Point("dog", vector(0, 0, 1), {"year": 1999}, "猫")])
        (dog,) = filled.get("照片", ["dog"])
        assert (dog.payload, dog.text, filled.count("照片")) == ({"year": 1999}, "猫", 4)
        assert names(filled.lexical("照片", "dog", 5)) == []
        assert names(filled.lexical("照片", "猫", 5)) == ["dog"]
        filled.upsert("照片", [])

    def test_of_points_with_one_id_the_last_counts(self, filled: VectorStore) -> None:
        filled.upsert("照片", [Point("cat", vector(2), {"n": 1}, "first"), Point("cat", vector(0, 3), {"n": 2}, "猫")])
        (cat,) = filled.get("照片", ["cat"])
        assert (cat.payload, cat.text, filled.count("照片")) == ({"n": 2}, "猫", 5)
        assert names(filled.lexical("照片", "first", 5)) == []
        filled.delete("照片", ["cat", "cat"])
        assert filled.count("照片") == 4

    def test_delete(self, filled: VectorStore) -> None:
        filled.delete("照片", ["dog", "nobody"])
        assert (filled.count("照片"), names(filled.get("照片", ["dog"]))) == (3, [])
        assert "dog" not in names(filled.nearest("照片", vector(1, 1), 4))
        assert names(filled.lexical("照片", "dog", 4)) == []

    def test_wrong_lengths(self, filled: VectorStore) -> None:
        with pytest.raises(InvalidInput, match="vectors of 16"):
            filled.upsert("照片", [Point("x", np.ones(4, np.float32))])
        with pytest.raises(InvalidInput, match="vector of dimension 4"):
            filled.nearest("照片", np.ones(4, np.float32), 1)
        assert filled.count("照片") == 4

    @pytest.mark.parametrize("metric", list(Metric))
    def test_nearest_as_numpy_says(self, store: VectorStore, metric: Metric) -> None:
        random = np.random.default_rng(5)
        vectors = random.normal(size=(300, _SIZE)).astype(np.float32)
        if metric not in store.metrics:
            with pytest.raises(InvalidInput, match="cannot compare by"):
                store.create(Collection("many", "fake", _SIZE, metric))
            return
        store.create(Collection("many", "fake", _SIZE, metric))
        store.upsert("many", [Point(f"p{row}", one, {"row": row}) for row, one in enumerate(vectors)])
        store.optimize("many")
        query = random.normal(size=_SIZE).astype(np.float32)
        if metric is Metric.EUCLID:
            right = np.linalg.norm(vectors - query, axis=1)
            order = np.argsort(right)[:10]
        else:
            right = vectors @ query
            if metric is Metric.COSINE:
                right /= np.linalg.norm(vectors, axis=1) * np.linalg.norm(query)
            order = np.argsort(-right)[:10]
        for exact in (True, False):
            found = store.nearest("many", query, 10, exact=exact)
            assert names(found) == [f"p{row}" for row in order]
            said = [one.distance if metric is Metric.EUCLID else one.score for one in found]
            assert np.allclose(np.array(said, np.float32), right[order], atol=1e-5)
            assert all((one.score is None) == (metric is Metric.EUCLID) for one in found)
        assert [one.payload["row"] for one in found] == order.tolist()

    def test_best_first_and_no_more_than_there_are(self, filled: VectorStore) -> None:
        found = filled.nearest("照片", vector(1), 10)
        assert names(found) == ["beach", "dog", "street", "quiet"]
        assert [round(one.score or 0, 4) for one in found] == [1, 0.7071, 0, -1]

    @pytest.mark.parametrize(
        ("where", "right"),
        [
            ("year >= 2020", ["dog", "street"]),
            ("year = 2019", ["beach"]),
            ("year != 2019", ["dog", "quiet", "street"]),
            ("year > 2019 and year < 2021", ["dog"]),
            ("year in (2019, 2021)", ["beach", "street"]),
            ('place = "海南"', ["beach"]),
            ("tags = 夏天 or tags = dog", ["beach", "dog"]),
            ("tags in (sea, dog)", ["beach", "dog"]),
            ("exists tags", ["beach", "dog"]),
            ("not exists year", ["quiet"]),
            ("height = 1.5", ["street"]),
            ("height <= 1.5", ["street"]),
            ("ok = true", ["beach"]),
            ("ok = false", ["dog"]),
            ("taken >= 2020-05-01", ["dog", "street"]),
            ("taken < 2020-12-31T23:59:59", ["dog"]),
            ("not (year = 2019 or year = 2020) and exists year", ["street"]),
            ("nothing = 1", []),
        ],
    )
    def test_filters(self, filled: VectorStore, where: str, right: list[str]) -> None:
        condition = parse(where)
        assert sorted(names(filled.nearest("照片", vector(1), 10, condition))) == right
        assert sorted(point.id for point in filled.scroll("照片", condition)) == right
        assert filled.count("照片", condition) == len(right)

    def test_words(self, filled: VectorStore) -> None:
        assert names(filled.lexical("照片", "海滩", 5)) == ["beach"]
        assert names(filled.lexical("照片", "BEACH", 5)) == ["dog"]
        assert names(filled.lexical("照片", "street 夜景", 5)) == ["street"]
        assert names(filled.lexical("照片", "dog sunset", 5, parse("year = 2019"))) == ["beach"]
        assert filled.lexical("照片", "elephant", 5) == []
        assert filled.lexical("照片", " …", 5) == []

    def test_rare_words_count_more(self, store: VectorStore) -> None:
        store.create(Collection("notes", "fake", _SIZE))
        texts = {
            "a": "港口 harbour harbour harbour",
            "b": "harbour lamp",
            "c": "harbour boat",
            "d": "lighthouse keeper",
        }
        store.upsert("notes", [Point(name, vector(1), text=text) for name, text in texts.items()])
        assert names(store.lexical("notes", "harbour lamp", 4))[0] == "b"
        assert names(store.lexical("notes", "harbour", 4))[0] == "a"

    def test_many_points_page_by_page(self, store: VectorStore) -> None:
        store.create(Collection("many", "fake", 4))
        store.upsert("many", [Point(str(row), np.full(4, row + 1, np.float32), {"row": row}) for row in range(2_500)])
        assert sorted(point.payload["row"] for point in store.scroll("many")) == list(range(2_500))
        assert len(store.get("many", [str(row) for row in range(2_500)])) == 2_500
        assert sum(1 for _ in store.scroll("many", parse("row < 1500"), vectors=False)) == 1_500

    @pytest.fixture
    def notes(self, store: VectorStore) -> VectorStore:
        store.create(Collection("笔记", "fake", 4))
        store.upsert("笔记", [Point("good", _ONES, {"year": 2020}, "灯塔 lighthouse")])
        return store

    def test_what_cannot_be_read_back_is_refused(self, notes: VectorStore) -> None:
        for name, (value, reason) in _POISON.items():
            with pytest.raises(InvalidInput, match=reason):
                notes.upsert("笔记", [Point("also good", _ONES), Point("bad", _ONES, {"field": value})])
            assert notes.count("笔记") == 1, name
        odd = [
            Point("", _ONES), Point("x" * 4_097, _ONES), Point("caf\udce9", _ONES),
            Point("a", _ONES, {}, "caf\udce9"), Point("a", _ONES, {}, "x" * 1_000_001),
            Point("a", _ONES * np.float32("nan")), Point("a", _ONES * np.float32("inf")),
        ]  # fmt: skip
        for point in odd:
            with pytest.raises(InvalidInput):
                notes.upsert("笔记", [point])
        with pytest.raises(InvalidInput, match="not finite"):
            notes.nearest("笔记", _ONES * np.float32("nan"), 1)
        (good,) = notes.scroll("笔记")
        assert (good.id, good.payload, good.text) == ("good", {"year": 2020}, "灯塔 lighthouse")
        notes.delete("笔记", ["good"])
        assert notes.count("笔记") == 0

    def test_what_is_odd_comes_back(self, notes: VectorStore) -> None:
        payload = {
            "_id": "theirs", "_text": "theirs", "_true": ["a"], "_false": 1, "__id": 2, "id": 3, "payload": {"a": None},
            "limits": [2**63 - 1, -(2**63), 1.5e308, 5e-324], "deep": nested(_DEEPEST - 1, "list"),
            "名字": "𠮷野家 🍚", "empty": [], "nothing": None, "line\nfeed": "tab\there", "ok": True, "dot.ted": "x",
        }  # fmt: skip
        notes.upsert("笔记", [Point("奇怪 id/…?#", _ONES, payload, "海滩")])
        (found,) = notes.get("笔记", ["奇怪 id/…?#"])
        assert found.payload == payload
        for where in ("_id = theirs", '"_text" = theirs', "__id = 2", "名字 = '𠮷野家 🍚'", "ok = true", "dot.ted = x"):
            assert notes.count("笔记", parse(where)) == 1, where
        (hit,) = notes.nearest("笔记", _ONES, 1, parse("_id = theirs"))
        assert hit.payload == payload
        notes.delete("笔记", ["奇怪 id/…?#"])
        assert notes.count("笔记") == 1

    @pytest.mark.parametrize(
        "where",
        [
            'year > "2024-01-01T00:00:00+00:00:01"',
            'year > "9999-12-31T23:59:59-23:00" or year = 1',
            "year < 1.7976931348623157e308",
            "year = -9223372036854775807",
            '"a\\\\b" = 1',
            '"a\\"b" = 1',
            '"" = 1',
            '"a[0].b" = 1',
            '"line\nfeed" = "\u2028"',
            "not " * 40 + "year = 1",
            " and ".join(["year > 1"] * 500),
            f"year in ({', '.join(map(str, range(500)))})",
        ],
    )
    def test_filters_are_answered_or_refused(self, notes: VectorStore, where: str) -> None:
        try:
            found = notes.count("笔记", parse(where))
        except InvalidInput as refusal:
            assert str(refusal)
        else:
            assert found in (0, 1)
        assert notes.count("笔记") == 1
