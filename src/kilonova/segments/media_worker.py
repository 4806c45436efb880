"""What runs in a reading process: long audio and video from S3 or a disk, a segment at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from kilonova.media.content import Modality
from kilonova.segments.segment import Segment
from kilonova.segments.timeline import Segmenter
from kilonova.storage.files import open_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["MediaRequest", "handler"]


@dataclass(frozen=True)
class MediaRequest:
    """Asks for a segment of a file.

    Attributes:
        uri: of an object of S3, or a path.
        owner: 12-digit account that must own the bucket.
        info: the state of the file that is meant.
        modality: audio or video.
        seconds: length of a segment.
        index: number of the segment.
    """

    uri: str
    owner: str | None
    info: ObjectInfo
    modality: Modality
    seconds: float
    index: int


def handler(sample_rate: str, frame_rate: str) -> Callable[[MediaRequest], Segment | None]:
    """The message handler of a reading process: it keeps the file open from one segment to the next."""
    import av

    av.logging.set_level(av.logging.PANIC)  # FFmpeg's complaints about a file go into the error, not our log
    current: tuple[MediaRequest, BinaryIO, Segmenter] | None = None

    def read(request: MediaRequest) -> Segment | None:
        nonlocal current
        file_of = replace(request, index=0)
        if current is None or current[0] != file_of or request.index == 0:
            if current is not None:
                current[1].close()
                current = None
            file = open_file(request.uri, request.info, request.owner)
            segmenter = Segmenter(file, request.modality, request.seconds, float(frame_rate), int(sample_rate))
            current = (file_of, file, segmenter)
        return current[2].segment(request.index)

    return read
