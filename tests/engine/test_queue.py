import asyncio

import numpy as np
import pytest

from kilonova.engine.queue import BatchQueue, QueuedInput
from kilonova.errors import Busy
from kilonova.media.content import Audio, Content, Image, Text
from kilonova.models.card import Purpose


def job(content: Content) -> QueuedInput:
    return QueuedInput(content, Purpose.GENERIC_INDEX, asyncio.get_running_loop().create_future())


def image(side: int) -> Image:
    return Image(np.zeros((side, side, 3), np.uint8))


def test_a_batch_holds_one_modality_and_the_oldest_goes_first() -> None:
    async def run() -> None:
        queue = BatchQueue(100)
        for content in (image(8), Text("a"), image(8), Audio(np.zeros(10, np.float32), 10), Text("b")):
            queue.put(job(content))
        batches = [[one.content.modality for one in await queue.batch()] for _ in range(3)]
        assert batches == [["image", "image"], ["text", "text"], ["audio"]]
        assert len(queue) == 0

    asyncio.run(run())


def test_like_sizes_go_together_and_nothing_starves() -> None:
    async def run() -> None:
        queue = BatchQueue(200)
        long, short = "long " * 500, "short"
        for index in range(80):
            queue.put(job(Text(long if index == 0 else short if index % 2 else long)))
        sizes = [one.size for one in await queue.batch()]
        assert set(sizes) == {2500}  # the oldest is a long one, and its batch is of its kind
        assert sum(sizes) <= 32_768
        sizes = [one.size for one in await queue.batch()]
        assert set(sizes) == {5}
        assert len(sizes) == 32

    asyncio.run(run())


def test_something_huge_is_a_batch_alone() -> None:
    async def run() -> None:
        queue = BatchQueue(10)
        queue.put(job(image(5000)))
        queue.put(job(image(8)))
        assert [one.size for one in await queue.batch()] == [25_000_000]

    asyncio.run(run())


def test_full_means_throttled_at_once() -> None:
    async def run() -> None:
        queue = BatchQueue(2)
        queue.put(job(Text("a")))
        queue.put(job(image(8)))
        with pytest.raises(Busy, match="2 inputs wait"):
            queue.put(job(Text("b")))

    asyncio.run(run())


def test_memory_is_bounded_too(monkeypatch: pytest.MonkeyPatch) -> None:
    async def run() -> None:
        monkeypatch.setattr("kilonova.engine.queue.MAX_MEMORY", 1_000_000)
        queue = BatchQueue(100)
        queue.put(job(image(1000)))  # 3 MB: one alone is always let in
        with pytest.raises(Busy, match="MiB wait"):
            queue.put(job(image(8)))
        await queue.batch()
        for _ in range(3):
            queue.put(job(image(300)))
        with pytest.raises(Busy):
            queue.put(job(image(300)))

    asyncio.run(run())


def test_who_leaves_is_taken_out() -> None:
    async def run() -> None:
        queue = BatchQueue(10)
        jobs = [job(Text(str(index))) for index in range(3)]
        for one in jobs:
            queue.put(one)
        queue.remove(jobs[1])
        queue.remove(jobs[1])
        assert queue.depth(jobs[0].content.modality) == 2
        assert await queue.batch() == [jobs[0], jobs[2]]

    asyncio.run(run())


def test_batch_waits_for_work() -> None:
    async def run() -> None:
        queue = BatchQueue(10)
        waiting = asyncio.create_task(queue.batch())
        await asyncio.sleep(0.01)
        assert not waiting.done()
        queue.put(job(Text("a")))
        async with asyncio.timeout(1):
            assert len(await waiting) == 1

    asyncio.run(run())
