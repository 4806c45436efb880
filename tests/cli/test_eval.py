"""``kilonova eval`` with the fake model, which finds only what is equal, and with the built-in one."""

import json
from pathlib import Path

import pytest

from tests import samples
from tests.cli.test_cli import kilonova


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for number in range(4):
        (tmp_path / f"{number}.png").write_bytes(samples.image(width=64 + 8 * number))
    return tmp_path


def test_equal_things_are_found_both_ways(folder: Path) -> None:
    pairs = [
        "# query\ttarget",
        *(f"文字 {n}\t文字 {n}" for n in range(12)),
        *(f"文字 {n}\t{n}.png" for n in range(4)),
        "",
    ]
    (folder / "pairs.tsv").write_text("\n".join(pairs))
    done = kilonova("eval", str(folder), "--model", "fake", "--json", "--dimension", "256", "--dimension", "3072")
    assert done.returncode == 0, done.stderr
    rows = {(row["query"], row["target"], row["dimension"]): row for row in json.loads(done.stdout)["results"]}
    assert set(rows) == {
        (query, target, dimension)
        for query, target in (("text", "text"), ("text", "image"), ("image", "text"))
        for dimension in (256, 3072)
    }
    for dimension in (256, 3072):
        same = rows["text", "text", dimension]
        assert (same["queries"], same["gallery"]) == (12, 12)
        assert same["recall_at_1"] == same["ndcg_at_10"] == same["mrr"] == 1
        assert rows["text", "image", dimension]["gallery"] == 4
    assert "recall@10" in kilonova("eval", str(folder), "--model", "fake").stdout


def test_what_fails_is_listed_and_left_out(folder: Path) -> None:
    (folder / "broken.png").write_bytes(b"\x89PNG\r\n\x1a\n broken")
    (folder / "pairs.tsv").write_text("a\ta\nb\tbroken.png\nc\tmissing.png\n")
    done = kilonova("eval", str(folder), "--model", "fake", "--json")
    assert done.returncode == 1
    report = json.loads(done.stdout)
    assert set(report["failed"]) == {"broken.png", "missing.png"}
    assert [row["query"] for row in report["results"]] == ["text"]
    assert "2 inputs failed" in done.stderr


@pytest.mark.parametrize(("text", "said"), [("", "has no pairs"), ("one\n", "line 1"), ("a\tb\tc\n", "line 1")])
def test_bad_pairs_are_one_clear_message(folder: Path, text: str, said: str) -> None:
    (folder / "pairs.tsv").write_text(text)
    done = kilonova("eval", str(folder), "--model", "fake")
    assert done.returncode == 1
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_folder_without_pairs_says_what_to_write(folder: Path) -> None:
    done = kilonova("eval", str(folder), "--model", "fake")
    assert done.returncode == 1
    assert "query, tab, target" in done.stderr


def test_pages_of_a_pdf(tmp_path: Path) -> None:
    (tmp_path / "report.pdf").write_bytes(samples.pdf("The harvest of apples in autumn", "Repairing bicycle brakes"))
    (tmp_path / "pairs.tsv").write_text("how do I fix my bike?\treport.pdf#page=2\n何时收获苹果\treport.pdf#page=1\n")
    done = kilonova("eval", str(tmp_path), "--json")
    assert done.returncode == 0, done.stderr
    rows = {(row["query"], row["target"]): row for row in json.loads(done.stdout)["results"]}
    assert rows["text", "image"]["recall_at_1"] == 1
    (tmp_path / "pairs.tsv").write_text("x\treport.pdf#page=3\n")
    done = kilonova("eval", str(tmp_path), "--model", "fake")
    assert "there is no page 3" in done.stderr
