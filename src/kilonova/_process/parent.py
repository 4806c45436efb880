"""The parent's side of a child process."""

from __future__ import annotations

import asyncio
import signal
import socket
import subprocess
import sys
from typing import Any

from kilonova._process import pipe

__all__ = ["Child", "ChildDied", "ChildTimeout", "worker_process"]

_READ_AHEAD = 1 << 20


class ChildDied(Exception):
    """The child ended before it answered."""


class ChildTimeout(Exception):
    """The child did not answer in time and was killed."""


class Child:
    """Start a child and talk to it, one message at a time.

    Args:
        target: ``module:function``; the function is called once in the child and returns its handler.
        arguments: strings passed to that function.
        memory: bytes of address space that the child may map, None for no bound.
    """

    def __init__(self, target: str, *arguments: str, memory: int | None = None) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-m", "kilonova._process.child", str(descriptor), str(memory or 0), target]
            self._process = subprocess.Popen([*command, *arguments], pass_fds=[descriptor], stdin=subprocess.DEVNULL)
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    async def call(self, message: object, seconds: float) -> Any:
        """Send a message and wait for the answer, at most that many seconds.

        A cancelled call leaves half an exchange behind: the child must then be closed.

        Raises:
            ChildDied: the process ended.
            ChildTimeout: no answer came; the process is killed.
            Exception: what the handler raised.
        """
        try:
            async with asyncio.timeout(seconds):
                failed, answer = await self._exchange(message)
        except TimeoutError:
            self._process.kill()
            raise ChildTimeout(f"no answer within {seconds:g} s") from None
        except (asyncio.IncompleteReadError, OSError):
            self._process.kill()
            raise ChildDied(_death(self._process.wait())) from None
        if failed:
            raise answer
        return answer

    def close(self) -> None:
        """Kill the process and free everything; may be called twice."""
        self._process.kill()
        self._process.wait()
        if self._streams is not None:
            self._streams[1].transport.abort()
        else:
            self._socket.close()

    async def _exchange(self, message: object) -> tuple[bool, Any]:
        if self._streams is None:
            self._streams = await asyncio.open_connection(sock=self._socket, limit=_READ_AHEAD)
        reader, writer = self._streams
        for part in pipe.pack(message):
            writer.write(part)
        await writer.drain()
        (count,) = pipe.COUNT.unpack(await reader.readexactly(pipe.COUNT.size))
        form = pipe.lengths(count)
        lengths = form.unpack(await reader.readexactly(form.size))
        answer: tuple[bool, Any] = pipe.unpack([await reader.readexactly(length) for length in lengths])
        return answer


def worker_process(model: str) -> Child:
    """A process that loads that model of the registry and then embeds batches (``engine.worker``)."""
    return Child("kilonova.engine.worker:handler", model)


def _death(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
