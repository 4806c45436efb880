"""Segments of audio and video, decoded in processes of their own."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from dataclasses import replace
from types import TracebackType
from typing import Self

from kilonova._process.parent import Child, ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Modality
from kilonova.models.card import ModelCard
from kilonova.segments.files import File
from kilonova.segments.media_worker import MediaRequest
from kilonova.segments.segment import Segment

__all__ = ["MediaProcesses", "combine"]

_SEGMENT_SECONDS = 120.0  # a segment of 30 s of 8K video takes long to decode on few cores
_FAULTS = 3  # segments that end their process one after the other


class MediaProcesses:
    """Processes that decode audio and video as a model wants them (``media_worker``)."""

    def __init__(self, card: ModelCard) -> None:
        self._children = Children(
            "kilonova.segments.media_worker:handler",
            str(card.sample_rate),
            str(card.frame_rate),
            memory=limits.DECODE_MEMORY,
        )

    def close(self) -> None:
        """End the processes."""
        self._children.close()

    async def read(self, file: File, modality: Modality, seconds: float, first: int = 0) -> AsyncGenerator[Segment]:
        """Segments from number ``first`` on, frames and audio apart.

        Args:
            file: which.
            modality: audio or video.
            seconds: length of a segment.
            first: number of the first one.

        Raises:
            InvalidInput: nothing of the file can be embedded, or it has too many segments.
            Unavailable: S3 keeps failing.
        """
        request, faults = MediaRequest(file.uri, file.owner, file.info, modality, seconds, first), 0
        with _Reader(self._children) as reader:
            while (segment := await reader.segment(request)) is not None:
                # a decoder that dies on one segment after the other would do so for ever: nothing says where the end is
                faults = faults + 1 if not segment.contents and reader.child is None else 0
                if faults > _FAULTS:
                    raise InvalidInput(f"{file.uri} cannot be decoded from {segment.start:g} s on: {segment.fault}")
                yield segment
                request = replace(request, index=request.index + 1)


def combine(segment: Segment, *, keep_audio: bool) -> Segment:
    """The same with its frames and its audio as one video.

    Args:
        segment: of a video or of audio.
        keep_audio: whether audio is embedded alone where no frame could be decoded.
    """
    video, audio = segment.video, segment.audio
    if video is not None:
        return replace(segment, contents=(replace(video, audio=audio),))
    if segment.fault and not keep_audio:
        return replace(segment, contents=())
    return segment


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

    async def segment(self, request: MediaRequest) -> Segment | None:
        """A segment; where the decoder crashes, runs out of memory or hangs twice, what stands for it."""
        reason = ""
        for _ in range(2):
            if self.child is None:
                self.child = self._children.take()
            try:
                segment: Segment | None = await self.child.call(request, _SEGMENT_SECONDS)
            except ChildTimeout:
                reason = f"took more than {_SEGMENT_SECONDS:g} s"
            except ChildDied as death:
                reason = str(death)
            except MemoryError:
                reason = "needs more memory than it may use"
            except HandlerFailed as fault:
                reason = f"failed: {fault}"
            else:
                return segment
            self._children.drop(self.child)
            self.child = None
        start = request.index * request.seconds
        end = start + request.seconds
        return Segment(request.index, (), start, end, fault=f"The decoder {reason}.", position=end)
