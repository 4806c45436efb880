"""What runs in a reading process: long media from S3 or a disk, a segment at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO

from kilonova.media.content import Modality
from kilonova.media.segments import Piece, Segmenter
from kilonova.storage.files import open_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["Wanted", "handler"]


@dataclass(frozen=True)
class Wanted:
    """A segment of a file, an object of S3 or a path: ``info`` says of which state of it, ``seconds`` how long segments
    are."""

    uri: str
    owner: str | None
    info: ObjectInfo
    modality: Modality
    seconds: float
    index: int


def handler(sample_rate: str, frame_rate: str) -> Callable[[Wanted], Piece | None]:
    """The message handler of a reading process: it keeps the file open from one segment to the next."""
    import av

    av.logging.set_level(av.logging.PANIC)  # FFmpeg's complaints about a file go into the error, not our log
    opened: tuple[Wanted, BinaryIO, Segmenter] | None = None

    def piece(wanted: Wanted) -> Piece | None:
        nonlocal opened
        file_of = replace(wanted, index=0)
        if opened is None or opened[0] != file_of or wanted.index == 0:
            if opened is not None:
                opened[1].close()
                opened = None
            file = open_file(wanted.uri, wanted.info, wanted.owner)
            segmenter = Segmenter(file, wanted.modality, wanted.seconds, float(frame_rate), int(sample_rate))
            opened = (file_of, file, segmenter)
        return opened[2].piece(wanted.index)

    return piece
