"""From segments to the lines of an invocation's output files, named and shaped as Nova's."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kilonova.engine.engine import Embedding, Engine
from kilonova.errors import Busy, InvalidInput, KilonovaError
from kilonova.media.content import Content, Encoded, Modality
from kilonova.segments.embed import EmbeddedSegment, embed
from kilonova.segments.files import File, Kind
from kilonova.segments.read import Readers
from kilonova.segments.segment import Plan, Segment
from kilonova.storage.objects import ObjectInfo
from kilonova.wire.async_invoke import SegmentedEmbeddingParams
from kilonova.wire.nova import EmbeddingMode, EmbeddingType

__all__ = ["Line", "lines"]

_AHEAD = 12  # segments read or embedded before they are asked for


@dataclass(frozen=True, eq=False)
class Line:
    """A line of an output file, not yet rendered. Databases of jobs hold lines by this name (``workflow``).

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


async def lines(
    engine: Engine, readers: Readers, params: SegmentedEmbeddingParams, info: ObjectInfo, first: int
) -> AsyncGenerator[list[Line]]:
    """The lines of each segment of a file.

    Args:
        engine: what embeds.
        readers: what reads.
        params: what was asked for.
        info: the object's state.
        first: number of the first segment.

    Raises:
        KilonovaError: the file cannot be read any further, or no model can be used.
    """
    file, plan = _file(params, info), _plan(params)
    segments = readers.read(file, plan, first=first)
    places = asyncio.Semaphore(_AHEAD)
    stream = embed(engine, segments, params.embeddingPurpose, params.embeddingDimension, places)
    async with contextlib.aclosing(stream):
        async for embedded in stream:
            yield _lines(embedded, params)


def _file(params: SegmentedEmbeddingParams, info: ObjectInfo) -> File:
    media = getattr(params, params.modality)
    location = params.location
    return File(
        location.uri, Kind(str(params.modality)), info, owner=location.bucketOwner, format=getattr(media, "format", "")
    )


def _plan(params: SegmentedEmbeddingParams) -> Plan:
    plan = Plan(verbatim=True)
    if params.text is not None:
        return replace(
            plan,
            characters=params.text.segmentationConfig.maxLengthChars,
            truncation=params.text.truncationMode,
        )
    if params.image is not None:
        return replace(plan, detail=params.image.detailLevel)
    media = params.audio or params.video
    assert media is not None
    return replace(plan, seconds=float(media.segmentationConfig.durationSeconds), apart=_apart(params))


def _apart(params: SegmentedEmbeddingParams) -> bool:
    return params.video is not None and params.video.embeddingMode is not EmbeddingMode.COMBINED


def _lines(embedded: EmbeddedSegment, params: SegmentedEmbeddingParams) -> list[Line]:
    segment = embedded.segment
    kind, metadata = _kind(params), _metadata(segment, params.modality)
    found = []
    if segment.fault:  # of the frames, where there are some
        failed = Line(str(kind), metadata, segment.position, segment.length, None, "INVALID_CONTENT", segment.fault)
        found.append(failed)
    for content, result in zip(segment.contents, embedded.results, strict=True):
        of = EmbeddingType.AUDIO if content.modality is Modality.AUDIO else kind
        found.append(_line(str(of), metadata, segment, content, result))
    return found


def _line(
    kind: str, metadata: dict[str, Any], segment: Segment, content: Content | Encoded, result: Embedding | KilonovaError
) -> Line:
    if isinstance(result, KilonovaError):
        if isinstance(result, InvalidInput) and content.modality is Modality.IMAGE:
            raise result  # the file is one segment: it is the file that is refused
        reason = _failure_reason(result)
        return Line(kind, metadata, segment.position, segment.length, None, reason, str(result))
    if result.kept_characters is not None:
        metadata = {**metadata, "truncatedCharLength": result.kept_characters}
    return Line(kind, metadata, segment.position, segment.length, result.vector)


def _kind(params: SegmentedEmbeddingParams) -> EmbeddingType:
    if params.video is not None:
        return EmbeddingType.VIDEO if _apart(params) else EmbeddingType.AUDIO_VIDEO_COMBINED
    return EmbeddingType(params.modality.upper())


def _metadata(segment: Segment, modality: Modality) -> dict[str, Any]:
    """``segmentMetadata``."""
    metadata: dict[str, Any] = {"segmentIndex": segment.index}
    if segment.start is None or segment.end is None:
        return metadata
    if modality is Modality.TEXT:
        return metadata | {"segmentStartCharPosition": segment.start, "segmentEndCharPosition": segment.end}
    return metadata | {
        "segmentStartSeconds": round(segment.start, 6),
        "segmentEndSeconds": round(segment.end, 6),
    }


def _failure_reason(error: KilonovaError) -> str:
    """Nova's ``failureReason`` for an error."""
    if isinstance(error, InvalidInput):
        return "INVALID_CONTENT"
    return "RATE_LIMIT_EXCEEDED" if isinstance(error, Busy) else "INTERNAL_SERVER_EXCEPTION"
