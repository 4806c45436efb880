"""What can be embedded and searched with: texts, images, audio, video, pages of documents, and several of them at once.

A ``str`` is always a text, a ``Path`` is the file that it names, whatever its bytes are. The classes below say which
kind is meant where that matters, and take bytes, Pillow images and numpy arrays besides.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias, runtime_checkable

if TYPE_CHECKING:
    import numpy as np
    import PIL.Image

    from kilonova.media.content import Content as DecodedContent
    from kilonova.media.content import Encoded, Input
    from kilonova.storage.s3 import S3Reader

__all__ = ["Audio", "Content", "Deferred", "Document", "File", "Image", "Mixed", "Text", "Video"]

#: A file: a path, an ``s3://`` URI, or its bytes.
File: TypeAlias = "str | os.PathLike[str] | bytes"


@dataclass(frozen=True)
class Text:
    """A text, and what is done where it is too long for the model.

    Attributes:
        value: the text.
        truncation: ``END`` (the default) or ``START`` is the end that is cut off; ``NONE`` refuses it.

    Example:
        >>> Text("海上的帆船").value
        '海上的帆船'
    """

    value: str
    truncation: str = "END"


@dataclass(frozen=True, eq=False)
class Image:
    """An image.

    Attributes:
        source: a path, an ``s3://`` URI, the bytes of a file, a Pillow image, or pixels uint8 [height, width, 3], RGB.
        detail: ``STANDARD_IMAGE`` (the default), or ``DOCUMENT_IMAGE`` where letters matter.

    Example:
        >>> Image("sailing.webp", detail="DOCUMENT_IMAGE").detail
        'DOCUMENT_IMAGE'
    """

    source: File | Any
    detail: str = "STANDARD_IMAGE"


@dataclass(frozen=True, eq=False)
class Audio:
    """Audio of at most 30 seconds.

    Attributes:
        source: a path, an ``s3://`` URI, the bytes of a file, or samples [n] or [n, channels]: floats from -1 to 1, or
            16-bit integers.
        rate: of samples, in Hz.

    Example:
        >>> import numpy as np
        >>> Audio(np.zeros(16_000, np.float32), rate=16_000).rate
        16000
    """

    source: File | np.ndarray
    rate: int | None = None


@dataclass(frozen=True, eq=False)
class Video:
    """A video of at most 30 seconds, with its audio.

    Attributes:
        source: a path, an ``s3://`` URI, or the bytes of a file.

    Example:
        >>> Video("waves.mp4").source
        'waves.mp4'
    """

    source: File


@dataclass(frozen=True, eq=False)
class Document:
    """A page of a document: PDF, docx, pptx, xlsx.

    Attributes:
        source: a path.
        page: its number, from 1.

    Example:
        >>> Document("report.pdf", page=2).page
        2
    """

    source: str | os.PathLike[str]
    page: int = 1


@dataclass(frozen=True, eq=False, init=False)
class Mixed:
    """Contents, at most one of a kind, that make one vector together; for models that mix them.

    Attributes:
        parts: two or more.

    Example:
        >>> len(Mixed("red", Image("sailing.webp")).parts)
        2
    """

    parts: tuple[Content, ...]

    def __init__(self, *parts: Content) -> None:
        object.__setattr__(self, "parts", parts)


@runtime_checkable
class Deferred(Protocol):
    """A content that reads itself when it is its turn, for callers that do not know yet what it is."""

    async def read_with(self, s3: S3Reader) -> Input:
        """What the engine takes.

        Raises:
            InvalidInput: it cannot be read.
        """


#: Everything that can be embedded.
Content: TypeAlias = (
    "Deferred | str | Path | Text | Image | Audio | Video | Document | "
    "Mixed | DecodedContent | Encoded | PIL.Image.Image"
)
