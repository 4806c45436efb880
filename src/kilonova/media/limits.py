"""Every bound on media, in one place.

The file sizes, lengths and durations are Nova's ("Limits" in the user guide of Amazon Nova Multimodal Embeddings); the
bounds on what decoding may produce are ours and protect the server's memory.
"""

from __future__ import annotations

import os
from pathlib import Path

from kilonova import _home
from kilonova.media.content import Modality

__all__ = [
    "ASYNC_BYTES",
    "ASYNC_SECONDS",
    "DECODERS",
    "DECODE_MEMORY",
    "DECODE_SECONDS",
    "DOCUMENT_SIDE",
    "GRACE_SECONDS",
    "INLINE_BODY_BYTES",
    "MAX_CHANNELS",
    "MAX_FRAME_PIXELS",
    "MAX_IMAGE_PIXELS",
    "MAX_SAMPLE_RATE",
    "MEDIA_SEGMENTS",
    "MIN_SAMPLE_RATE",
    "S3_BYTES",
    "STANDARD_SIDE",
    "SYNC_SECONDS",
    "TEXT_S3_CHARACTERS",
    "TEXT_SEGMENTS",
    "TEXT_VALUE_CHARACTERS",
    "VIDEO_SIDE",
    "decoders",
]

#: Largest InvokeModel body, in bytes (botocore: the Body shape's maximum).
INLINE_BODY_BYTES = 25_000_000
#: Characters of an inline text and of a text from S3.
TEXT_VALUE_CHARACTERS = 8_192
TEXT_S3_CHARACTERS = 50_000
#: Bytes of an S3 object in a synchronous call.
S3_BYTES = {
    Modality.TEXT: 1_000_000,
    Modality.IMAGE: 50_000_000,
    Modality.AUDIO: 100_000_000,
    Modality.VIDEO: 100_000_000,
}
#: Bytes of an S3 object, seconds of it and segments of a file in an asynchronous invocation.
ASYNC_BYTES = {
    Modality.TEXT: 634_000_000,
    Modality.IMAGE: 50_000_000,
    Modality.AUDIO: 1_000_000_000,
    Modality.VIDEO: 2_000_000_000,
}
ASYNC_SECONDS = 7_200.0
TEXT_SEGMENTS, MEDIA_SEGMENTS = 1_900, 1_434
#: Seconds of audio or video in a synchronous call. Encoders pad to whole frames, so an export of "30 s"
#: runs a little longer; half a second of grace lets it through.
SYNC_SECONDS = 30.0
GRACE_SECONDS = 0.5

#: Pixels that an image file may declare before it is decoded; cameras and telephones reach 200 million.
MAX_IMAGE_PIXELS = 300_000_000
#: Pixels of one video frame (8K UHD).
MAX_FRAME_PIXELS = 7_680 * 4_320
#: Longest side of a decoded image, by detail level, and of a decoded video frame.
STANDARD_SIDE = 768
DOCUMENT_SIDE = 2_048
VIDEO_SIDE = 448
MAX_CHANNELS = 64
MIN_SAMPLE_RATE, MAX_SAMPLE_RATE = 4_000, 384_000


def _machine_memory() -> int:
    """Bytes of memory that the machine, or the container, has."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    limit = Path("/sys/fs/cgroup/memory.max")  # of control groups, version 2
    said = limit.read_text().strip() if limit.is_file() else ""
    return min(memory, int(said)) if said.isdigit() else memory


def decoders(cores: int, memory: int) -> tuple[int, int]:
    """How many processes decode at once, and how many bytes of address space each may use: half of the machine's
    memory is for all of them together."""
    count = max(1, min(cores, memory // 2 // _LEAST_MEMORY))
    return count, max(_LEAST_MEMORY, min(_MOST_MEMORY, memory // 2 // count))


# Libraries alone take 0.4 GB of a decoding process's address space, video of 8K 1.5 GB.
_LEAST_MEMORY, _MOST_MEMORY = 1 << 30, 4 << 30
#: Decoding processes at once, and what each may use: bytes of address space, seconds for one file.
DECODERS, DECODE_MEMORY = decoders(_home.cores(), _machine_memory())
DECODE_SECONDS = 30.0
