"""A collection from one store to another."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kilonova.errors import Unavailable
from kilonova.stores.base import Collection, Point, VectorStore

__all__ = ["copy_collection"]

_BATCH = 500


def copy_collection(
    source: VectorStore,
    name: str,
    target: VectorStore,
    copy_name: str = "",
    on_progress: Callable[[int], None] = lambda _: None,
) -> Collection:
    """Make a copy with all points, their payloads and words, build its index and count it. A copy that fails is
    deleted again.

    Args:
        source, name: what is copied.
        target: where to.
        copy_name: the copy's name; "" is the same.
        on_progress: called with how many points are written, after each batch.

    Raises:
        NotFound: there is no such collection.
        InvalidInput: the target has one of that name already.
        Unavailable: the counts differ: somebody wrote to one of them meanwhile.
    """
    made = replace(source.find(name), name=copy_name or name)
    target.create(made)
    try:
        written = 0
        batch: list[Point] = []
        for point in source.scroll(name):
            batch.append(point)
            if len(batch) == _BATCH:
                target.upsert(made.name, batch)
                written += len(batch)
                batch = []
                on_progress(written)
        target.upsert(made.name, batch)
        on_progress(written + len(batch))
        target.optimize(made.name)
        counts = source.count(name), target.count(made.name)
        if counts[0] != counts[1]:
            raise Unavailable(
                f"{name} has {counts[0]:,} points, its copy {counts[1]:,}.",
                "Retry while nothing writes to either collection.",
            )
    except BaseException:
        target.drop(made.name)
        raise
    return made
