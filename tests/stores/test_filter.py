"""The filter language."""

from __future__ import annotations

import pytest

from kilonova.errors import InvalidInput
from kilonova.stores.filters.tree import And, Compare, Exists, In, Not, Or, format_filter, matches, parse


def test_and_binds_closer_than_or() -> None:
    a, b, c = (Compare(name, "=", 1) for name in "abc")
    assert parse("a = 1 or b=1 AND c = 1") == Or((a, And((b, c))))
    assert parse("(a = 1 or b = 1) and not c = 1") == And((Or((a, b)), Not(c)))


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("年份 >= 2020", Compare("年份", ">=", 2020)),
        ('camera = "X100"', Compare("camera", "=", "X100")),
        ("camera = 'a \\' quote'", Compare("camera", "=", "a ' quote")),
        ('"my field" = -1.5', Compare("my field", "=", -1.5)),
        ("path = /home/照片/a.jpg", Compare("path", "=", "/home/照片/a.jpg")),
        ("ok = TRUE", Compare("ok", "=", True)),
        ('year = "2020"', Compare("year", "=", "2020")),
        ("modality in (image, video)", In("modality", ("image", "video"))),
        ("exists exif.model", Exists("exif.model")),
        ("taken > 2024-05-01", Compare("taken", ">", "2024-05-01")),
        ("name = cafe\u0301.txt", Compare("name", "=", "caf\u00e9.txt")),
    ],
)
def test_conditions(text: str, right: object) -> None:
    assert parse(text) == right


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "the name of a field at its end"),
        ("year", "=, !=, <, <=, >, >= or in at its end"),
        ("year >=", "a value at its end"),
        ("year = 1 camera = 2", "and, or, or the end before 'camera = 2'"),
        ("(year = 1", r"\) at its end"),
        ("year in 2020", r"\( before '2020'"),
        ("name < hello", "no order"),
        ("(" * 100, "nested"),
        ('name = "open', "a value"),
        ("year < 1" + "0" * 308, "out of range"),
        ("year = " + "1" * 5_000, "out of range"),
        ("year > 1e400", "out of range"),
        ("year = 9223372036854775808", "out of range"),
        ("ok < true", "no order"),
        ('taken > "0001-01-01T00:00:00+23:00"', "no order"),
        (" or ".join(["a = 1"] * 501), "more than 500 conditions"),
        (f"a in ({', '.join(['1'] * 502)})", "more than 500 conditions"),
        ("a = " + "x" * 20_000, "20,004 characters"),
        ("name = caf\udce9", "not valid Unicode"),
    ],
)
def test_what_is_wrong_is_said(text: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        parse(text)


def test_matching_a_payload() -> None:
    payload = {"year": 2020, "tags": ["a", "b"], "ok": True, "taken": "2020-05-01", "name": "x", "empty": []}
    for text in ("year = 2020", "tags = b", "ok = true", "taken >= 2020-05-01T00:00:00Z", "not exists empty", "z != 1"):
        assert matches(parse(text), payload), text
    for text in ("year = true", "ok = 1", 'year = "2020"', "name > 2020-01-01", "tags = c", "z = 1", "exists empty"):
        assert not matches(parse(text), payload), text


@pytest.mark.parametrize(
    "text",
    [
        "year >= 2020 and (camera = X100 or not exists camera) and kind in (image, video, 3, -1.5, true)",
        "not (a = 1 and b < 1e-7)",
        """"my \\"field\\"" = 'C:\\\\照片 and "more"\n'""",
        '"and" = "or" or "1" = "1"',
    ],
)
def test_what_is_written_is_read_again(text: str) -> None:
    assert parse(format_filter(parse(text))) == parse(text)
