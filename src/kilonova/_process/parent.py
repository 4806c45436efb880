"""The parent's side of a child process."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from multiprocessing.connection import Connection
from typing import Any

from kilonova._process.pipe import receive, send

__all__ = ["Child", "ChildDied", "ChildTimeout", "worker_process"]


class ChildDied(Exception):
    """The child ended before it answered."""


class ChildTimeout(Exception):
    """The child did not answer in time and was killed."""


class Child:
    """Start a child and talk to it.

    Args:
        target: ``module:function``; the function is called once in the child and returns its handler.
        arguments: strings passed to that function.
        memory: bytes of address space that the child may map, None for no bound.
    """

    def __init__(self, target: str, *arguments: str, memory: int | None = None) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            command = [sys.executable, "-m", "kilonova._process.child", str(theirs.fileno()), str(memory or 0), target]
            self._process = subprocess.Popen(
                [*command, *arguments], pass_fds=[theirs.fileno()], stdin=subprocess.DEVNULL
            )
        self._connection = Connection(ours.detach())
        self._thread = ThreadPoolExecutor(1, thread_name_prefix=f"child-{self._process.pid}")

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the process still runs."""
        return self._process.poll() is None

    async def call(self, message: object, seconds: float) -> Any:
        """Send a message and wait for the answer, at most that many seconds.

        Raises:
            ChildDied: the process ended.
            ChildTimeout: no answer came; the process is killed.
            Exception: what the handler raised.
        """
        loop = asyncio.get_running_loop()
        # Shielded: a caller that leaves must not leave half an exchange behind on the connection.
        exchange = loop.run_in_executor(self._thread, self._exchange, message, seconds)
        failed, answer = await asyncio.shield(exchange)
        if failed:
            raise answer
        return answer

    def close(self) -> None:
        """Kill the process and free everything; may be called twice."""
        self._process.kill()
        self._process.wait()
        self._thread.shutdown(wait=True)
        self._connection.close()

    def _exchange(self, message: object, seconds: float) -> tuple[bool, Any]:
        try:
            send(self._connection, message)
            if not self._connection.poll(seconds):
                self._process.kill()
                return True, ChildTimeout(f"no answer within {seconds:g} s")
            answer: tuple[bool, Any] = receive(self._connection)
            return answer
        except (EOFError, OSError):
            self._process.kill()
            return True, ChildDied(_death(self._process.wait()))


def worker_process(model: str) -> Child:
    """A process that loads that model of the registry and then embeds batches (``engine.worker``)."""
    return Child("kilonova.engine.worker:handler", model)


def _death(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
