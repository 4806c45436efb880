"""Tests that need more than `make setup` installs say so by a marker, so that `.ci/run` finds and runs them."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.needs import NEEDS

FOLDER = Path(__file__).parent


@pytest.mark.parametrize("path", sorted(FOLDER.rglob("test_*.py")), ids=lambda path: path.name)
def test_modules_with_needs_are_marked(path: Path) -> None:
    source = path.read_text()
    if re.search(r"^from tests\.models\.tiny import", source, re.MULTILINE):
        assert "\npytestmark = pytest.mark.models\n" in source
    if path != Path(__file__):
        assert not re.search(r"pytest\.(importorskip|skip\(|mark\.skip)", source), "use a marker of tests/needs.py"


def test_ci_runs_every_marker() -> None:
    script = (FOLDER.parent / ".ci" / "run").read_text()
    assert f'-m "{" or ".join(NEEDS)}"' in script
