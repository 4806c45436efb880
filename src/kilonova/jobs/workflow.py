"""A job as a durable workflow of DBOS: what was done once is not done again, whichever process takes it up.

Every step's result is kept in the database before the next one begins: the vectors of a group of segments, the ETag
of a part that was sent. After a crash the same calls are made again in the same order and those that were done
answer from the database (https://docs.dbos.dev/python/tutorials/workflow-tutorial#determinism).
"""

from __future__ import annotations

import asyncio
import concurrent.futures
import logging
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

from dbos import DBOS

from kilonova.engine.engines import Engines
from kilonova.errors import InternalError, InvalidInput, KilonovaError, Unavailable
from kilonova.jobs import metrics
from kilonova.jobs.output import Files
from kilonova.jobs.pipeline import Line, lines
from kilonova.jobs.records import Job, Records
from kilonova.segments.read import Readers, check_size
from kilonova.storage.objects import ObjectInfo, Target, describe
from kilonova.storage.s3 import connect
from kilonova.wire.async_invoke import JobStatus

__all__ = ["Runtime", "embed_file", "set_runtime"]

_log = logging.getLogger("kilonova.jobs")

GROUP = 8  # segments embedded between two writes to the database: what a crash costs at most

T = TypeVar("T")


class _Stopped(BaseException):
    """This server stops; the job goes on where one starts. No ``Exception``, so that nothing records it as a result."""


class _Cancelled(Exception):
    """The job was ended by somebody else while it ran."""


@dataclass
class Runtime:
    """What a workflow needs of the process that it runs in."""

    engines: Engines
    records: Records
    loop: asyncio.AbstractEventLoop
    client: Any = field(default_factory=connect)
    stopping: threading.Event = field(default_factory=threading.Event)

    def __post_init__(self) -> None:
        self.readers = {engine.card.id: Readers(engine.card) for engine in self.engines}

    def close(self) -> None:
        """End the processes that read files."""
        for readers in self.readers.values():
            readers.close()

    def wait_for(self, work: Coroutine[Any, Any, T]) -> T:
        """Do work in the engine's event loop, from a thread of DBOS."""
        if self.stopping.is_set():
            work.close()
            raise _Stopped
        future = asyncio.run_coroutine_threadsafe(work, self.loop)
        while True:
            try:
                return future.result(timeout=0.5)
            except concurrent.futures.CancelledError:
                raise _Stopped from None
            except TimeoutError:
                if future.done():
                    raise
                if self.stopping.is_set():
                    future.cancel()
                    raise _Stopped from None


_runtime: Runtime | None = None


def set_runtime(runtime: Runtime | None) -> None:
    """Say what workflows of this process run with; DBOS calls them by their registered name only."""
    global _runtime
    _runtime = runtime


@DBOS.workflow(name="kilonova.embed_file")
def embed_file(job_id: str) -> None:
    """Embed the file of a job and write the vectors."""
    runtime = _runtime
    if runtime is None or runtime.stopping.is_set():
        raise _Stopped
    job = runtime.records.get(job_id)
    if job is None or job.view.ended is not None:
        return
    run = _Run(runtime, job)
    failure = None
    try:
        run.all()
    except _Cancelled:
        run.abort()
        return
    except KilonovaError as error:
        failure = str(error)
    except Exception as fault:  # a fault of ours must end the job, not leave it for ever in progress
        _log.exception("job failed", extra={"job": job_id})
        failure = str(InternalError(f"{type(fault).__name__} while the job ran.", "The server's log says more."))
    finally:
        run.close()
    if failure is not None:
        run.abort()
    if runtime.records.end(job_id, failure):
        metrics.ENDED.labels(JobStatus.COMPLETED if failure is None else JobStatus.FAILED).inc()


class _Run:
    def __init__(self, runtime: Runtime, job: Job) -> None:
        self._runtime, self._job = runtime, job
        self._engine = runtime.engines[job.served_by]
        self._params = job.request.params
        self._place = self._params.location
        output = job.request.output
        target = Target(runtime.client, job.view.folder, output.bucketOwner, output.kmsKeyId)
        self._files = Files(self._place.uri, self._params.embeddingDimension, target, self._once)
        self._lines: AsyncGenerator[list[Line]] | None = None

    def all(self) -> None:
        """Read, embed, write."""
        info = self._once("look at the file", self._look)
        first, ended = 0, False
        while not ended:
            segments: list[list[Line]] = self._once(f"embed from {first}", partial(self._embed, info, first))
            for segment in segments:
                self._files.add(segment)
            first, ended = first + len(segments), len(segments) < GROUP
            if segments and not self._note_progress(first, segments[-1][-1]):
                raise _Cancelled
        self._files.finish(self._job.view.id)
        if self._files.failures == self._files.lines:
            raise InvalidInput(
                f"No segment of {self._place.uri} could be embedded.", "The output files say why for each."
            )

    def _note_progress(self, segments: int, last: Line) -> bool:
        """Note how far the job is; False when somebody ended it."""
        return self._runtime.records.progress(
            self._job.view.id, segments, self._files.failures, last.position, last.length
        )

    def close(self) -> None:
        """End what runs ahead."""
        if self._lines is not None and not self._runtime.stopping.is_set():
            self._runtime.wait_for(_close(self._lines))

    def abort(self) -> None:
        """Drop unfinished uploads; what S3 keeps of them costs its owner money."""
        try:
            self._files.abort()
        except KilonovaError as error:
            _log.warning("parts of an upload were left behind: %s", error, extra={"job": self._job.view.id})

    def _once(self, name: str, work: Callable[[], T]) -> T:
        def step() -> T:
            if self._runtime.stopping.is_set():
                raise _Stopped
            return work()

        return DBOS.run_step({"name": name}, step)

    def _look(self) -> ObjectInfo:
        kind = self._params.modality
        self._runtime.wait_for(self._engine.ready())
        self._engine.check(kind)
        info = describe(self._runtime.client, self._place.uri, self._place.bucketOwner)
        check_size(self._place.uri, info, kind)
        self._runtime.records.begin(self._job.view.id)
        return info

    def _embed(self, info: ObjectInfo, first: int) -> list[list[Line]]:
        async def take() -> list[list[Line]]:
            if self._lines is None:
                readers = self._runtime.readers[self._job.served_by]
                self._lines = lines(self._engine, readers, self._params, info, first)
            return [found async for found in _first(self._lines, GROUP)]

        try:
            found = self._runtime.wait_for(take())
        except Unavailable:
            if self._runtime.stopping.is_set():
                raise _Stopped from None
            raise
        for segment in found:
            for line in segment:
                metrics.SEGMENTS.labels(line.kind, "success" if line.vector is not None else "failure").inc()
        return found


async def _first(segments: AsyncGenerator[T], count: int) -> AsyncGenerator[T]:
    """The next ``count`` of them; fewer at the end. The rest can be asked for later."""
    for _ in range(count):
        try:
            yield await anext(segments)
        except StopAsyncIteration:
            return


async def _close(segments: AsyncGenerator[Any]) -> None:
    await segments.aclose()
