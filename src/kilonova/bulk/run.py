"""Everything under a prefix, on this machine or on a Ray cluster."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from itertools import islice
from typing import Any

from kilonova.bulk.embedder import BulkEmbedder, Outcome
from kilonova.bulk.files import files, state_key
from kilonova.bulk.parts import BulkSettings, done
from kilonova.errors import KilonovaError
from kilonova.segments.files import File
from kilonova.segments.progress import OnProgress, Progress
from kilonova.storage.s3 import connect

__all__ = ["here", "on_ray"]

_LISTED = 1_000  # files taken from the listing at a time
_CHUNK = 256  # files that a worker of the cluster gets at a time


def _note(progress: Progress, outcome: Outcome) -> None:
    """Count a file."""
    progress.segments += outcome.segments
    if outcome.error:
        again = "" if outcome.kept else " It is tried again next time."
        progress.failed.append((outcome.file.uri, outcome.error + again))
    else:
        progress.added += 1


def _new(source: str, settings: BulkSettings, progress: Progress) -> Iterator[File]:
    """The files that are still to be embedded."""
    known = done(connect(), settings)
    for file in files(source, settings.output, progress):
        progress.total += 1
        if state_key(file.uri, file.info.etag) in known:
            progress.unchanged += 1
        else:
            yield file
    progress.complete = True


async def here(
    source: str, settings: BulkSettings, on_progress: OnProgress, progress: Progress | None = None
) -> Progress:
    """Embed on this machine.

    Args:
        source: ``s3://bucket/prefix``.
        settings: how.
        on_progress: called after every file.
        progress: counted on.

    Raises:
        KilonovaError: the source cannot be listed, the output cannot be written, or it has vectors of other settings.
    """
    progress = progress or Progress()

    def note(outcome: Outcome) -> None:
        _note(progress, outcome)
        on_progress(progress)

    async def found() -> AsyncIterator[File]:
        listing = _new(source, settings, progress)
        while batch := await asyncio.to_thread(lambda: list(islice(listing, _LISTED))):
            for file in batch:
                yield file

    async with BulkEmbedder(settings) as embedder:
        await embedder.run(found(), note)
    return progress


class _Worker:
    """An actor of the cluster: a model of its own, which stays loaded."""

    def __init__(self, settings: BulkSettings) -> None:
        self._embedder, self._open = BulkEmbedder(settings), False

    async def run(self, batch: list[File]) -> list[Outcome]:
        if not self._open:
            await self._embedder.__aenter__()
            self._open = True
        outcomes: list[Outcome] = []

        async def found() -> AsyncIterator[File]:
            for file in batch:
                yield file

        await self._embedder.run(found(), outcomes.append)
        return outcomes

    async def close(self) -> None:
        if self._open:
            await self._embedder.__aexit__(None, None, None)


def on_ray(
    source: str,
    settings: BulkSettings,
    on_progress: OnProgress,
    address: str | None,
    cores: int,
    progress: Progress | None = None,
) -> Progress:
    """Embed on a Ray cluster: as many workers as it has room for, each with so many cores. Workers find S3 as this
    process does, by the standard AWS variables and files of their machines.

    Args:
        source: ``s3://bucket/prefix``.
        settings: how.
        on_progress: called after every chunk.
        address: the cluster's; None is ``RAY_ADDRESS``, or a cluster of this machine alone.
        cores: of each worker.
        progress: counted on.

    Raises:
        KilonovaError: Ray is not installed; or as ``here``.
    """
    try:
        import ray as package
    except ImportError:
        raise KilonovaError("Ray is not installed.", "Install it with: pip install 'kilonova[ray]'.") from None
    ray: Any = package  # its functions have types here and there
    progress = progress or Progress()
    ray.init(address=address, log_to_driver=False, ignore_reinit_error=True)
    try:
        count = max(1, int(ray.cluster_resources().get("CPU", 1)) // cores)
        actor = ray.remote(num_cpus=cores)(_Worker)
        idle = [actor.remote(settings) for _ in range(count)]
        workers, busy = list(idle), {}
        listing = _new(source, settings, progress)
        batches = iter(lambda: list(islice(listing, _CHUNK)), [])
        while True:
            while idle and (batch := next(batches, None)):
                worker = idle.pop()
                busy[worker.run.remote(batch)] = worker
            if not busy:
                break
            (ready, *_), _ = ray.wait(list(busy))
            idle.append(busy.pop(ready))
            for outcome in ray.get(ready):
                _note(progress, outcome)
            on_progress(progress)
        ray.get([worker.close.remote() for worker in workers])
    finally:
        ray.shutdown()
    return progress
