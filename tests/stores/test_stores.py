"""What every vector store must do."""

from __future__ import annotations

import numpy as np
import pytest

from kilonova.errors import InvalidInput, NotFound
from kilonova.stores.base import Collection, Metric, Point, VectorStore
from kilonova.stores.filters.tree import parse

RNG = np.random.default_rng(5)
SIZE = 16


def vector(*numbers: float) -> np.ndarray:
    return np.array([*numbers, *[0.0] * (SIZE - len(numbers))], np.float32)


@pytest.fixture
def filled(store: VectorStore) -> VectorStore:
    store.create(Collection("照片", "fake", SIZE))
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


def names(found: list[object]) -> list[str]:
    return [one.id for one in found]  # type: ignore[attr-defined]


def test_collections(store: VectorStore) -> None:
    assert store.collections() == []
    made = [Collection("b-2", "fake", 8, Metric.COSINE), Collection("照片_1", "kilonova-mini", SIZE, Metric.EUCLID)]
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
def test_names_that_are_none(store: VectorStore, name: str) -> None:
    with pytest.raises(InvalidInput, match="no name"):
        store.create(Collection(name, "fake", SIZE))
    with pytest.raises(NotFound):
        store.count(name)


def test_points_come_back(filled: VectorStore) -> None:
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


def test_upsert_replaces(filled: VectorStore) -> None:
    filled.upsert("照片", [Point("dog", vector(0, 0, 1), {"year": 1999}, "猫")])
    (dog,) = filled.get("照片", ["dog"])
    assert (dog.payload, dog.text, filled.count("照片")) == ({"year": 1999}, "猫", 4)
    assert names(filled.lexical("照片", "dog", 5)) == []
    assert names(filled.lexical("照片", "猫", 5)) == ["dog"]
    filled.upsert("照片", [])


def test_delete(filled: VectorStore) -> None:
    filled.delete("照片", ["dog", "nobody"])
    assert (filled.count("照片"), names(filled.get("照片", ["dog"]))) == (3, [])
    assert "dog" not in names(filled.nearest("照片", vector(1, 1), 4))
    assert names(filled.lexical("照片", "dog", 4)) == []


def test_wrong_lengths(filled: VectorStore) -> None:
    with pytest.raises(InvalidInput, match="vectors of 16"):
        filled.upsert("照片", [Point("x", np.ones(4, np.float32))])
    with pytest.raises(InvalidInput, match="vector of 4 numbers"):
        filled.nearest("照片", np.ones(4, np.float32), 1)
    assert filled.count("照片") == 4


@pytest.mark.parametrize("metric", list(Metric))
def test_nearest_as_numpy_says(store: VectorStore, metric: Metric) -> None:
    vectors = RNG.normal(size=(300, SIZE)).astype(np.float32)
    if metric not in store.metrics:
        with pytest.raises(InvalidInput, match="dot product"):
            store.create(Collection("many", "fake", SIZE, metric))
        return
    store.create(Collection("many", "fake", SIZE, metric))
    store.upsert("many", [Point(f"p{row}", one, {"row": row}) for row, one in enumerate(vectors)])
    store.optimize("many")
    query = RNG.normal(size=SIZE).astype(np.float32)
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
        assert np.allclose(said, right[order], atol=1e-5)
        assert all((one.score is None) == (metric is Metric.EUCLID) for one in found)
    assert [one.payload["row"] for one in found] == order.tolist()


def test_best_first_and_no_more_than_there_are(filled: VectorStore) -> None:
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
def test_filters(filled: VectorStore, where: str, right: list[str]) -> None:
    condition = parse(where)
    assert sorted(names(filled.nearest("照片", vector(1), 10, condition))) == right
    assert sorted(point.id for point in filled.scroll("照片", condition)) == right
    assert filled.count("照片", condition) == len(right)


def test_words(filled: VectorStore) -> None:
    assert names(filled.lexical("照片", "海滩", 5)) == ["beach"]
    assert names(filled.lexical("照片", "BEACH", 5)) == ["dog"]
    assert names(filled.lexical("照片", "street 夜景", 5)) == ["street"]
    assert names(filled.lexical("照片", "dog sunset", 5, parse("year = 2019"))) == ["beach"]
    assert filled.lexical("照片", "elephant", 5) == []
    assert filled.lexical("照片", " …", 5) == []


def test_rare_words_count_more(store: VectorStore) -> None:
    store.create(Collection("notes", "fake", SIZE))
    texts = {"a": "港口 harbour harbour harbour", "b": "harbour lamp", "c": "harbour boat", "d": "lighthouse keeper"}
    store.upsert("notes", [Point(name, vector(1), text=text) for name, text in texts.items()])
    assert names(store.lexical("notes", "harbour lamp", 4))[0] == "b"
    assert names(store.lexical("notes", "harbour", 4))[0] == "a"


@pytest.mark.slow
def test_many_points_page_by_page(store: VectorStore) -> None:
    store.create(Collection("many", "fake", 4))
    store.upsert("many", [Point(str(row), np.full(4, row + 1, np.float32), {"row": row}) for row in range(2_500)])
    assert sorted(point.payload["row"] for point in store.scroll("many")) == list(range(2_500))
    assert len(store.get("many", [str(row) for row in range(2_500)])) == 2_500
    assert sum(1 for _ in store.scroll("many", parse("row < 1500"), vectors=False)) == 1_500
