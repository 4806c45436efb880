"""Embeds files side by side and writes a part whenever enough has come together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from kilonova.bulk.parts import BulkSettings, Row, write
from kilonova.engine.engine import Engine
from kilonova.errors import Gone, InternalError, InvalidInput, KilonovaError, Unavailable, Unreadable
from kilonova.media.words import printable
from kilonova.segments.embed import EmbeddedSegment, embed
from kilonova.segments.files import File, Kind
from kilonova.segments.read import Readers
from kilonova.segments.segment import Plan
from kilonova.storage.s3 import connect

__all__ = ["BulkEmbedder", "Outcome"]

_FILES, _SEGMENTS = 32, 64  # under way at once
_TYPES = {Kind.TEXT: "TEXT", Kind.IMAGE: "IMAGE", Kind.AUDIO: "AUDIO", Kind.VIDEO: "AUDIO_VIDEO_COMBINED"}
_PART_ROWS, _PART_SECONDS = 4_096, 60.0  # what a kill costs at most


@dataclass(frozen=True)
class Outcome:
    """What became of a file.

    Attributes:
        file: which one.
        segments: rows with a vector.
        error: of the file or of its first failed segment, "" when there is none.
        kept: whether its rows are written; a file that S3 would not give is tried again next time.
    """

    file: File
    segments: int
    error: str = ""
    kept: bool = True


class BulkEmbedder:
    """Use as an async context manager: the model is loaded once for all files."""

    def __init__(self, settings: BulkSettings) -> None:
        self._settings = settings
        self._engine = Engine(settings.model)
        self._readers = Readers(self._engine.card)
        self._places = asyncio.Semaphore(_SEGMENTS)
        self._client = connect()
        self._rows: list[Row] = []
        self._written = time.monotonic()
        self._writing = asyncio.Lock()

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        await self._engine.ready()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._readers.close()
        await self._engine.__aexit__(kind, error, trace)

    async def run(self, found: AsyncIterator[File], on_outcome: Callable[[Outcome], None]) -> None:
        """Embed files. What is finished is written when this ends, also when it is cancelled.

        Raises:
            KilonovaError: the output cannot be written.
        """
        places = asyncio.Semaphore(_FILES)

        async def one(file: File) -> None:
            try:
                outcome, rows = await self._embed(file)
                async with self._writing:  # a file's rows stay together: all of them are there or none
                    self._rows += rows
                    await self._write(_PART_ROWS)
                on_outcome(outcome)
            finally:
                places.release()

        try:
            async with asyncio.TaskGroup() as group:
                async for file in found:
                    await places.acquire()
                    group.create_task(one(file))
        except* KilonovaError as errors:
            raise errors.exceptions[0] from None
        finally:
            await self._write(1)

    async def _write(self, enough: int) -> None:
        late = time.monotonic() - self._written > _PART_SECONDS
        if len(self._rows) < (1 if late else enough):
            return
        rows, self._rows = self._rows, []
        await asyncio.to_thread(write, self._client, self._settings, rows)
        self._written = time.monotonic()

    async def _embed(self, file: File) -> tuple[Outcome, list[Row]]:
        try:
            rows = [row async for row in self._rows_of(file)]
        except Gone:  # deleted since it was listed
            return Outcome(file, 0, kept=False), []
        except (Unavailable, Unreadable, InternalError) as error:
            return Outcome(file, 0, str(error), kept=False), []
        except KilonovaError as error:
            said = printable(str(error))
            return Outcome(file, 0, said), [Row(file, error=said)]
        except (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError):
            raise
        # a parser's crash, a panic of a library in Rust (no Exception), a fault of ours: the others go on
        except BaseException as error:
            said = printable(f"It breaks what reads it ({type(error).__name__}: {error}).")
            return Outcome(file, 0, said, kept=False), []
        failed = next((row.error for row in rows if row.error), "")
        return Outcome(file, sum(row.vector is not None for row in rows), failed), rows

    async def _rows_of(self, file: File) -> AsyncGenerator[Row]:
        self._engine.require(file.kind.modality)
        settings = self._settings
        plan = Plan(seconds=settings.seconds, characters=settings.characters, verbatim=True)
        segments = self._readers.read(file, plan)
        stream = embed(self._engine, segments, settings.purpose, settings.dimension, self._places)
        async with contextlib.aclosing(stream):
            async for embedded in stream:
                yield _row(file, embedded)


def _row(file: File, embedded: EmbeddedSegment) -> Row:
    segment = embedded.segment
    vector, error = None, segment.fault
    for result in embedded.results:  # one, for a video's frames and audio are embedded together
        if not isinstance(result, KilonovaError):
            vector = result.vector
        elif isinstance(result, InvalidInput) and file.kind is Kind.IMAGE:
            raise result  # the file is one segment: it is the file that is refused
        else:
            error = str(result)
    return Row(
        file, _TYPES[file.kind], segment.index, segment.start or 0.0, segment.end or 0.0, vector, printable(error)
    )
