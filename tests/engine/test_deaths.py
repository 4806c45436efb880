"""Children that die, busy or idle, on both event loops: noticed at once, replaced, their work tried again once."""

import asyncio
import os
import signal
from collections.abc import Awaitable, Callable
from typing import Any

import psutil
import pytest
import uvloop

from kilonova._process.parent import Child, ChildDied
from kilonova._process.pool import Children
from kilonova.engine.engine import Embedding, Engine
from kilonova.engine.queue import BatchQueue
from kilonova.engine.supervisor import State
from kilonova.errors import ModelFailed
from kilonova.media.content import Encoded, Image, Modality, Text
from kilonova.media.pool import DecodePool
from kilonova.models.card import Purpose
from tests import samples

LOOPS = pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop], ids=["asyncio", "uvloop"])
Loop = Callable[[], asyncio.AbstractEventLoop]
PICTURE = Encoded(Modality.IMAGE, samples.image("jpeg"), "jpeg")


def run(loop: Loop, work: Callable[[], Awaitable[None]]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(60):
            await work()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(bounded())


async def embed(engine: Engine, text: str) -> Embedding:
    return await engine.embed(Text(text), Purpose.GENERIC_INDEX, 256)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (it is another process that is waited for)
            await asyncio.sleep(0.01)


def echo() -> Callable[[Any], Any]:
    """The handler of a process that answers what it is sent, and ends itself when told so."""

    def handle(message: Any) -> Any:
        if message == "die":
            os.kill(os.getpid(), signal.SIGKILL)
        return message

    return handle


@LOOPS
def test_an_idle_model_that_dies_is_replaced_before_anybody_asks(loop: Loop) -> None:
    async def work() -> None:
        async with Engine("fake") as engine:
            await engine.ready()
            for _ in range(3):
                pid = engine.worker_pid
                assert pid is not None
                os.kill(pid, signal.SIGKILL)
                await until(lambda: engine.state is not State.READY)
                assert (await embed(engine, "it waits for the new process")).vector.shape == (256,)
                assert engine.worker_pid != pid
                assert not psutil.pid_exists(pid)  # no zombie stays

    run(loop, work)


@LOOPS
def test_a_busy_model_that_is_killed_costs_nobody_an_answer(loop: Loop) -> None:
    async def work() -> None:
        async with Engine("fake") as engine:
            await engine.ready()
            alone = await embed(engine, "文字 3")
            waiting = [asyncio.create_task(embed(engine, "fake: slow"))]
            waiting += [asyncio.create_task(embed(engine, f"文字 {index}")) for index in range(9)]
            await asyncio.sleep(0.1)
            assert engine.worker_pid is not None
            os.kill(engine.worker_pid, signal.SIGKILL)
            found = await asyncio.gather(*waiting)
            assert (found[4].vector == alone.vector).all()

    run(loop, work)


@LOOPS
def test_a_content_that_kills_twice_is_refused_and_nobody_beside_it(loop: Loop) -> None:
    async def work() -> None:
        async with Engine("fake") as engine:
            await engine.ready()
            blocker = asyncio.create_task(embed(engine, "fake: slow"))
            await asyncio.sleep(0.05)
            texts = ["a", "fake: crash", "b", "c"]  # one batch
            found = await asyncio.gather(*(embed(engine, text) for text in texts), return_exceptions=True)
            assert isinstance(found[1], ModelFailed)
            assert all(isinstance(one, Embedding) for index, one in enumerate(found) if index != 1)
            await blocker

    run(loop, work)


def test_a_fault_of_the_supervisor_does_not_end_it(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work() -> None:
        async with Engine("fake") as engine:
            await engine.ready()
            honest, faults = BatchQueue.take, [ValueError("a fault of ours")]

            def faulty(queue: BatchQueue) -> Any:
                if faults:
                    raise faults.pop()
                return honest(queue)

            monkeypatch.setattr(BatchQueue, "take", faulty)
            assert (await embed(engine, "answered all the same")).vector.shape == (256,)

    run(asyncio.new_event_loop, work)


@LOOPS
def test_an_idle_decoder_that_dies_is_replaced(loop: Loop) -> None:
    async def work() -> None:
        decoders = DecodePool(1, 16_000, 1.0)
        try:
            for _ in range(3):
                assert isinstance(await decoders.decode(PICTURE), Image)
                [child] = decoders._children._idle
                os.kill(child.pid, signal.SIGKILL)
                await asyncio.sleep(0)  # the decoder is dead, and nobody has noticed yet
            assert isinstance(await decoders.decode(PICTURE), Image)
        finally:
            decoders.close()

    run(loop, work)


@LOOPS
def test_a_dead_child_says_so_and_is_never_kept(loop: Loop) -> None:
    async def work() -> None:
        child = Child("tests.engine.test_deaths:echo")
        assert await child.call("文字", 10) == "文字"
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        for _ in range(2):
            with pytest.raises(ChildDied, match="SIGKILL"):
                await child.call("again", 10)
        child.close()
        children = Children("tests.engine.test_deaths:echo", memory=0)
        assert await children.ask(1, 10) == 1
        with pytest.raises(ChildDied):
            await children.ask("die", 10)
        assert await children.ask(2, 10) == 2
        child = children.take()
        os.kill(child.pid, signal.SIGKILL)
        await child.wait()
        children.keep(child)
        assert not children._idle
        children.close()

    run(loop, work)


def test_what_cannot_be_sent_harms_no_child() -> None:
    async def work() -> None:
        children = Children("tests.engine.test_deaths:echo", memory=0)
        try:
            assert await children.ask("before", 10) == "before"
            with pytest.raises(AttributeError, match="pickle"):
                await children.ask(lambda: None, 10)
            assert await children.ask("after", 10) == "after"
        finally:
            children.close()

    run(asyncio.new_event_loop, work)
