"""Media made by the tests themselves."""

from __future__ import annotations

from kilonova.testing._samples import (
    AUDIO_CODECS,
    AUDIO_FORMATS,
    CODECS,
    IMAGES,
    VIDEOS,
    audio,
    encode,
    encode_audio,
    gradient,
    image,
    tone,
    video,
)

__all__ = [
    "AUDIO_CODECS",
    "AUDIO_FORMATS",
    "CODECS",
    "IMAGES",
    "VIDEOS",
    "audio",
    "encode",
    "encode_audio",
    "gradient",
    "image",
    "pdf",
    "tone",
    "video",
]


def pdf(*pages: str) -> bytes:
    """A PDF file with one line of text on each page; an empty one is a page without a text layer."""
    import sample_folder  # of examples/; the processes that some tests start do not have it

    return sample_folder.pdf(
        [f"BT /F1 24 Tf 40 300 Td ({text}) Tj ET" if text else "40 300 200 50 re f" for text in pages]
    )
