"""Jobs of one server: taken in, queued, run, and taken over from servers that died."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import re
import socket
import time
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from uuid import uuid4

from kilonova.errors import KilonovaError, Unavailable
from kilonova.jobs import metrics
from kilonova.wire.async_invoke import ACCOUNT, ListQuery, StartRequest

if TYPE_CHECKING:
    from kilonova.engine.engines import Engines
    from kilonova.jobs.records import Job, Records

__all__ = ["JobSettings", "Jobs"]

_log = logging.getLogger("kilonova.jobs")

_BEAT_SECONDS = 2.0
_DEAD_SECONDS = 20.0  # a server on another machine that was silent for so long is taken to be dead
_QUIET_SECONDS, _BURST_SECONDS = 0.2, 10.0
_UNQUEUED_SECONDS = 15.0  # longer than a burst and its queueing
_POLL_SECONDS = 0.2
_STOP_SECONDS = 5.0
_VERSION = "2"  # of the workflow's steps: a change of their order needs a new one


@dataclass(frozen=True)
class JobSettings:
    """How jobs are kept and run.

    Attributes:
        folder: for the SQLite file, when no database is given.
        database: a URL, for example ``postgresql://user:password@host/kilonova``; "" is SQLite.
        at_once: jobs that one server runs at a time.
        per_caller: jobs of one caller that run at a time, over all servers.
        account: 12 digits, which stand in the invocations' ARNs.
    """

    folder: Path
    database: str = ""
    at_once: int = 8
    per_caller: int = 4
    account: str = ACCOUNT


class Jobs:
    """Starts, finds and ends asynchronous invocations. Use as an async context manager inside the engines'.

    DBOS and the database are loaded once the first model is there (both at once would make synchronous calls wait
    longer for their first answer); asynchronous calls wait for it.
    """

    def __init__(self, engines: Engines, settings: JobSettings) -> None:
        self._engines, self.settings = engines, settings
        self._id = uuid4().hex
        # a model's jobs wait for a server that has it
        self._queues = {
            engine.card.id: "kilonova-" + re.sub(r"[^a-z0-9-]", "-", engine.card.id.lower()) for engine in engines
        }
        self._records: Records | None = None
        self._runtime: Any = None
        self._launch: asyncio.Task[None] | None = None
        self._loading: asyncio.Task[None] | None = None
        self._beating: asyncio.Task[None] | None = None
        self._queueing: asyncio.Task[None] | None = None
        self._kept: asyncio.Queue[Job] = asyncio.Queue()

    async def __aenter__(self) -> Self:
        self._launch = asyncio.create_task(self._start_up())
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for task in (self._launch, self._beating, self._queueing):
            if task is not None:
                task.cancel()
                with contextlib.suppress(asyncio.CancelledError, KilonovaError):
                    await task
        if self._loading is not None:  # DBOS cannot be ended while it begins
            await asyncio.wait([self._loading], timeout=_STOP_SECONDS)
        if self._runtime is not None:
            self._runtime.stopping.set()
            await asyncio.to_thread(_destroy)
            self._runtime.close()
            if self._records is not None:
                await asyncio.to_thread(self._records.retire, self._id)

    async def start(self, request: StartRequest, *, region: str, model: str, caller: str) -> Job:
        """Keep a job and queue it; the same token and input give the same job.

        Raises:
            Conflict: the token was used with another input.
            Unavailable: the database cannot be used.
        """
        records = await self._ready()
        plain = request.model_copy(update={"clientRequestToken": None})
        digest = hashlib.sha256(plain.model_dump_json(exclude_unset=True).encode()).hexdigest()

        job = await asyncio.to_thread(
            records.start,
            request,
            digest,
            region=region,
            account=self.settings.account,
            model=model,
            served_by=self._engines[model].card.id,
            caller=caller,
        )
        if not job.queued:  # what is kept is not lost: nobody need wait for the rest
            self._kept.put_nowait(job)
        return job

    async def get(self, job: str) -> Job | None:
        """The job of that id."""
        return await asyncio.to_thread((await self._ready()).get, job)

    async def page(self, region: str, query: ListQuery) -> list[Job]:
        """A page of jobs, one more than asked for when there are more."""
        return await asyncio.to_thread((await self._ready()).page, self.settings.account, region, query)

    async def cancel(self, job: str) -> bool:
        """End a job; False when it had ended before. What it wrote stays unfinished."""
        records = await self._ready()
        return await asyncio.to_thread(records.end, job, "Cancelled.")

    async def count(self) -> None:
        """Bring the gauges of ``metrics`` up to date."""
        if self._records is None:
            return
        found, oldest = await asyncio.to_thread(self._records.counts)
        for state in ("waiting", "running", "completed", "failed"):
            metrics.JOBS.labels(state).set(found.get(state, 0))
        metrics.OLDEST.set(time.time() - oldest if oldest is not None else 0.0)

    async def _ready(self) -> Records:
        assert self._launch is not None
        await asyncio.shield(self._launch)
        assert self._records is not None
        return self._records

    async def _start_up(self) -> None:
        loop = asyncio.get_running_loop()
        with contextlib.suppress(KilonovaError):  # jobs are kept, listed and cancelled without a model, too
            await self._engines.first.ready()
        try:
            self._loading = asyncio.create_task(asyncio.to_thread(self._load, loop))
            await asyncio.shield(self._loading)
        except KilonovaError:
            raise
        except Exception as fault:
            _log.exception("the jobs database cannot be used")
            raise Unavailable(
                f"The jobs database cannot be used ({type(fault).__name__}).", "See the server's log and --database."
            ) from fault
        self._beating = asyncio.create_task(self._beat())
        self._queueing = asyncio.create_task(self._queue_up())

    def _load(self, loop: asyncio.AbstractEventLoop) -> None:
        from dbos import DBOS, DBOSConfig

        from kilonova.jobs.records import Records, database_url, open_engine
        from kilonova.jobs.workflow import Runtime, set_runtime

        url = database_url(self.settings.database, self.settings.folder)
        database = open_engine(url)
        records = Records(database)
        records.migrate()
        self._runtime = Runtime(self._engines, records, loop)
        set_runtime(self._runtime)
        config: DBOSConfig = {
            "name": "kilonova",
            "system_database_url": url,
            "system_database_engine": database,
            "executor_id": self._id,
            "application_version": _VERSION,
            "log_level": "ERROR",
        }
        logging.getLogger("dbos").addHandler(logging.NullHandler())  # its own would write to the console
        DBOS(config=config)
        DBOS.listen_queues(list(self._queues.values()))
        DBOS.launch()
        for queue in self._queues.values():
            DBOS.register_queue(
                queue,
                worker_concurrency=self.settings.at_once,
                partition_concurrency=self.settings.per_caller,
                polling_interval_sec=_POLL_SECONDS,
                on_conflict="always_update",
            )
        records.beat(self._id, socket.gethostname(), os.getpid())
        self._records = records
        self._take_over(records)
        self._queue_left(records, 0.0)

    def _enqueue(self, records: Records, job: Job) -> None:
        from dbos import DBOS, SetEnqueueOptions, SetWorkflowID

        from kilonova.jobs.workflow import embed_file

        with SetWorkflowID(job.view.id), SetEnqueueOptions(queue_partition_key=job.caller):
            DBOS.enqueue_workflow(self._queues[job.served_by], embed_file, job.view.id)
        records.mark_as_queued(job.view.id)

    async def _queue_up(self) -> None:
        """Hand new jobs to DBOS once no more of them come: while many are started, callers go before work."""
        while True:
            jobs = [await self._kept.get()]
            until = time.monotonic() + _BURST_SECONDS
            while time.monotonic() < until:
                try:
                    jobs.append(await asyncio.wait_for(self._kept.get(), _QUIET_SECONDS))
                except TimeoutError:
                    break
            for job in jobs:
                assert self._records is not None
                try:
                    await asyncio.to_thread(self._enqueue, self._records, job)
                except Exception:  # the beat finds it among those that no queue has
                    _log.exception("a job was not queued", extra={"job": job.view.id})

    async def _beat(self) -> None:
        """Say that this server lives, look for others that do not, and finish what they began."""
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            try:
                await asyncio.to_thread(self._tend)
            except Exception:  # a database that is away for a while must not end the beat
                _log.exception("the jobs database did not answer")

    def _tend(self) -> None:
        records = self._records
        assert records is not None
        records.beat(self._id, socket.gethostname(), os.getpid())
        self._take_over(records)
        self._queue_left(records, _UNQUEUED_SECONDS)
        self._sweep()

    def _queue_left(self, records: Records, older: float) -> None:
        """Queue what a server kept and then died; what another one is about to queue is not queued twice by that."""
        for job in records.without_queue(older):
            if job.served_by in self._queues:
                self._enqueue(records, job)

    def _take_over(self, records: Records) -> None:
        from dbos import DBOS

        here = socket.gethostname()
        for server in records.servers():
            if server["id"] != self._id and _dead(server, here):
                DBOS._recover_pending_workflows([server["id"]])
                records.forget(server["id"])

    def _sweep(self) -> None:
        """Drop what DBOS keeps of jobs that have ended: the vectors lie in S3 now."""
        from dbos import DBOS

        done = DBOS.list_workflows(status=["SUCCESS", "ERROR"], limit=200, load_input=False, load_output=False)
        old = [one.workflow_id for one in done if one.workflow_id]
        if old:
            DBOS.delete_workflows(old)


def _dead(server: Any, here: str) -> bool:
    if server["host"] == here:
        try:
            os.kill(server["pid"], 0)
        except ProcessLookupError:
            return True
        except PermissionError:
            return False
    return bool(time.time() - server["beat"] > _DEAD_SECONDS)


def _destroy() -> None:
    from dbos import DBOS

    from kilonova.jobs.workflow import set_runtime

    DBOS.destroy()
    set_runtime(None)
