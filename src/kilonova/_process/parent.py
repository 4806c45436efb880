"""The parent's side of a child process."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Mapping
from typing import Any, cast

from kilonova._process import pipe

__all__ = ["Child", "ChildDied", "ChildTimeout"]

_REAP_SECONDS = 0.05


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
        environment: variables to set in the child.
    """

    def __init__(
        self, target: str, *arguments: str, memory: int | None = None, environment: Mapping[str, str] | None = None
    ) -> None:
        self._socket, theirs = socket.socketpair()
        with theirs:
            descriptor = theirs.fileno()
            command = [sys.executable, "-m", "kilonova._process.child", str(descriptor), str(memory or 0), target]
            variables = {**os.environ, **environment} if environment else None
            self._process = subprocess.Popen(
                [*command, *arguments], pass_fds=[descriptor], stdin=subprocess.DEVNULL, env=variables
            )
        self._answers: _Answers | None = None

    @property
    def pid(self) -> int:
        """Process id of the child."""
        return self._process.pid

    @property
    def alive(self) -> bool:
        """Whether the child can still be asked."""
        return self._process.poll() is None and not (self._answers is not None and self._answers.lost.is_set())

    async def wait(self) -> None:
        """Wait until the child, which was asked before, is dead."""
        assert self._answers is not None
        await self._answers.lost.wait()

    def death(self) -> ChildDied:
        """The error that says how the child ended; kills what may still run of it."""
        self._process.kill()
        return ChildDied(_death(self._process.wait()))

    async def call(self, message: object, seconds: float) -> Any:
        """Send a message and wait for the answer, at most that many seconds.

        A cancelled call leaves half an exchange behind: the child must then be closed.

        Raises:
            ChildDied: the process ended.
            ChildTimeout: no answer came; the process is killed.
            KilonovaError, MemoryError: what the handler raised.
            HandlerFailed: the handler raised something else.
        """
        try:
            async with asyncio.timeout(seconds):
                failed, answer = await self._exchange(message)
        except TimeoutError:
            self._process.kill()
            raise ChildTimeout(f"no answer within {seconds:g} s") from None
        except OSError:
            raise self.death() from None
        if failed:
            raise answer
        return answer

    def close(self) -> None:
        """Kill the process and free everything; may be called twice."""
        self._process.kill()
        self._process.wait()
        if self._answers is not None:
            self._answers.transport.abort()
        else:
            self._socket.close()

    async def _exchange(self, message: object) -> tuple[bool, Any]:
        if self._answers is None:
            loop = asyncio.get_running_loop()
            _, self._answers = await loop.create_connection(lambda: _Answers(self._reap), sock=self._socket)
        parts = pipe.pack(message)  # a message that cannot be packed is the sender's fault: nothing was written yet
        answered = self._answers.expect()
        try:
            for part in parts:
                self._answers.transport.write(part)
        except RuntimeError as closed:  # uvloop's way to say that the transport is closed
            raise ConnectionResetError from closed
        answer: tuple[bool, Any] = await answered
        return answer

    def _reap(self) -> None:
        """Collect the exit status of a child that ended, so that it does not stay behind as a zombie."""
        if self._process.poll() is None:
            self._process.kill()  # it closed its end, so it is of no use any more
            asyncio.get_running_loop().call_later(_REAP_SECONDS, self._reap)


class _Answers(asyncio.Protocol):
    """Collects the bytes of one answer after the other; leaner than streams, which every request would pay for."""

    transport: asyncio.Transport

    def __init__(self, on_loss: Callable[[], None]) -> None:
        self._on_loss = on_loss
        self._received = bytearray()
        self._answered: asyncio.Future[Any] | None = None
        self.lost = asyncio.Event()

    def expect(self) -> asyncio.Future[Any]:
        """A future for the next answer; its error is ConnectionResetError when the child ends first.

        Raises:
            ConnectionResetError: the child has ended already.
        """
        if self.lost.is_set():
            raise ConnectionResetError
        self._answered = asyncio.get_running_loop().create_future()
        return self._answered

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = cast("asyncio.Transport", transport)  # uvloop's is one without being a subclass

    def data_received(self, data: bytes) -> None:
        self._received += data
        buffers = pipe.split(self._received)
        if buffers is None:
            return
        self._received = bytearray()  # the buffers are views of the old one
        if self._answered is None or self._answered.done():
            return
        try:
            answer = pipe.unpack(buffers)
        except Exception:  # whatever unpickling raises: a child that answers so cannot be trusted with another message
            self.transport.abort()
            return
        self._answered.set_result(answer)

    def connection_lost(self, exc: Exception | None) -> None:
        self.lost.set()
        if self._answered is not None and not self._answered.done():
            self._answered.set_exception(ConnectionResetError())
        self._on_loss()


def _death(status: int) -> str:
    if status < 0:
        return f"ended by {signal.Signals(-status).name}"
    return f"ended with exit status {status}"
