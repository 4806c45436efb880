"""What runs in a reading process: long media from S3, a segment at a time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import BinaryIO, cast

from kilonova.media.content import Modality
from kilonova.media.segments import Piece, Segmenter
from kilonova.storage.objects import ObjectFile, ObjectInfo
from kilonova.storage.s3 import connect

__all__ = ["Wanted", "handler"]


@dataclass(frozen=True)
class Wanted:
    """A segment of a file: ``info`` says of which state of the object, ``seconds`` how long segments are."""

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
    client = connect()
    opened: tuple[Wanted, ObjectFile, Segmenter] | None = None

    def piece(wanted: Wanted) -> Piece | None:
        nonlocal opened
        file_of = replace(wanted, index=0)
        if opened is None or opened[0] != file_of or wanted.index == 0:
            if opened is not None:
                opened[1].close()
                opened = None
            file = ObjectFile(client, wanted.uri, wanted.info, wanted.owner)
            segmenter = Segmenter(
                cast(BinaryIO, file), wanted.modality, wanted.seconds, float(frame_rate), int(sample_rate)
            )
            opened = (file_of, file, segmenter)
        return opened[2].piece(wanted.index)

    return piece
