"""Embedding runs ahead of what is written: while one segment is in the model, the next ones are being read."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass
from typing import Any

import numpy as np

from kilonova._process.pool import Children
from kilonova.engine.engine import Engine
from kilonova.engine.patience import embed_patiently
from kilonova.errors import InternalError, InvalidInput, KilonovaError, Unavailable
from kilonova.jobs.sources import Part, explain, parts
from kilonova.media.content import Modality
from kilonova.storage.objects import ObjectInfo
from kilonova.wire.async_invoke import SegmentedEmbeddingParams

__all__ = ["Line", "Pipeline"]

_AHEAD = 12  # segments read or embedded before they are asked for


@dataclass(frozen=True, eq=False)
class Line:
    """A line of an output file, not yet rendered.

    Attributes:
        kind: ``embeddingType``, which names the file.
        metadata: ``segmentMetadata``.
        position: how far into the file the segment reaches, ``length`` of the whole file.
        vector: float32 [dimension], None when it failed.
        reason: Nova's ``failureReason``, "" when there is a vector.
        message: what happened, in words.
    """

    kind: str
    metadata: dict[str, Any]
    position: float
    length: float | None
    vector: np.ndarray | None
    reason: str = ""
    message: str = ""


class Pipeline:
    """The lines of one file, from a segment on; lives in the engine's event loop.

    Args:
        engine: what embeds.
        readers: what decodes.
        params: what was asked for.
        info: the object's state.
        first: number of the first segment.
        client: boto3's, of S3.
    """

    def __init__(
        self,
        engine: Engine,
        readers: Children,
        params: SegmentedEmbeddingParams,
        info: ObjectInfo,
        first: int,
        client: Any,
    ) -> None:
        self._engine, self._params = engine, params
        self._parts = parts(params, info, first, readers, client)
        self._ready: asyncio.Queue[list[asyncio.Task[Line]] | Exception | None] = asyncio.Queue()
        self._places = asyncio.Semaphore(_AHEAD)
        self._reader = asyncio.create_task(self._read())

    async def take(self, count: int) -> list[list[Line]]:
        """The lines of the next segments, ``count`` of them; fewer at the end.

        Raises:
            KilonovaError: the file cannot be read any further.
        """
        found: list[list[Line]] = []
        while len(found) < count:
            tasks = await self._ready.get()
            if tasks is None:
                self._ready.put_nowait(None)  # so that asking again gives the same
                break
            if isinstance(tasks, Exception):
                raise tasks
            found.append([await task for task in tasks])
            self._places.release()
        return found

    async def aclose(self) -> None:
        """Stop reading and embedding."""
        self._reader.cancel()
        await asyncio.gather(self._reader, return_exceptions=True)
        while not self._ready.empty():
            tasks = self._ready.get_nowait()
            if isinstance(tasks, list):
                for task in tasks:
                    task.cancel()
                await asyncio.gather(*tasks, return_exceptions=True)

    async def _read(self) -> None:
        try:
            async with contextlib.aclosing(self._parts) as segments:
                async for segment in segments:
                    self._ready.put_nowait([asyncio.create_task(self._line(part)) for part in segment])
                    await self._places.acquire()
        except asyncio.CancelledError:
            raise
        except Exception as error:  # also a fault of ours: who takes would wait for ever
            self._ready.put_nowait(error)
        except BaseException as error:  # what panics of libraries in Rust are
            self._ready.put_nowait(InternalError(f"Reading failed ({type(error).__name__}: {error})."))
        else:
            self._ready.put_nowait(None)

    async def _line(self, part: Part) -> Line:
        if part.content is None:
            return self._failed(part, "INVALID_CONTENT", part.fault)
        try:
            params = self._params
            found = await embed_patiently(
                self._engine, part.content, params.embeddingPurpose, params.embeddingDimension
            )
        except KilonovaError as error:
            if isinstance(error, Unavailable):
                raise  # no segment will fare better
            if isinstance(error, InvalidInput) and self._params.modality is Modality.IMAGE:
                raise  # the file is one segment: it is the file that is refused
            return self._failed(part, explain(error), str(error))
        metadata = part.metadata
        if found.kept_characters is not None:
            metadata = {**metadata, "truncatedCharLength": found.kept_characters}
        return Line(str(part.kind), metadata, part.position, part.length, found.vector)

    @staticmethod
    def _failed(part: Part, reason: str, message: str) -> Line:
        return Line(str(part.kind), part.metadata, part.position, part.length, None, reason, message)
