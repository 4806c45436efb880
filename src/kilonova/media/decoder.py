"""Decode encoded media: checks that the bytes are what they should be, then calls the right module.

``handler`` is what a decoding process runs (``media.pool``).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

from kilonova.errors import InvalidInput
from kilonova.media.content import Audio, Encoded, Image, Modality, Video
from kilonova.media.sniff import FORMATS, sniff

__all__ = ["decode", "handler"]


def decode(item: Encoded, sample_rate: int, frame_rate: float) -> Image | Audio | Video | None:
    """Decode an image, audio or a video; None is the audio of a video without any.

    Raises:
        InvalidInput: the bytes are not of the modality, not decodable, or over a bound; the message says which.
    """
    if not item.data:
        raise InvalidInput(f"The {item.modality} is empty.", "Send the bytes of a file.")
    found, modalities = sniff(item.data)
    if item.modality not in modalities:
        said = f" It was called {item.format}." if item.format else ""
        raise InvalidInput(
            f"The bytes are no {item.modality} of a supported format; found: {found}.{said}",
            f"Supported: {', '.join(FORMATS[item.modality])}.",
        )
    match item.modality:
        case Modality.IMAGE:
            from kilonova.media import image

            return image.decode(item.data, item.detail)
        case Modality.AUDIO:
            from kilonova.media import audio

            return audio.decode(item.data, sample_rate)
        case Modality.VIDEO:
            from kilonova.media import video

            return video.decode(item.data, item.part, frame_rate, sample_rate)
        case _:
            raise InvalidInput(f"{item.modality} is not a media file.")


def handler(sample_rate: str, frame_rate: str) -> Callable[[Encoded], Image | Audio | Video | None]:
    """The message handler of a decoding process."""
    import logging

    import av

    av.logging.set_level(av.logging.PANIC)  # FFmpeg's complaints about a caller's file go into the error, not our log
    logging.getLogger("PIL").setLevel(logging.ERROR)
    return partial(decode, sample_rate=int(sample_rate), frame_rate=float(frame_rate))
