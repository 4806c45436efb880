"""From a file in S3 to parts that can be embedded, one segment after the other."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, replace
from types import TracebackType
from typing import Any, Self

from kilonova._process.parent import Child, ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.errors import Busy, InvalidInput, KilonovaError
from kilonova.jobs.reader import Wanted
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Modality, Text, Video
from kilonova.media.segments import Piece
from kilonova.media.text import Segment, decoded, segments
from kilonova.models.card import ModelCard
from kilonova.storage.objects import ObjectFile, ObjectInfo
from kilonova.wire.async_invoke import SegmentedEmbeddingParams
from kilonova.wire.nova import EmbeddingMode, EmbeddingType

__all__ = ["Part", "check_size", "explain", "parts", "pieces", "reading_processes"]

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


def reading_processes(card: ModelCard) -> Children:
    """Processes that read segments as a model wants them (``jobs.reader``)."""
    return Children(
        "kilonova.jobs.reader:handler", str(card.sample_rate), str(card.frame_rate), memory=limits.DECODE_MEMORY
    )


class _Reader:
    """A process for one file, replaced when it dies. Use as a context manager."""

    def __init__(self, children: Children) -> None:
        self._children = children
        self.child: Child | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.child is None:
            return
        if error is None:
            self._children.keep(self.child)
        else:  # half an exchange may be under way
            self._children.drop(self.child)

    async def piece(self, wanted: Wanted) -> Piece | None:
        """A segment; where the decoder crashes, runs out of memory or hangs twice, what stands for it."""
        said = ""
        for _ in range(2):
            if self.child is None:
                self.child = self._children.take()
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
            self._children.drop(self.child)
            self.child = None
        start = wanted.index * wanted.seconds
        return Piece(wanted.index, start, start + wanted.seconds, fault=f"The decoder {said}.")


def check_size(uri: str, info: ObjectInfo, modality: Modality) -> None:
    """Refuse a file that is empty or larger than is taken.

    Raises:
        InvalidInput: it is.
    """
    limit = limits.ASYNC_BYTES[modality]
    if info.size > limit:
        raise InvalidInput(f"{uri} has {info.size:,} bytes; at most {limit:,} are taken.", "Cut it into several files.")
    if not info.size:
        raise InvalidInput(f"{uri} is empty.")


async def parts(
    params: SegmentedEmbeddingParams, info: ObjectInfo, first: int, readers: Children, client: Any
) -> AsyncGenerator[list[Part]]:
    """The parts of each segment from number ``first`` on.

    Raises:
        InvalidInput: nothing of the file can be embedded, or it has too many segments.
        Unavailable: S3 keeps failing.
    """
    if params.text is not None:
        with ObjectFile(client, params.location.uri, info, params.location.bucketOwner) as file:
            texts = _text(file, params.location.uri, params.text.segmentationConfig.maxLengthChars)
            number = read = 0
            while (segment := await asyncio.to_thread(next, texts, None)) is not None:
                read += len(segment.value.encode())
                if number >= first:
                    metadata = {
                        "segmentIndex": number,
                        "segmentStartCharPosition": segment.start,
                        "segmentEndCharPosition": segment.end,
                    }
                    content = Text(segment.value, params.text.truncationMode)
                    yield [Part(EmbeddingType.TEXT, metadata, read, info.size, content)]
                number += 1
    elif params.image is not None:
        if first == 0:
            with ObjectFile(client, params.location.uri, info, params.location.bucketOwner) as file:
                data = await asyncio.to_thread(file.read)
            picture = Encoded(Modality.IMAGE, data, params.image.format, params.image.detailLevel)
            yield [Part(EmbeddingType.IMAGE, {"segmentIndex": 0}, 1, 1, picture)]
    else:
        media = params.audio or params.video
        assert media is not None
        seconds = float(media.segmentationConfig.durationSeconds)
        wanted = Wanted(params.location.uri, params.location.bucketOwner, info, params.modality, seconds, first)
        async with contextlib.aclosing(pieces(wanted, readers)) as found:
            async for piece in found:
                yield _split(piece, params)


def _text(file: ObjectFile, uri: str, longest: int) -> Iterator[Segment]:
    chunks = iter(lambda: file.read(_TEXT_CHUNK), b"")
    for number, segment in enumerate(segments(decoded(chunks, uri), longest)):
        if number >= limits.TEXT_SEGMENTS:
            raise InvalidInput(
                f"{uri} has more than {limits.TEXT_SEGMENTS:,} segments of {longest:,} characters.",
                "Choose longer segments with maxLengthChars (at most 50,000), or cut the file.",
            )
        yield segment


async def pieces(first: Wanted, readers: Children) -> AsyncGenerator[Piece]:
    """Segments of sound or film, from one on.

    Raises:
        InvalidInput: nothing of the file can be embedded, or it has too many segments.
        Unavailable: S3 keeps failing.
    """
    wanted, faulty = first, 0
    with _Reader(readers) as reader:
        while True:
            piece = await reader.piece(wanted)
            if piece is None:
                return
            # a decoder that dies on one segment after the other would do so for ever: nothing says where the end is
            faulty = faulty + 1 if piece.film is None and piece.sound is None and reader.child is None else 0
            if faulty > 3:
                raise InvalidInput(f"{first.uri} cannot be decoded from {piece.start:g} s on: {piece.fault}")
            yield piece
            wanted = replace(wanted, index=wanted.index + 1)


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
    if isinstance(error, InvalidInput):
        return "INVALID_CONTENT"
    return "RATE_LIMIT_EXCEEDED" if isinstance(error, Busy) else "INTERNAL_SERVER_EXCEPTION"
