"""Distributions in a folder, as pip leaves them there."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

__all__ = ["install"]


def install(folder: Path, distribution: str, entries: Mapping[str, Mapping[str, str]], **modules: str) -> None:
    """Put a distribution into a folder: its modules, and what it says of itself.

    Args:
        folder: to be put on ``sys.path``.
        distribution: its name.
        entries: entry points by group and name.
        modules: their code by name.
    """
    about = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", encoding="utf-8")
    lines = [
        line
        for group, some in entries.items()
        for line in (f"[{group}]", *(f"{name} = {where}" for name, where in some.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
