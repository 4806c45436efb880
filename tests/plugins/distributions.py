"""Distributions that tests install."""

from __future__ import annotations

import shutil
import tomllib
from pathlib import Path


def install(
    folder: Path, distribution: str, entries: dict[str, dict[str, str]], version: str = "1.2", **modules: str
) -> None:
    """Put a distribution into a folder as pip does: its modules, and what it says of itself.

    Args:
        folder: that Python imports from.
        distribution: its name.
        entries: ``module:attribute`` by name, by group.
        version: of the distribution.
        modules: code by name.
    """
    about = folder / f"{distribution.replace('-', '_')}-{version}.dist-info"
    about.mkdir(parents=True)
    (about / "METADATA").write_text(
        f"Metadata-Version: 2.1\nName: {distribution}\nVersion: {version}\n", encoding="utf-8"
    )
    lines = [
        line for group, some in entries.items() for line in (f"[{group}]", *(f"{a} = {b}" for a, b in some.items()))
    ]
    (about / "entry_points.txt").write_text("\n".join(lines), encoding="utf-8")
    for name, code in modules.items():
        (folder / f"{name}.py").write_text(code, encoding="utf-8")


def install_project(folder: Path, project: Path) -> None:
    """Put a project of single modules into a folder, as ``pip install --no-deps --target`` does, but with no network
    for its build backend."""
    about = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    install(folder, about["name"], about["entry-points"], about["version"])
    for module in project.glob("*.py"):
        shutil.copy(module, folder)
