"""The typed values on the way from request to model: encoded sources and decoded contents."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:  # the command line starts 0.1 s sooner without it
    import numpy as np

__all__ = [
    "Audio",
    "Content",
    "Detail",
    "Encoded",
    "Image",
    "Input",
    "Mixed",
    "Modality",
    "Text",
    "Truncation",
    "Video",
    "VideoPart",
]


class Modality(StrEnum):
    """The four kinds of input that Nova's schema has."""

    TEXT = "text"
    IMAGE = "image"
    AUDIO = "audio"
    VIDEO = "video"


class Detail(StrEnum):
    """How finely an image is looked at: a photograph, or a page whose letters matter."""

    STANDARD = "STANDARD_IMAGE"
    DOCUMENT = "DOCUMENT_IMAGE"


class Truncation(StrEnum):
    """Which end of a too long text is cut off; NONE refuses it."""

    START = "START"
    END = "END"
    NONE = "NONE"


class VideoPart(StrEnum):
    """What of a video is wanted: its frames, its audio, both, or both where it has frames, else its audio alone."""

    FRAMES = "frames"
    AUDIO = "audio"
    BOTH = "both"
    ANY = "any"


@dataclass(frozen=True)
class Text:
    """A text and what to do when it is too long for the model."""

    value: str
    truncation: Truncation = Truncation.END
    modality = Modality.TEXT

    @property
    def size(self) -> int:
        """UTF-8 bytes: a cheap stand-in for tokens when batches are made."""
        return len(self.value.encode("utf-8", "surrogatepass"))

    @property
    def memory(self) -> int:
        """Bytes that the content takes while it waits."""
        return self.size


@dataclass(frozen=True, eq=False)
class Image:
    """Pixels uint8 [height, width, 3], RGB, upright, alpha laid on white; ``text`` are a page's words, if known."""

    pixels: np.ndarray
    detail: Detail = Detail.STANDARD
    text: str | None = None
    modality = Modality.IMAGE

    @property
    def size(self) -> int:
        """Number of pixels; eightfold where a model must read the letters first, which takes it seconds."""
        unread = self.detail is Detail.DOCUMENT and self.text is None
        return int(self.pixels.shape[0] * self.pixels.shape[1]) * (8 if unread else 1)

    @property
    def memory(self) -> int:
        """Bytes that the content takes while it waits."""
        return self.pixels.nbytes


@dataclass(frozen=True, eq=False)
class Audio:
    """Samples float32 [n], mono, -1 to 1, at ``rate`` Hz."""

    samples: np.ndarray
    rate: int
    modality = Modality.AUDIO

    @property
    def size(self) -> int:
        """Number of samples."""
        return len(self.samples)

    @property
    def memory(self) -> int:
        """Bytes that the content takes while it waits."""
        return self.samples.nbytes

    @property
    def seconds(self) -> float:
        """Duration in seconds."""
        return len(self.samples) / self.rate


@dataclass(frozen=True, eq=False)
class Video:
    """Frames uint8 [n, height, width, 3] taken at ``times`` float64 [n] seconds, and the audio if there is any."""

    frames: np.ndarray
    times: np.ndarray
    audio: Audio | None = None
    modality = Modality.VIDEO

    @property
    def size(self) -> int:
        """Number of pixels over all frames."""
        return math.prod(self.frames.shape[:3])

    @property
    def memory(self) -> int:
        """Bytes that the content takes while it waits."""
        return self.frames.nbytes + (self.audio.memory if self.audio is not None else 0)


Content = Text | Image | Audio | Video


@dataclass(frozen=True)
class Encoded:
    """A media file not yet decoded; ``format`` is what the sender called it and may be wrong."""

    modality: Modality
    data: bytes = field(repr=False)
    format: str = ""
    detail: Detail = Detail.STANDARD
    part: VideoPart = VideoPart.BOTH

    @property
    def size(self) -> int:
        """Bytes of the file."""
        return len(self.data)

    @property
    def memory(self) -> int:
        """Bytes that it takes while it waits."""
        return len(self.data)

    def digest(self) -> bytes:
        """Hash of everything that decides the decoded content."""
        head = f"{self.modality}|{self.detail}|{self.part}|".encode()
        return hashlib.blake2b(self.data, key=hashlib.blake2b(head, digest_size=32).digest(), digest_size=24).digest()


@dataclass(frozen=True, eq=False)
class Mixed:
    """Contents, at most one of a kind, that make one vector together: an image and its words, a page and its text.

    Raises:
        ValueError: there are fewer than two, or two of a kind.
    """

    parts: tuple[Content | Encoded, ...]

    def __post_init__(self) -> None:
        if len(self.parts) < 2 or len({part.modality for part in self.parts}) < len(self.parts):
            raise ValueError("A composite input has two parts or more, each of another kind.")

    @property
    def modality(self) -> Modality:
        """The kind whose batches it waits with: that of its most expensive part."""
        return max((part.modality for part in self.parts), key=list(Modality).index)

    @property
    def size(self) -> int:
        """As of its most expensive part."""
        return next(part.size for part in self.parts if part.modality is self.modality)

    @property
    def memory(self) -> int:
        """Bytes that it takes while it waits."""
        return sum(part.memory for part in self.parts)


#: Whatever one vector is made of: a decoded content, a file as it came, or several of them together.
Input = Content | Encoded | Mixed
