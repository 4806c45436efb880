"""Decoding processes: off the event loop, bounded in memory and time, one file at a time each."""

from __future__ import annotations

import asyncio
import logging
import pickle

from kilonova._process.parent import ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Audio, Encoded, Image, Video

__all__ = ["DecodePool"]

_log = logging.getLogger("kilonova.media")
_HANDLER = "kilonova.media.decoder:handler"


class DecodePool:
    """A fixed number of decoding processes, started when first needed and replaced when they die.

    Args:
        size: number of processes.
        sample_rate: Hz that audio is resampled to.
        frame_rate: frames a second taken from videos.
        seconds: time one file may take.
    """

    def __init__(self, size: int, sample_rate: int, frame_rate: float, seconds: float = limits.DECODE_SECONDS) -> None:
        self._free = asyncio.Semaphore(size)
        self._children = Children(_HANDLER, str(sample_rate), str(frame_rate), memory=limits.DECODE_MEMORY)
        self._seconds = seconds

    async def decode(self, item: Encoded) -> Image | Audio | Video | None:
        """Decode one file in a process of its own for that time.

        Raises:
            InvalidInput: it cannot be decoded, or its decoder crashed twice, hung or ran out of memory.
        """
        async with self._free:
            try:
                content: Image | Audio | Video | None = await self._children.ask(_OutOfBand(item), self._seconds)
            except ChildTimeout:
                raise InvalidInput(f"The {item.modality} took more than {self._seconds:g} s to decode.") from None
            except ChildDied as death:
                raise InvalidInput(f"The {item.modality} cannot be decoded: the decoder {death}.") from None
            except MemoryError:
                raise InvalidInput(f"The {item.modality} needs more memory to decode than one may use.") from None
            except HandlerFailed as fault:
                _log.error("decoder failed", extra={"modality": str(item.modality), "reason": str(fault)})
                raise InvalidInput(f"The {item.modality} breaks its decoder ({fault.kind}).") from None
            return content

    def close(self) -> None:
        """End all processes."""
        self._children.close()


class _OutOfBand:
    """Pickles as an ``Encoded`` whose bytes travel beside the pickle instead of being copied into it."""

    def __init__(self, item: Encoded) -> None:
        self._item = item

    def __reduce__(self) -> tuple[object, tuple[object, ...]]:
        item = self._item
        return Encoded, (item.modality, pickle.PickleBuffer(item.data), item.format, item.detail, item.part)
