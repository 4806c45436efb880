"""Distributions that tests install."""

from __future__ import annotations

from pathlib import Path


def install(folder: Path, distribution: str, entries: dict[str, dict[str, str]], **modules: str) -> None:
    """Put a distribution into a folder as pip does: its modules, and what it says of itself.

    Args:
        folder: that Python imports from.
        distribution: its name.
        entries: ``module:attribute`` by name, by group.
        modules: code by name.
    """
    about = folder / f"{distribution.replace('-', '_')}-1.2.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {distribution}\nVersion: 1.2\n", encoding="utf-8")
    lines = [
        line for group, some in entries.items() for line in (f"[{group}]", *(f"{a} = {b}" for a, b in some.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")
