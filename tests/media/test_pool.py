"""Decoding processes: what goes wrong in one is that file's error and nobody else's."""

import asyncio
import os
import signal
import time
from collections.abc import Callable

import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import decoder, pool
from kilonova.media.content import Audio, Encoded, Image, Modality
from kilonova.media.pool import DecodePool
from tests import samples

PICTURE = Encoded(Modality.IMAGE, samples.image("jpeg"), "jpeg")


def misbehaving(sample_rate: str, frame_rate: str) -> Callable[[Encoded], object]:
    """The handler of a decoding process that obeys the bytes it gets."""
    honest = decoder.handler(sample_rate, frame_rate)

    def handle(item: Encoded) -> object:
        match bytes(item.data[:5]):
            case b"crash":
                os.kill(os.getpid(), signal.SIGSEGV)
            case b"hangs":
                time.sleep(60)
            case b"eats!":
                return np.ones(10 << 30, np.uint8)
        return honest(item)

    return handle


@pytest.fixture
def obedient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pool, "_HANDLER", "tests.media.test_pool:misbehaving")


def test_decodes_as_the_decoder_does() -> None:
    async def run() -> None:
        decoders = DecodePool(2, 16_000, 1.0)
        try:
            items = [PICTURE, Encoded(Modality.AUDIO, samples.audio("mp3"), "mp3")] * 4
            found = await asyncio.gather(*(decoders.decode(item) for item in items))
        finally:
            decoders.close()
        here = decoder.decode(PICTURE, 16_000, 1.0)
        assert isinstance(here, Image)
        for one in found[::2]:
            assert isinstance(one, Image)
            assert np.array_equal(one.pixels, here.pixels)
        for one in found[1::2]:
            assert isinstance(one, Audio)
            assert one.rate == 16_000

    asyncio.run(run())


@pytest.mark.usefixtures("obedient")
@pytest.mark.parametrize(
    ("order", "said"), [(b"crash", "SIGSEGV"), (b"hangs", "more than 4 s"), (b"eats!", "more memory")]
)
def test_one_bad_decode_is_its_own_error_only(order: bytes, said: str) -> None:
    async def run() -> None:
        decoders = DecodePool(2, 16_000, 1.0, seconds=4.0)
        try:
            await asyncio.gather(*(decoders.decode(PICTURE) for _ in range(2)))  # both processes are up
            bad = Encoded(Modality.IMAGE, order, "png")
            results = await asyncio.gather(
                decoders.decode(bad), *(decoders.decode(PICTURE) for _ in range(6)), return_exceptions=True
            )
            assert isinstance(results[0], InvalidInput)
            assert said in str(results[0])
            assert all(isinstance(one, Image) for one in results[1:])
            assert isinstance(await decoders.decode(PICTURE), Image)
        finally:
            decoders.close()

    asyncio.run(run())


@pytest.mark.usefixtures("obedient")
def test_a_caller_that_leaves_frees_its_process() -> None:
    async def run() -> None:
        decoders = DecodePool(1, 16_000, 1.0, seconds=30.0)
        try:
            await decoders.decode(PICTURE)
            leaving = asyncio.create_task(decoders.decode(Encoded(Modality.IMAGE, b"hangs", "png")))
            await asyncio.sleep(0.2)
            leaving.cancel()
            async with asyncio.timeout(10):
                assert isinstance(await decoders.decode(PICTURE), Image)
        finally:
            decoders.close()

    asyncio.run(run())
