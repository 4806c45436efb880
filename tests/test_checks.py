"""What keeps the checks together: pre-commit runs what `make check` runs, and looks at the subjects of commits."""

from __future__ import annotations

import re
import runpy
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]


def test_pre_commit_runs_what_make_check_runs() -> None:
    recipe = (ROOT / "Makefile").read_text().partition("\ncheck:")[2].partition("\n\n")[0]
    commands = re.findall(r"\t\$\(BIN\)/(.+)", recipe)
    entries = re.findall(r"entry: \.venv/bin/(.+)", (ROOT / ".pre-commit-config.yaml").read_text())
    assert len(commands) >= 4
    assert [entry for entry in entries if "subject" not in entry] == commands


@pytest.mark.parametrize(
    ("message", "said"),
    [
        ("Read text in any encoding\n\nWhy: …" + "x" * 100, ""),
        ("\n# Please enter the message" + "x" * 80 + "\n" + "x" * 72, ""),
        ("x" * 73, "73 characters"),
        ("支持中文" * 18, ""),
        ("支持中文" * 18 + "！", "73 characters"),
        ("Read text in any encoding.", "full stop"),
    ],
)
def test_subjects(message: str, said: str) -> None:
    found = runpy.run_path(str(ROOT / ".ci" / "subject.py"))["fault"](message)
    assert said in found
    assert bool(said) == bool(found)


def test_the_hook_refuses_a_long_subject(tmp_path: Path) -> None:
    (tmp_path / "message").write_text("长" * 73, encoding="utf-8")
    command = [sys.executable, str(ROOT / ".ci" / "subject.py"), str(tmp_path / "message")]
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "at most 72" in done.stderr
