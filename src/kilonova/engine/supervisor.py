"""Keeps one model process running and feeds it batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from enum import StrEnum
from time import perf_counter

from kilonova._process.parent import Child, ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova.engine import metrics
from kilonova.engine.process import worker_process
from kilonova.engine.queue import BatchQueue, QueuedInput
from kilonova.engine.worker import Outcome
from kilonova.errors import KilonovaError, ModelFailed, ModelTimeout, Unavailable
from kilonova.models.card import ModelCard

__all__ = ["State", "Supervisor"]

_log = logging.getLogger("kilonova.engine")
_START_SECONDS = 300.0  # a large model from a slow disk
_BACKOFF = (0.0, 1.0, 5.0, 15.0, 30.0)
_DEATHS = 2  # of processes, after which a content is refused


class State(StrEnum):
    """Where the model process stands."""

    LOADING = "loading"
    READY = "ready"
    IDLE = "idle"  # unloaded until somebody wants it
    RESTARTING = "restarting"
    FAILED = "failed"
    STOPPED = "stopped"


class Supervisor:
    """Start the model process, hand it batch after batch, and start it again when it dies or hangs.

    Args:
        name: which model, for the registry.
        card: its card.
        queue: where batches come from.
        seconds: how long one batch may take.
        on_failure: called when it could not be started.
        idle: seconds without work after which the process is ended until there is some; 0 keeps it.
        gpu: the only one that it may use, "" for all.
        first: a model process that loads already.
    """

    def __init__(
        self,
        name: str,
        card: ModelCard,
        queue: BatchQueue,
        seconds: float,
        on_failure: Callable[[], None],
        *,
        idle: float = 0.0,
        gpu: str = "",
        first: Child | None = None,
    ) -> None:
        self._name, self._gpu = name, gpu
        self._idle = idle or None
        self._card = card
        self._queue = queue
        self._seconds, self._on_failure = seconds, on_failure
        self._child = first
        self._task: asyncio.Task[None] | None = None
        self.settled = asyncio.Event()
        self.state = State.LOADING
        self.failure = ""

    def start(self) -> None:
        """Begin loading; returns at once."""
        self._task = asyncio.create_task(self._run(), name=f"model {self._card.id}")

    async def stop(self) -> None:
        """End the process; whoever is in its batch gets the error that the server stops."""
        self.state = State.STOPPED
        self.settled.set()
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)
        self._close()

    @property
    def pid(self) -> int | None:
        """Process id of the model process, while there is one."""
        return self._child.pid if self._child is not None else None

    async def _run(self) -> None:
        failures = 0
        while True:
            await asyncio.sleep(_BACKOFF[min(failures, len(_BACKOFF) - 1)])
            try:
                await self._load()
                failures = 0
                await self._serve()
                await self._queue.wait()
            except (ChildDied, ChildTimeout, KilonovaError, HandlerFailed) as fault:  # the last two while it loads
                failures = self._note(fault, failures)
            except Exception as fault:  # a fault of ours must not end this task, or nobody would ever be answered again
                _log.exception("the supervisor failed", extra={"model": self._card.id})
                failures = max(1, self._note(fault, failures))  # not in a tight loop

    async def _load(self) -> None:
        if self._child is None:
            self._child = worker_process(self._name, self._gpu)
        await self._child.call([], _START_SECONDS)
        self.state, self.failure = State.READY, ""
        self.settled.set()

    def _note(self, fault: Exception, failures: int) -> int:
        """Record why the process ended; one that never became ready again counts as a failed start."""
        self._close()
        started = self.state is State.READY
        self.failure = str(fault)
        self.state = State.RESTARTING if started else State.FAILED
        self.settled.set()
        metrics.WORKER_RESTARTS.labels(self._card.id).inc()
        _log.error("model process ended, starting it again", extra={"model": self._card.id, "reason": self.failure})
        if not started:
            self._on_failure()
        return 0 if started else failures + 1

    async def _serve(self) -> None:
        """Answer batch after batch; comes back when there were none for long.

        Raises:
            ChildDied, ChildTimeout: the process has to be started again.
        """
        assert self._child is not None
        while True:
            try:
                async with asyncio.timeout(self._idle):
                    await self._work_or_death(self._child)
            except TimeoutError:
                self._close()
                self.state = State.IDLE
                _log.info("model unloaded: nobody wants it", extra={"model": self._card.id})
                return
            if batch := self._queue.take():  # another process of the model may have been quicker
                try:
                    await self._answer(self._child, batch)
                finally:
                    _refuse(
                        batch, ModelFailed(f"{self._card.id} failed on this batch.", "The server's log says where.")
                    )

    async def _work_or_death(self, child: Child) -> None:
        """Wait until contents wait.

        Raises:
            ChildDied: the process ended while it had nothing to do.
        """
        if not child.alive:
            raise child.death()
        if len(self._queue):
            return
        waits = [asyncio.ensure_future(self._queue.wait()), asyncio.ensure_future(child.wait())]
        try:
            await asyncio.wait(waits, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for one in waits:
                one.cancel()
        if not child.alive:
            raise child.death()

    async def _answer(self, child: Child, batch: list[QueuedInput]) -> None:
        """Answer one batch; what is left without an answer is put back or failed."""
        begin = perf_counter()
        modality = str(batch[0].content.modality)
        for job in batch:
            metrics.QUEUE_SECONDS.labels(self._card.id, modality).observe(begin - job.since)
        metrics.BATCH_SIZE.labels(self._card.id, modality).observe(len(batch))
        items = [(job.content, job.purpose) for job in batch]
        try:
            outcomes: list[Outcome] = await child.call(items, self._seconds)
            if len(outcomes) != len(batch):
                raise HandlerFailed("wrong number of vectors", self._name)
        except ChildTimeout:
            late = f"{self._card.id} did not answer within {self._seconds:g} s and was stopped."
            _refuse(batch, ModelTimeout(late, "Send a shorter input."))
            raise
        except ChildDied as death:
            self._try_again(batch, death)
            raise
        except asyncio.CancelledError:
            _refuse(batch, Unavailable("The server is stopping.", "Try again."))
            raise
        except (HandlerFailed, MemoryError) as fault:  # raised by the model for this batch: the process lives on
            _log.error("batch failed", extra={"model": self._card.id, "reason": str(fault)})
            kind = fault.kind if isinstance(fault, HandlerFailed) else "out of memory"
            _refuse(
                batch,
                ModelFailed(f"{self._card.id} failed on this batch ({kind}).", "The server's log says where."),
            )
            return
        metrics.MODEL_SECONDS.labels(self._card.id, modality).observe(perf_counter() - begin)
        for job, outcome in zip(batch, outcomes, strict=True):
            job.settle(outcome)

    def _try_again(self, batch: list[QueuedInput], death: ChildDied) -> None:
        """Put the contents of a process that died back, each once: it may have been killed from outside."""
        for job in batch:
            job.deaths += 1
        _refuse(
            [job for job in batch if job.deaths >= _DEATHS],
            ModelFailed(f"The process of {self._card.id} {death}; it is being started again."),
        )
        self._queue.put_back([job for job in batch if job.deaths < _DEATHS])
        batch.clear()

    def _close(self) -> None:
        if self._child is not None:
            self._child.close()
            self._child = None


def _refuse(jobs: list[QueuedInput], error: KilonovaError) -> None:
    for job in jobs:
        job.settle(error)
