"""What some tests need beyond `make setup`: a marker of that name on a test says so.

On a user's machine such a test is skipped with a reason. `.ci/run` installs everything and runs the marked tests with
KILONOVA_TESTS=all, where a skipped test is a failure. `make test-fast` sets KILONOVA_TESTS=fast, which skips them all.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import pytest

__all__ = ["AWS", "NEEDS", "POSTGRES", "skip_module"]

#: The AWS CLI, and the folders of Postgres's programs as Debian installs them.
AWS = os.environ.get("KILONOVA_AWS_CLI") or shutil.which("aws")
POSTGRES = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
_NODE_MODULES = Path(__file__).parent / "clients" / "javascript" / "node_modules"


@dataclass(frozen=True)
class Need:
    """Something that tests need: what it is, how to get it, and whether it is there."""

    what: str
    get: str
    found: Callable[[], bool]

    def present(self) -> bool:
        """Whether it is there, and may be used: `make test-fast` uses none of it."""
        return os.environ.get("KILONOVA_TESTS") != "fast" and self.found()

    @property
    def reason(self) -> str:
        """Why a test is skipped without it."""
        return f"needs {self.what}: {self.get}"


NEEDS = {
    "models": Need(
        "torch and kilonova[models]",
        ".venv/bin/pip install torch==2.13.0 && .venv/bin/pip install --no-deps torchvision==0.28.0"
        " && .venv/bin/pip install -e '.[models]'",
        lambda: all(find_spec(name) for name in ("torch", "torchvision", "sentence_transformers")),
    ),
    "heic": Need(
        "kilonova[heic]", ".venv/bin/pip install -e '.[heic]'", lambda: find_spec("pillow_heif") is not None
    ),
    "ray": Need(
        "kilonova[ray]", ".venv/bin/pip install -e '.[ray]'", lambda: find_spec("ray") is not None
    ),
    "postgres": Need("Postgres", "apt-get install postgresql", lambda: bool(POSTGRES)),
    "libreoffice": Need(
        "LibreOffice",
        "apt-get install libreoffice-writer-nogui libreoffice-calc-nogui libreoffice-impress-nogui",
        lambda: shutil.which("soffice") is not None,
    ),
    "awscli": Need("the AWS CLI", "pip install awscli, in an environment of its own", lambda: AWS is not None),
    "node": Need(
        "Node.js and the AWS SDK for JavaScript",
        "npm ci --prefix tests/clients/javascript",
        lambda: shutil.which("node") is not None and _NODE_MODULES.is_dir(),
    ),
}  # fmt: skip


def skip_module(name: str) -> None:
    """Skip the module that is being imported where a need of its is missing; the module has that marker, too."""
    if not NEEDS[name].present():
        pytest.skip(NEEDS[name].reason, allow_module_level=True)
