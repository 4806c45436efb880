"""From segments to vectors: while some are in the model, the next ones are being read."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass

from kilonova.engine.engine import Embedding, Engine
from kilonova.engine.patience import embed_patiently
from kilonova.errors import InternalError, KilonovaError, Unavailable
from kilonova.media.content import Content, Encoded
from kilonova.models.card import Purpose
from kilonova.segments.segment import Segment

__all__ = ["EmbeddedSegment", "embed"]


@dataclass(frozen=True, eq=False)
class EmbeddedSegment:
    """A segment, and for each of its contents the vector or why there is none."""

    segment: Segment
    results: tuple[Embedding | KilonovaError, ...]


async def embed(
    engine: Engine,
    segments: AsyncGenerator[Segment],
    purpose: Purpose,
    dimension: int,
    places: asyncio.Semaphore,
) -> AsyncGenerator[EmbeddedSegment]:
    """Embed segments, in their order. Reading goes on between two calls, as far as there are places.

    Args:
        engine: what embeds; full queues and restarts of its model are waited for.
        segments: closed at the end, also when this generator is closed early.
        purpose, dimension: as of ``Engine.embed``.
        places: how many segments may be read or embedded before they are taken; several files may share them.

    Raises:
        KilonovaError: what reading raised, once the segments before it were taken; ``Unavailable``, where the model
            cannot be used at all.
    """
    ready: asyncio.Queue[tuple[Segment, list[asyncio.Task[Embedding | KilonovaError]]] | Exception | None]
    ready = asyncio.Queue()

    async def read() -> None:
        try:
            async with contextlib.aclosing(segments):
                async for segment in segments:
                    await places.acquire()
                    tasks = [asyncio.create_task(_result(engine, one, purpose, dimension)) for one in segment.contents]
                    ready.put_nowait((segment, tasks))
        except asyncio.CancelledError:
            raise
        except Exception as error:  # also a fault of ours: who takes would wait for ever
            ready.put_nowait(error)
        except BaseException as error:  # what panics of libraries in Rust are
            ready.put_nowait(InternalError(f"Reading failed ({type(error).__name__}: {error})."))
        else:
            ready.put_nowait(None)

    reader = asyncio.create_task(read())
    tasks: list[asyncio.Task[Embedding | KilonovaError]] = []
    try:
        while (found := await ready.get()) is not None:
            if isinstance(found, Exception):
                raise found
            segment, tasks = found
            try:
                results = await asyncio.gather(*tasks)
            finally:
                places.release()
            yield EmbeddedSegment(segment, tuple(results))
    finally:
        reader.cancel()
        await asyncio.gather(reader, return_exceptions=True)
        while not ready.empty():
            left = ready.get_nowait()
            if isinstance(left, tuple):
                tasks = [*tasks, *left[1]]
                places.release()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def _result(
    engine: Engine, content: Content | Encoded, purpose: Purpose, dimension: int
) -> Embedding | KilonovaError:
    try:
        return await embed_patiently(engine, content, purpose, dimension)
    except Unavailable:
        raise  # no segment will fare better
    except KilonovaError as error:
        return error
