"""Embeds files side by side and writes a part whenever enough has come together."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import orjson
from pydantic import ValidationError

from kilonova.bulk.files import Listed
from kilonova.bulk.parts import Row, Settings, write
from kilonova.engine.engine import Engine
from kilonova.errors import Gone, InternalError, KilonovaError, Unavailable, Unreadable
from kilonova.jobs.pipeline import Line, Pipeline
from kilonova.jobs.sources import check_size, reading_processes
from kilonova.media import limits
from kilonova.media.content import Modality
from kilonova.media.sniff import format_of_name
from kilonova.media.words import printable
from kilonova.storage.s3 import connect
from kilonova.wire.async_invoke import SegmentedEmbeddingParams
from kilonova.wire.nova import malformed

__all__ = ["Embedder", "Outcome"]

_AT_ONCE = 32  # files under way
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

    file: Listed
    segments: int
    error: str = ""
    kept: bool = True


class Embedder:
    """Use as an async context manager: the model is loaded once for all files."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._engine = Engine(settings.model)
        self._readers = reading_processes(self._engine.card)
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

    async def run(self, found: AsyncIterator[Listed], told: Callable[[Outcome], None]) -> None:
        """Embed files. What is finished is written when this ends, also when it is cancelled.

        Raises:
            KilonovaError: the output cannot be written.
        """
        places = asyncio.Semaphore(_AT_ONCE)

        async def one(file: Listed) -> None:
            try:
                outcome, rows = await self._embed(file)
                async with self._writing:  # a file's rows stay together: all of them are there or none
                    self._rows += rows
                    await self._write(_PART_ROWS)
                told(outcome)
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

    async def _embed(self, file: Listed) -> tuple[Outcome, list[Row]]:
        try:
            lines = await self._lines(file)
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
        rows = [_row(file, line) for line in lines]
        failed = next((row.error for row in rows if row.error), "")
        return Outcome(file, sum(row.vector is not None for row in rows), failed), rows

    async def _lines(self, file: Listed) -> list[Line]:
        self._engine.require(file.modality)
        check_size(file.uri, file.info, file.modality)
        pipeline = Pipeline(self._engine, self._readers, self._params(file), file.info, 0, self._client)
        async with contextlib.aclosing(pipeline):
            return [line for segment in await pipeline.take(limits.TEXT_SEGMENTS + 1) for line in segment]

    def _params(self, file: Listed) -> SegmentedEmbeddingParams:
        settings = self._settings
        media: dict[str, Any] = {"source": {"s3Location": {"uri": file.uri}}}
        if file.modality is not Modality.TEXT:
            media["format"] = format_of_name(file.uri)
        if file.modality is Modality.TEXT:
            media["segmentationConfig"] = {"maxLengthChars": settings.characters}
        elif file.modality is not Modality.IMAGE:
            media["segmentationConfig"] = {"durationSeconds": settings.seconds}
        asked = {"embeddingPurpose": settings.purpose, "embeddingDimension": settings.dimension}
        asked[str(file.modality)] = media
        try:
            return SegmentedEmbeddingParams.model_validate_json(orjson.dumps(asked))
        except ValidationError as error:  # a key that Nova's contract has no room for
            raise malformed(error) from None


def _row(file: Listed, line: Line) -> Row:
    found = line.metadata
    unit = "CharPosition" if file.modality is Modality.TEXT else "Seconds"
    start, end = float(found.get(f"segmentStart{unit}", 0.0)), float(found.get(f"segmentEnd{unit}", 0.0))
    return Row(file, line.kind, found["segmentIndex"], start, end, line.vector, printable(line.message))
