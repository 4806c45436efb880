"""The engine with the fake model: batching, errors, supervision, cache."""

import asyncio
import os
import signal
import time
from collections.abc import Awaitable, Callable
from dataclasses import replace

import numpy as np
import pytest

from kilonova.engine import metrics
from kilonova.engine.engine import Embedding, Engine
from kilonova.engine.gpus import assign_gpus
from kilonova.engine.supervisor import State
from kilonova.errors import (
    Busy,
    InvalidInput,
    KilonovaError,
    ModelFailed,
    ModelTimeout,
    NoAudioTrack,
    NotReady,
    Unavailable,
)
from kilonova.media.content import Encoded, Modality, Text, VideoPart
from kilonova.models.card import Purpose
from kilonova.models.cards import FAKE
from tests import samples

INDEX = Purpose.GENERIC_INDEX


def with_engine(work: Callable[[Engine], Awaitable[None]], **options: object) -> None:
    async def run() -> None:
        async with Engine("fake", **options) as engine:  # type: ignore[arg-type]
            await engine.ready()
            async with asyncio.timeout(60):
                await work(engine)

    asyncio.run(run())


async def embed(engine: Engine, text: str) -> Embedding:
    return await engine.embed(Text(text), INDEX, 256)


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(20):
        while not condition():  # noqa: ASYNC110  (it is another process that is waited for)
            await asyncio.sleep(0.02)


def batches() -> tuple[float, float]:
    """Number of text batches so far, and of texts in them."""
    label = {"model": "fake", "modality": "text"}
    count = metrics.REGISTRY.get_sample_value("kilonova_batch_size_count", label) or 0.0
    return count, metrics.REGISTRY.get_sample_value("kilonova_batch_size_sum", label) or 0.0


def test_concurrent_requests_share_batches_and_keep_their_answers() -> None:
    async def work(engine: Engine) -> None:
        texts = [f"文字 number {index}" for index in range(120)]
        alone = [await embed(engine, text) for text in texts[:5]]
        count, total = batches()
        together = await asyncio.gather(*(embed(engine, text) for text in texts))
        after, texts_after = batches()
        assert texts_after - total == 120
        assert after - count <= 8
        for one, other in zip(alone, together, strict=False):
            assert np.array_equal(one.vector, other.vector)

    with_engine(work)


def test_what_the_card_does_not_list_is_refused_before_it_is_decoded() -> None:
    async def work(engine: Engine) -> None:
        engine.card = replace(engine.card, modalities=frozenset({Modality.TEXT}))
        with pytest.raises(InvalidInput, match="embeds text; it cannot embed image"):
            await engine.embed(Encoded(Modality.IMAGE, b"no image"), INDEX, 256)

    with_engine(work)


def test_a_refused_content_does_not_touch_its_batch() -> None:
    async def work(engine: Engine) -> None:
        from kilonova.media.content import Truncation

        long = Text("词" * 9000, Truncation.NONE)
        blocker = asyncio.create_task(embed(engine, "fake: slow"))
        await asyncio.sleep(0.05)
        results = await asyncio.gather(
            engine.embed(long, INDEX, 256), embed(engine, "a"), embed(engine, "b"), return_exceptions=True
        )
        assert isinstance(results[0], InvalidInput)
        assert "9000 tokens" in str(results[0])
        assert all(isinstance(one, Embedding) for one in results[1:])
        await blocker

    with_engine(work)


def test_a_failed_batch_answers_everyone_in_it() -> None:
    async def work(engine: Engine) -> None:
        blocker = asyncio.create_task(embed(engine, "fake: slow"))
        await asyncio.sleep(0.05)
        results = await asyncio.gather(
            embed(engine, "fake: raise"), embed(engine, "a"), embed(engine, "b"), return_exceptions=True
        )
        assert [type(one) for one in results] == [ModelFailed] * 3
        assert "RuntimeError" in str(results[1])
        assert "fake: raise" not in str(results[1])  # what one caller sent must not reach another
        await blocker
        pid = engine.worker_pid
        await embed(engine, "after")
        assert engine.worker_pid == pid  # an exception is no reason to start the process again

    with_engine(work)


@pytest.mark.parametrize(("order", "error"), [("fake: crash", ModelFailed), ("fake: hang", ModelTimeout)])
def test_a_dead_or_hanging_worker_is_replaced(order: str, error: type[KilonovaError]) -> None:
    async def work(engine: Engine) -> None:
        pid = engine.worker_pid
        with pytest.raises(error):
            await embed(engine, order)
        assert engine.state in (State.RESTARTING, State.READY)
        assert (await embed(engine, "after")).vector.shape == (256,)
        assert engine.worker_pid != pid
        assert engine.state is State.READY

    with_engine(work, batch_seconds=1.0)


def test_a_worker_killed_while_idle_is_replaced() -> None:
    async def work(engine: Engine) -> None:
        assert engine.worker_pid is not None
        os.kill(engine.worker_pid, signal.SIGKILL)
        assert (await embed(engine, "the one that finds out")).vector.shape == (256,)
        await embed(engine, "after")

    with_engine(work)


def test_full_is_throttled_at_once() -> None:
    async def work(engine: Engine) -> None:
        blocker = asyncio.create_task(embed(engine, "fake: slow"))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(embed(engine, f"{index}")) for index in range(4)]
        await asyncio.sleep(0.01)
        begin = time.perf_counter()
        with pytest.raises(Busy):
            await embed(engine, "one too many")
        assert time.perf_counter() - begin < 0.05
        await asyncio.gather(blocker, *waiting)

    with_engine(work, queue=4)


def test_who_leaves_is_not_embedded() -> None:
    async def work(engine: Engine) -> None:
        blocker = asyncio.create_task(embed(engine, "fake: slow"))
        await asyncio.sleep(0.05)
        waiting = [asyncio.create_task(embed(engine, f"{index}")) for index in range(10)]
        await asyncio.sleep(0.01)
        for task in waiting[:7]:
            task.cancel()
        _, before = batches()
        await asyncio.gather(blocker, *waiting, return_exceptions=True)
        assert batches()[1] - before == 3

    with_engine(work)


def test_many_texts_do_not_fill_the_queue() -> None:
    async def work(engine: Engine) -> None:
        texts = [Text(f"{index}") for index in range(50)]
        found = await engine.embed_all(texts, INDEX, 256)
        for index in (0, 49):
            assert np.array_equal(found[index].vector, (await embed(engine, f"{index}")).vector)
        with pytest.raises(ModelFailed):
            await engine.embed_all([*texts, Text("fake: raise")], INDEX, 256)

    with_engine(work, queue=8)


def test_the_cache_serves_every_dimension_and_nothing_else() -> None:
    async def work(engine: Engine) -> None:
        picture = samples.image("jpeg")
        film = samples.video("mp4")
        await embed(engine, "日落海滩")
        _, before = batches()
        cached = await embed(engine, "日落海滩")
        wide = await engine.embed(Text("日落海滩"), INDEX, 3072)
        assert batches()[1] == before
        assert np.allclose(wide.vector[:256] / np.linalg.norm(wide.vector[:256]), cached.vector, atol=1e-6)
        await engine.embed(Text("日落海滩"), Purpose.CLUSTERING, 256)
        await embed(engine, "日落海灘")
        assert batches()[1] == before + 2
        standard = await engine.embed(Encoded(Modality.IMAGE, picture), INDEX, 256)
        again = await engine.embed(Encoded(Modality.IMAGE, picture, "png"), INDEX, 256)
        assert np.array_equal(standard.vector, again.vector)
        both = await engine.embed(Encoded(Modality.VIDEO, film), INDEX, 256)
        frames = await engine.embed(Encoded(Modality.VIDEO, film, part=VideoPart.FRAMES), INDEX, 256)
        assert not np.array_equal(both.vector, frames.vector)

    with_engine(work, cache_bytes=1 << 20)


def test_the_sound_of_a_silent_video_is_refused_and_its_frames_are_not() -> None:
    async def work(engine: Engine) -> None:
        data = samples.video("mp4", with_audio=False)
        with pytest.raises(NoAudioTrack, match="no audio track"):
            await engine.embed(Encoded(Modality.VIDEO, data, part=VideoPart.AUDIO), INDEX, 256)
        for part in (VideoPart.FRAMES, VideoPart.BOTH, VideoPart.ANY):
            assert (await engine.embed(Encoded(Modality.VIDEO, data, part=part), INDEX, 256)).vector.shape == (256,)

    with_engine(work)


def test_the_cache_is_bounded() -> None:
    async def work(engine: Engine) -> None:
        for index in range(20):
            await embed(engine, f"{index}")
        _, before = batches()
        await embed(engine, "19")
        assert batches()[1] == before
        await embed(engine, "0")
        assert batches()[1] == before + 1

    with_engine(work, cache_bytes=3072 * 4 * 10)


def test_without_the_flag_nothing_is_cached() -> None:
    async def work(engine: Engine) -> None:
        _, before = batches()
        for _ in range(3):
            await embed(engine, "again")
        assert batches()[1] == before + 3

    with_engine(work)


def test_before_ready_and_after_stop() -> None:
    async def run() -> None:
        engine = Engine("fake")
        async with engine:
            with pytest.raises(NotReady):
                await embed(engine, "too early")
            await engine.ready()
            await embed(engine, "fine")
            waiting = asyncio.create_task(embed(engine, "fake: hang"))
            await asyncio.sleep(0.05)
            queued = asyncio.create_task(embed(engine, "queued"))
            await asyncio.sleep(0.01)
        for task in (waiting, queued):
            with pytest.raises(Unavailable):
                await task
        with pytest.raises(Unavailable):
            await embed(engine, "too late")

    asyncio.run(run())


def test_a_model_that_cannot_be_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setenv("PYTHONPATH", "/nowhere")
        monkeypatch.setattr("kilonova._process.parent.sys.executable", "/bin/false")
        async with Engine("fake") as engine:
            with pytest.raises(Unavailable, match="cannot be started"):
                await engine.ready()
            with pytest.raises(Unavailable, match="cannot be started"):
                await embed(engine, "x")

    asyncio.run(run())


def test_an_idle_model_is_unloaded_and_comes_back() -> None:
    async def work(engine: Engine) -> None:
        first = await embed(engine, "文字")
        process = engine.worker_pid
        await until(lambda: engine.state is State.IDLE)
        assert engine.worker_pid is None
        again = await asyncio.gather(*(embed(engine, "文字") for _ in range(5)))  # nobody is refused meanwhile
        assert all(np.array_equal(first.vector, one.vector) for one in again)
        assert engine.state is State.READY
        assert engine.worker_pid not in (None, process)

    with_engine(work, idle_seconds=0.5)


def test_an_unloaded_model_that_cannot_come_back(monkeypatch: pytest.MonkeyPatch) -> None:
    async def work(engine: Engine) -> None:
        await until(lambda: engine.state is State.IDLE)
        monkeypatch.setattr("kilonova._process.parent.sys.executable", "/bin/false")
        with pytest.raises(Unavailable, match="cannot be started"):
            await embed(engine, "x")

    with_engine(work, idle_seconds=0.2)


def test_several_processes_share_a_queue() -> None:
    async def work(engine: Engine) -> None:
        await until(lambda: all(one.state is State.READY for one in engine._supervisors))
        hanging = asyncio.create_task(embed(engine, "fake: hang"))  # holds one process
        await asyncio.sleep(0.1)
        for number in range(5):
            await embed(engine, f"文字 {number}")
        assert not hanging.done()
        with pytest.raises(ModelTimeout):
            await hanging
        assert engine.state is State.READY  # the other one

    with_engine(work, workers=2, batch_seconds=3.0)


def test_gpus_are_taken_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    on_gpus = replace(FAKE, gpu=True)
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "2,GPU-abc")
    assert assign_gpus(on_gpus) == ["2", "GPU-abc"]
    assert assign_gpus(FAKE) == [""]
    for none_or_one in ("", "-1", "3"):
        monkeypatch.setenv("CUDA_VISIBLE_DEVICES", none_or_one)
        assert assign_gpus(on_gpus) == [""]


def test_a_batch_that_memory_does_not_hold_is_halved() -> None:
    async def work(engine: Engine) -> None:
        blocker = asyncio.create_task(embed(engine, "fake: slow"))
        await asyncio.sleep(0.05)
        before = batches()
        texts = [f"fake: large {number} 文字" for number in range(7)]
        found = await asyncio.gather(*(embed(engine, text) for text in texts))
        await blocker
        assert batches()[0] - before[0] == 1
        alone = [await embed(engine, text) for text in texts]
        assert all(np.array_equal(one.vector, other.vector) for one, other in zip(found, alone, strict=True))

    with_engine(work)
