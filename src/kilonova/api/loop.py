"""An event loop in a thread of its own, for the classes that are not asynchronous."""

from __future__ import annotations

import asyncio
import concurrent.futures
import os
import queue
import threading
from collections.abc import AsyncGenerator, Callable, Coroutine, Iterator
from typing import Any, TypeVar

from kilonova.errors import InvalidInput, KilonovaError, Unavailable

__all__ = ["Events", "LoopThread"]

T = TypeVar("T")
_END_SECONDS = 30.0  # that cancelled work may take to clean up


class Events:
    """What work in the loop has to report, handed to a function in the thread that waits for the work.

    Args:
        take: called with each event; None where nobody listens.
    """

    def __init__(self, take: Callable[[Any], object] | None) -> None:
        self._take = take
        self._queue: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()

    def put(self, event: Any) -> None:
        """Report something; from any thread."""
        if self._take is not None:
            self._queue.put((False, event))

    def end(self) -> None:
        """Say that the work is done."""
        self._queue.put((True, None))

    def deliver(self) -> None:
        """Hand over events until the work is done."""
        while not (found := self._queue.get())[0]:
            if self._take is not None:
                self._take(found[1])


class LoopThread:
    """Runs coroutines, one after the other or from several threads at once; the thread starts with the first one."""

    def __init__(self) -> None:
        self._changing = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread: threading.Thread | None = None
        self._process, self._closed = os.getpid(), False

    def run(self, work: Coroutine[Any, Any, T], events: Events | None = None) -> T:
        """The result of a coroutine. Ctrl-C cancels it and waits until it has cleaned up.

        Raises:
            Unavailable: the loop is closed, or belongs to the process that this one was forked from.
            InvalidInput: this is the loop's own thread, which would wait for itself.
        """
        events, ended = events or Events(None), threading.Event()

        async def watch() -> T:
            try:
                return await work
            finally:
                ended.set()
                events.end()

        loop = self._start(work)
        future = asyncio.run_coroutine_threadsafe(watch(), loop)
        try:
            events.deliver()
            return future.result()
        except BaseException:
            if future.cancel():
                ended.wait(_END_SECONDS)
            raise

    def submit(self, work: Coroutine[Any, Any, T]) -> concurrent.futures.Future[T]:
        """Begin a coroutine; errors as of ``run``."""
        loop = self._start(work)
        return asyncio.run_coroutine_threadsafe(work, loop)

    def iterate(self, items: AsyncGenerator[T], events: Events | None = None) -> Iterator[T]:
        """The items of an asynchronous generator, which is closed at the end."""
        try:
            while True:
                try:
                    yield self.run(anext(items), events)
                except StopAsyncIteration:
                    return
        finally:
            if not self._closed:
                self.run(items.aclose())

    def close(self) -> None:
        """Cancel what runs, and end the thread; may be called twice."""
        with self._changing:
            loop, thread = self._loop, self._thread
            self._closed = True
            self._loop = self._thread = None
        if loop is None or thread is None or self._process != os.getpid():
            return
        cancelled = asyncio.run_coroutine_threadsafe(_cancel_all(), loop)
        if thread is not threading.current_thread():
            cancelled.result(_END_SECONDS)
            loop.call_soon_threadsafe(loop.stop)
            thread.join(_END_SECONDS)
            loop.close()

    def _start(self, work: Coroutine[Any, Any, Any]) -> asyncio.AbstractEventLoop:
        """The loop, running; work that it cannot do is closed."""
        with self._changing:
            if fault := self._fault():
                work.close()
                raise fault
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                self._thread = threading.Thread(target=self._loop.run_forever, name="kilonova", daemon=True)
                self._thread.start()
            return self._loop

    def _fault(self) -> KilonovaError | None:
        if self._closed:
            return Unavailable("It is closed.", "Make a new one.")
        if self._process != os.getpid():
            return Unavailable("It was made before this process was forked.", "Make one in each process.")
        if self._thread is threading.current_thread():
            return InvalidInput("A callback cannot wait for the call that it is part of.", "Use its result later.")
        return None


async def _cancel_all() -> None:
    tasks = asyncio.all_tasks() - {asyncio.current_task()}
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
