"""Files that are put into their place whole, and the cores that a process has."""

from __future__ import annotations

import os
import stat
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from kilonova import _home


def test_a_file_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "设置.json"
    texts = [f"{number}" * 100_000 for number in range(8)]
    with ThreadPoolExecutor(8) as pool:
        list(pool.map(lambda text: _home.replace_file(path, text), texts))
    assert path.read_text() in texts
    _home.replace_file(path, "日落".encode())
    assert path.read_text() == "日落"
    assert list(tmp_path.iterdir()) == [path]


def test_of_several_writers_the_first_counts(tmp_path: Path) -> None:
    path = tmp_path / "keys"
    for text in ("first", "second"):
        _home.replace_file(path, text, 0o600, keep=True)
    assert path.read_text() == "first"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert list(tmp_path.iterdir()) == [path]


def test_what_cannot_be_written_leaves_the_old(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "note"
    _home.replace_file(path, "old")

    def full(descriptor: int, mode: str) -> object:
        os.close(descriptor)
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(os, "fdopen", full)
    with pytest.raises(OSError, match="No space left"):
        _home.replace_file(path, "new")
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_cores_where_the_system_does_not_say(monkeypatch: pytest.MonkeyPatch) -> None:
    assert _home.cores() == len(os.sched_getaffinity(0))
    monkeypatch.delattr(os, "sched_getaffinity")
    assert _home.cores() == os.cpu_count()
    monkeypatch.setattr(os, "cpu_count", lambda: None)
    assert _home.cores() == 1
