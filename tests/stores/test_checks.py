"""What no store takes, and what every store gives back as it was."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.stores.base import Collection, Point, VectorStore
from kilonova.stores.checks import check_payload
from kilonova.stores.filters.tree import parse

DEEPEST = 32
ONES = np.ones(4, np.float32)


def nested(depth: int, wrap: str) -> Any:
    value: Any = 1
    for _ in range(depth):
        value = [value] if wrap == "list" else {"n": value}
    return value


POISON: dict[str, tuple[Any, str]] = {
    "deep list": (nested(140, "list"), "nested more than 32"),
    "deep object": (nested(140, "dict"), "nested more than 32"),
    "just too deep": (nested(DEEPEST, "list"), "nested more than 32"),
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


@pytest.fixture
def notes(store: VectorStore) -> VectorStore:
    store.create(Collection("笔记", "fake", 4))
    store.upsert("笔记", [Point("good", ONES, {"year": 2020}, "灯塔 lighthouse")])
    return store


def test_what_cannot_be_read_back_is_refused(notes: VectorStore) -> None:
    for name, (value, reason) in POISON.items():
        with pytest.raises(InvalidInput, match=reason):
            notes.upsert("笔记", [Point("also good", ONES), Point("bad", ONES, {"field": value})])
        assert notes.count("笔记") == 1, name
    odd = [
        Point("", ONES), Point("x" * 4_097, ONES), Point("caf\udce9", ONES),
        Point("a", ONES, {}, "caf\udce9"), Point("a", ONES, {}, "x" * 1_000_001),
        Point("a", ONES * np.float32("nan")), Point("a", ONES * np.float32("inf")),
    ]  # fmt: skip
    for point in odd:
        with pytest.raises(InvalidInput):
            notes.upsert("笔记", [point])
    with pytest.raises(InvalidInput, match="not finite"):
        notes.nearest("笔记", ONES * np.float32("nan"), 1)
    (good,) = notes.scroll("笔记")
    assert (good.id, good.payload, good.text) == ("good", {"year": 2020}, "灯塔 lighthouse")
    notes.delete("笔记", ["good"])
    assert notes.count("笔记") == 0


def test_what_is_odd_comes_back(notes: VectorStore) -> None:
    payload = {
        "_id": "theirs", "_text": "theirs", "_true": ["a"], "_false": 1, "__id": 2, "id": 3, "payload": {"a": None},
        "limits": [2**63 - 1, -(2**63), 1.5e308, 5e-324], "deep": nested(DEEPEST - 1, "list"),
        "名字": "𠮷野家 🍚", "empty": [], "nothing": None, "line\nfeed": "tab\there", "ok": True, "dot.ted": "x",
    }  # fmt: skip
    notes.upsert("笔记", [Point("奇怪 id/…?#", ONES, payload, "海滩")])
    (found,) = notes.get("笔记", ["奇怪 id/…?#"])
    assert found.payload == payload
    for where in ("_id = theirs", '"_text" = theirs', "__id = 2", "名字 = '𠮷野家 🍚'", "ok = true", "dot.ted = x"):
        assert notes.count("笔记", parse(where)) == 1, where
    (hit,) = notes.nearest("笔记", ONES, 1, parse("_id = theirs"))
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
def test_filters_are_answered_or_refused(notes: VectorStore, where: str) -> None:
    try:
        found = notes.count("笔记", parse(where))
    except InvalidInput as refusal:
        assert str(refusal)
    else:
        assert found in (0, 1)
    assert notes.count("笔记") == 1


def test_a_payload_at_the_limits() -> None:
    check_payload({"a": [0] * 9_998}, "The payload")
    check_payload(nested(DEEPEST, "dict"), "The payload")
