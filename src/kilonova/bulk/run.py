"""Everything under a prefix, on this machine or on a Ray cluster."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

from kilonova.bulk.embedder import Embedder, Outcome
from kilonova.bulk.files import Listed, PassedOver, files
from kilonova.bulk.parts import Settings, done
from kilonova.errors import KilonovaError
from kilonova.storage.s3 import connect

__all__ = ["Tally", "here", "on_ray"]

_LISTED = 1_000  # files taken from the listing at a time
_CHUNK = 256  # files that a worker of the cluster gets at a time


@dataclass
class Tally:
    """How far it is.

    Attributes:
        listed: files seen so far, ``complete`` when there are no more.
        known: those of them whose vectors were there before.
        other: those of kinds that cannot be embedded, by ending.
        skipped: those that are passed over, by kind.
        finished: those embedded now, with or without errors.
        segments: rows with a vector.
        failed: files with an error, and what it was.
    """

    listed: int = 0
    complete: bool = False
    known: int = 0
    other: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    finished: int = 0
    segments: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)

    def add(self, outcome: Outcome) -> None:
        """Count a file."""
        self.finished += 1
        self.segments += outcome.segments
        if outcome.error:
            again = "" if outcome.kept else " It is tried again next time."
            self.failed.append((outcome.file.uri, outcome.error + again))


def _new(source: str, settings: Settings, tally: Tally) -> Iterator[Listed]:
    """The files that are still to be embedded."""
    client = connect()
    known = done(client, settings)
    for file in files(client, source, settings.output):
        tally.listed += 1
        if isinstance(file, PassedOver):
            (tally.skipped if file.skipped else tally.other)[file.skipped or file.ending] += 1
        elif file.key in known:
            tally.known += 1
        else:
            yield file
    tally.complete = True


async def here(source: str, settings: Settings, told: Callable[[Tally], None], tally: Tally | None = None) -> Tally:
    """Embed on this machine.

    Args:
        source: ``s3://bucket/prefix``.
        settings: how.
        told: called after every file.
        tally: counted on.

    Raises:
        KilonovaError: the source cannot be listed, the output cannot be written, or it has vectors of other settings.
    """
    tally = tally or Tally()

    def note(outcome: Outcome) -> None:
        tally.add(outcome)
        told(tally)

    async def found() -> AsyncIterator[Listed]:
        listing = _new(source, settings, tally)
        while batch := await asyncio.to_thread(lambda: list(islice(listing, _LISTED))):
            for file in batch:
                yield file

    async with Embedder(settings) as embedder:
        await embedder.run(found(), note)
    return tally


class _Worker:
    """An actor of the cluster: a model of its own, which stays loaded."""

    def __init__(self, settings: Settings) -> None:
        self._embedder, self._open = Embedder(settings), False

    async def run(self, batch: list[Listed]) -> list[Outcome]:
        if not self._open:
            await self._embedder.__aenter__()
            self._open = True
        outcomes: list[Outcome] = []

        async def found() -> AsyncIterator[Listed]:
            for file in batch:
                yield file

        await self._embedder.run(found(), outcomes.append)
        return outcomes

    async def close(self) -> None:
        if self._open:
            await self._embedder.__aexit__(None, None, None)


def on_ray(
    source: str,
    settings: Settings,
    told: Callable[[Tally], None],
    address: str | None,
    cores: int,
    tally: Tally | None = None,
) -> Tally:
    """Embed on a Ray cluster: as many workers as it has room for, each with so many cores. Workers find S3 as this
    process does, by the standard AWS variables and files of their machines.

    Args:
        source: ``s3://bucket/prefix``.
        settings: how.
        told: called after every chunk.
        address: the cluster's; None is ``RAY_ADDRESS``, or a cluster of this machine alone.
        cores: of each worker.
        tally: counted on.

    Raises:
        KilonovaError: Ray is not installed; or as ``here``.
    """
    try:
        import ray as package
    except ImportError:
        raise KilonovaError("Ray is not installed.", "Install it with: pip install 'kilonova[ray]'.") from None
    ray: Any = package  # its functions have types here and there
    tally = tally or Tally()
    ray.init(address=address, log_to_driver=False, ignore_reinit_error=True)
    try:
        count = max(1, int(ray.cluster_resources().get("CPU", 1)) // cores)
        actor = ray.remote(num_cpus=cores)(_Worker)
        idle = [actor.remote(settings) for _ in range(count)]
        workers, busy = list(idle), {}
        listing = _new(source, settings, tally)
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
                tally.add(outcome)
            told(tally)
        ray.get([worker.close.remote() for worker in workers])
    finally:
        ray.shutdown()
    return tally
