"""From a file in S3 to parts that can be embedded, one segment after the other."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from kilonova._process.parent import Child, ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova.jobs.reader import Wanted
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Modality, Text, Video
from kilonova.media.segments import Piece
from kilonova.media.text import decoded, segments
from kilonova.models.card import ModelCard
from kilonova.storage.objects import ObjectFile, ObjectInfo
from kilonova.wire.async_invoke import SegmentedEmbeddingParams
from kilonova.wire.errors import KilonovaError, Validation
from kilonova.wire.nova import EmbeddingMode, EmbeddingType, S3Location

__all__ = ["Part", "ReaderPool", "explain", "location", "modality", "parts"]

_PIECE_SECONDS = 120.0  # a segment of 30 s of 8K film takes long to decode on few cores
_TEXT_CHUNK = 1 << 20


@dataclass(frozen=True, eq=False)
class Part:
    """What becomes one line of an output file.

    Attributes:
        kind: which file.
        metadata: ``segmentMetadata`` of the line.
        position: how far into the file it reaches, in seconds or bytes.
        length: of the whole file, as far as it is known.
        content: what to embed; None where ``fault`` says why not.
    """

    kind: EmbeddingType
    metadata: dict[str, Any]
    position: float
    length: float | None
    content: Content | Encoded | None
    fault: str = ""


class ReaderPool:
    """Reading processes, kept for the next file: one takes half a second to start."""

    def __init__(self, card: ModelCard) -> None:
        self._arguments = (str(card.sample_rate), str(card.frame_rate))
        self._idle: list[Child] = []
        self._busy: set[Child] = set()

    @asynccontextmanager
    async def reader(self) -> AsyncIterator[_Reader]:
        """A process for one file."""
        reader = _Reader(self)
        try:
            yield reader
        except BaseException:
            reader.discard()
            raise
        else:
            if reader.child is not None:
                self._busy.discard(reader.child)
                self._idle.append(reader.child)

    def take(self) -> Child:
        """A process, started if none is free."""
        child = self._idle.pop() if self._idle else Child(
            "kilonova.jobs.reader:handler", *self._arguments, memory=limits.DECODE_MEMORY
        )  # fmt: skip
        self._busy.add(child)
        return child

    def drop(self, child: Child) -> None:
        """End a process that cannot be used again."""
        self._busy.discard(child)
        child.close()

    def close(self) -> None:
        """End all processes."""
        for child in [*self._idle, *self._busy]:
            child.close()
        self._idle.clear()
        self._busy.clear()


@dataclass
class _Reader:
    pool: ReaderPool
    child: Child | None = field(default=None, init=False)

    def discard(self) -> None:
        if self.child is not None:
            self.pool.drop(self.child)
            self.child = None

    async def piece(self, wanted: Wanted) -> Piece | None:
        """A segment; where the decoder crashes, runs out of memory or hangs twice, what stands for it."""
        said = ""
        for _ in range(2):
            if self.child is None:
                self.child = self.pool.take()
            try:
                piece: Piece | None = await self.child.call(wanted, _PIECE_SECONDS)
            except ChildTimeout:
                said = f"took more than {_PIECE_SECONDS:g} s"
            except ChildDied as death:
                said = str(death)
            except MemoryError:
                said = "needs more memory than it may use"
            except HandlerFailed as fault:
                said = f"failed: {fault}"
            else:
                return piece
            self.discard()
        start = wanted.index * wanted.seconds
        return Piece(wanted.index, start, start + wanted.seconds, fault=f"The decoder {said}.")


def modality(params: SegmentedEmbeddingParams) -> Modality:
    """Which of its four kinds of input a request has."""
    return next(modality for modality in Modality if getattr(params, modality) is not None)


def location(params: SegmentedEmbeddingParams) -> S3Location:
    """Where the request's file lies."""
    place: S3Location = getattr(params, modality(params)).source.s3Location
    return place


async def parts(
    params: SegmentedEmbeddingParams, info: ObjectInfo, first: int, readers: ReaderPool, client: Any
) -> AsyncIterator[tuple[int, list[Part]]]:
    """The parts of each segment from number ``first`` on, with the segment's number.

    Raises:
        Validation: nothing of the file can be embedded, or it has too many segments.
        Unavailable: S3 keeps failing.
    """
    place = location(params)
    if params.text is not None:
        text = params.text
        iterator = _text(client, place, info, text.segmentationConfig.maxLengthChars)
        number = read = 0
        try:
            while (segment := await asyncio.to_thread(next, iterator, None)) is not None:
                if number >= limits.TEXT_SEGMENTS:
                    raise Validation(
                        f"{place.uri} has more than {limits.TEXT_SEGMENTS:,} segments of "
                        f"{text.segmentationConfig.maxLengthChars:,} characters.",
                        "Choose longer segments with maxLengthChars (at most 50,000), or cut the file.",
                    )
                start, end, value = segment
                read += len(value.encode())
                if number >= first:
                    metadata = {
                        "segmentIndex": number,
                        "segmentStartCharPosition": start,
                        "segmentEndCharPosition": end,
                    }
                    content = Text(value, text.truncationMode)
                    yield number, [Part(EmbeddingType.TEXT, metadata, read, info.size, content)]
                number += 1
        finally:
            await asyncio.to_thread(iterator.close)  # type: ignore[attr-defined]
    elif params.image is not None:
        image = params.image
        data = await asyncio.to_thread(_whole, client, place, info)
        content_ = Encoded(Modality.IMAGE, data, image.format, image.detailLevel)
        if first == 0:
            yield 0, [Part(EmbeddingType.IMAGE, {"segmentIndex": 0}, 1, 1, content_)]
    else:
        async for piece in _media(params, info, first, readers):
            yield piece.index, _split(piece, params)


def _text(client: Any, place: S3Location, info: ObjectInfo, longest: int) -> Iterator[tuple[int, int, str]]:
    with ObjectFile(client, place.uri, place.bucketOwner, info.etag) as file:
        chunks = iter(lambda: file.read(_TEXT_CHUNK), b"")
        for segment in segments(decoded(chunks, place.uri), longest):
            yield segment.start, segment.end, segment.value


def _whole(client: Any, place: S3Location, info: ObjectInfo) -> bytes:
    with ObjectFile(client, place.uri, place.bucketOwner, info.etag) as file:
        return file.read()


async def _media(
    params: SegmentedEmbeddingParams, info: ObjectInfo, first: int, readers: ReaderPool
) -> AsyncIterator[Piece]:
    place = location(params)
    media = params.audio or params.video
    assert media is not None
    seconds, index, faulty = float(media.segmentationConfig.durationSeconds), first, 0
    async with readers.reader() as reader:
        while True:
            piece = await reader.piece(
                Wanted(place.uri, place.bucketOwner, info.etag, modality(params), seconds, index)
            )
            if piece is None:
                return
            # a decoder that dies on one segment after the other would do so for ever: nothing says where the end is
            faulty = faulty + 1 if piece.film is None and piece.sound is None and reader.child is None else 0
            if faulty > 3:
                raise Validation(f"{place.uri} cannot be decoded from {piece.start:g} s on: {piece.fault}")
            yield piece
            index += 1


def _split(piece: Piece, params: SegmentedEmbeddingParams) -> list[Part]:
    """A segment of sound or film as the lines it becomes."""
    metadata = {
        "segmentIndex": piece.index,
        "segmentStartSeconds": round(piece.start, 6),
        "segmentEndSeconds": round(piece.end, 6),
    }
    if params.audio is not None:
        return [Part(EmbeddingType.AUDIO, metadata, piece.end, piece.length, piece.sound, piece.fault)]
    assert params.video is not None
    film = piece.film
    if params.video.embeddingMode is EmbeddingMode.COMBINED:
        both = Video(film.frames, film.times, piece.sound) if film is not None else None
        return [Part(EmbeddingType.AUDIO_VIDEO_COMBINED, metadata, piece.end, piece.length, both, piece.fault)]
    found = [Part(EmbeddingType.VIDEO, metadata, piece.end, piece.length, film, piece.fault)]
    if piece.sound is not None:
        found.append(Part(EmbeddingType.AUDIO, metadata, piece.end, piece.length, piece.sound))
    return found


def explain(error: KilonovaError) -> str:
    """Nova's ``failureReason`` for an error."""
    return {"ValidationException": "INVALID_CONTENT", "ThrottlingException": "RATE_LIMIT_EXCEEDED"}.get(
        error.name, "INTERNAL_SERVER_EXCEPTION"
    )
