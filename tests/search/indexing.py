"""Indexing inside the process of a test, so that it can spoil what the index calls."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from kilonova.api.index import Index
from kilonova.segments.progress import Progress
from kilonova.stores.base import Point

__all__ = ["brought", "known", "opened"]


def opened(tmp_path: Path) -> Index:
    """The index of a test, with the fake model."""
    return Index("files", model="fake", dimension=256, data=tmp_path / "data")


def brought(tmp_path: Path, *roots: Path | str, remove_missing: bool = False, **facts: Any) -> Progress:
    """The counts of one run over the roots."""
    with opened(tmp_path) as index:
        return index.add(*roots, facts=facts, remove_missing=remove_missing)


def known(tmp_path: Path) -> dict[str, Point]:
    """The points of the collection by the names of their files, the last of each."""
    with opened(tmp_path) as index:
        return {point.payload["name"]: point for point in index.store.scroll("files")}
