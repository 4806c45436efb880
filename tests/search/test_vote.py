"""Classification by neighbours."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from kilonova.errors import InvalidInput
from kilonova.search.query import Hit
from kilonova.search.vote import vote
from tests.search.test_index import index, kilonova


def hit(label: Any, similarity: float) -> Hit:
    return Hit("x", similarity, {"label": label}, similarity)


def test_near_neighbours_count_more() -> None:
    near = [hit("猫", 0.98), hit("dog", 0.5), hit("dog", 0.5)]
    assert list(vote(near, "label", majority=True)) == ["dog", "猫"]
    weighted = vote(near, "label")
    assert list(weighted) == ["猫", "dog"]
    assert weighted["猫"] == pytest.approx(5 / 7)  # distances 0.2, 1, 1
    assert vote([hit("猫", 1.0), hit("dog", 0.9)], "label") == {"猫": 1.0, "dog": 0.0}


def test_lists_of_labels_and_nobody_to_ask() -> None:
    assert vote([hit(["a", "b"], 0.5), hit("a", 0.5)], "label") == {
        "a": pytest.approx(2 / 3),
        "b": pytest.approx(1 / 3),
    }
    with pytest.raises(InvalidInput, match="No indexed file has a label"):
        vote([], "label")


def test_classify(tmp_path: Path) -> None:
    for name, words in (("recipes", "boil the pasta with garlic"), ("法律", "合同 房东 书面 通知")):
        folder = tmp_path / name
        folder.mkdir()
        for number in range(4):
            (folder / f"{number}.txt").write_text(f"{words} {number}")
        index(tmp_path, str(folder), "--set", f"label={name}")
    (tmp_path / "new.txt").write_text("garlic and pasta")
    done = kilonova(tmp_path, "classify", str(tmp_path / "new.txt"), "房东的合同", "--json")
    first, second = map(json.loads, done.stdout.splitlines())
    assert (first["label"], second["label"]) == ("recipes", "法律")
    assert sum(first["shares"].values()) == pytest.approx(1)
    assert {one["label"] for one in first["neighbours"][:4]} == {"recipes"}
    assert "recipes" in kilonova(tmp_path, "classify", "garlic pasta", "--majority").stdout
    done = kilonova(tmp_path, "classify", "x", "--label", "nothing")
    assert done.returncode == 1
    assert "No indexed file has a nothing" in done.stderr
