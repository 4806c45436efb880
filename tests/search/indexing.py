"""Indexing inside the process of a test, so that it can spoil what the index calls."""

from __future__ import annotations

import asyncio
import contextlib
from pathlib import Path
from typing import Any

from kilonova.search import local
from kilonova.segments.listing import resolve
from kilonova.segments.progress import Progress
from kilonova.segments.segment import Plan
from kilonova.stores.base import Point

__all__ = ["brought", "known"]


def brought(tmp_path: Path, *roots: Path | str, remove_missing: bool = False, **facts: Any) -> Progress:
    """The counts of one run over the roots, with the fake model."""

    uris = resolve([str(root) for root in roots])

    async def run() -> Progress:
        with local.store(tmp_path / "data") as store:
            made = local.collection(store, "files", "fake", 256)
            rounds = local.rounds(
                store, made, uris, Plan(), facts, lambda _: None,
                data=tmp_path / "data", remove_missing=remove_missing,
            )  # fmt: skip
            async with contextlib.aclosing(rounds):
                return await anext(rounds)

    return asyncio.run(run())


def known(tmp_path: Path) -> dict[str, Point]:
    """The points of the collection by the names of their files, the last of each."""
    with local.store(tmp_path / "data") as store:
        return {point.payload["name"]: point for point in store.scroll("files")}
