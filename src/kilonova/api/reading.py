"""From contents, as users give them, to what the engine takes."""

from __future__ import annotations

import asyncio
import io
import os
import struct
import sys
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from kilonova.api import contents
from kilonova.api.contents import Content, Deferred
from kilonova.errors import InvalidInput
from kilonova.media import content as core
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Input, Modality, Truncation
from kilonova.media.input import as_input, read_input
from kilonova.models.card import ModelCard, Purpose
from kilonova.segments.documents import BUILT_IN
from kilonova.segments.files import Kind
from kilonova.segments.listing import look, resolve
from kilonova.segments.read import Readers
from kilonova.storage.s3 import S3Reader

__all__ = ["InputReader", "as_choice", "as_purpose", "several"]

Choice = TypeVar("Choice", bound=StrEnum)
T = TypeVar("T")
_ARTICLES = {Modality.IMAGE: "an image", Modality.AUDIO: "audio", Modality.VIDEO: "a video"}


class InputReader:
    """Reads contents; S3's client and the processes that read documents start when they are needed.

    Args:
        card: of the model that they are for.
    """

    def __init__(self, card: ModelCard) -> None:
        self._card = card
        self._s3 = S3Reader()
        self._readers: Readers | None = None

    @property
    def started(self) -> bool:
        """Whether there are processes to end."""
        return self._readers is not None

    async def aclose(self) -> None:
        """End the processes, in the event loop that started them."""
        if self._readers is not None:
            self._readers.close()
            self._readers = None

    async def read(self, content: Content) -> Input:
        """What the engine takes.

        Raises:
            InvalidInput: it is no content, there is no such file, or it cannot be read.
            Unavailable: S3 cannot be reached.
        """
        match content:
            case str():
                return core.Text(content)
            case core.Text() | core.Image() | core.Audio() | core.Video() | Encoded():
                return content
            case contents.Text():
                return _text(content)
            case contents.Image(source, detail):
                return await self._image(source, as_choice(Detail, detail, "detail"))
            case contents.Audio(source, rate):
                return await self._audio(source, rate)
            case contents.Video(source):
                return await self._file(source, Modality.VIDEO)
            case contents.Document(source, page):
                return await self._page(source, page)
            case contents.Mixed(parts):
                return await self._composite(parts)
            case os.PathLike():
                return await asyncio.to_thread(read_input, Path(content))
        if isinstance(content, Deferred):
            return await content.read_with(self._s3)
        if _is_pillow(content):
            return await self._image(content, Detail.STANDARD)
        raise InvalidInput(
            f"Not a content: {type(content).__name__}.",
            "Give a str for a text, a Path for a file, or kilonova.Image, Audio, Video, Document, Mixed.",
        )

    async def read_single(self, content: Content) -> core.Content | Encoded:
        """``read``, for a query, whose contents are single.

        Raises:
            InvalidInput: as of ``read``; or it is composite.
        """
        read = await self.read(content)
        if isinstance(read, core.Mixed):
            raise InvalidInput(
                "Queries do not support composite inputs.", "Give the parts one by one: they are added up."
            )
        return read

    async def _composite(self, parts: tuple[Content, ...]) -> Input:
        read = [await self.read(part) for part in parts]
        plain = tuple(part for part in read if not isinstance(part, core.Mixed))
        try:
            return core.Mixed(plain)
        except ValueError as error:
            raise InvalidInput(str(error)) from None

    async def _image(self, source: Any, detail: Detail) -> Input:
        if isinstance(source, np.ndarray):
            from PIL import Image

            if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
                raise InvalidInput(
                    f"Pixels must be uint8 [height, width, 3]; these are {source.dtype} {list(source.shape)}."
                )
            source = Image.fromarray(source)
        if _is_pillow(source):
            try:
                data = await asyncio.to_thread(_png, source)
            except (OSError, ValueError) as error:  # Pillow reads files when they are needed
                raise InvalidInput(f"The Pillow image cannot be read: {error}.") from None
            return Encoded(Modality.IMAGE, data, "png", detail)
        return await self._file(source, Modality.IMAGE, detail)

    async def _audio(self, source: Any, rate: int | None) -> Input:
        if not isinstance(source, np.ndarray):
            return await self._file(source, Modality.AUDIO)
        if rate is None or rate <= 0 or rate != int(rate):
            raise InvalidInput("Give the sample rate in Hz.", "For example kilonova.Audio(samples, rate=48_000).")
        return Encoded(Modality.AUDIO, _wav(source, int(rate)), "wav")

    async def _file(self, source: Any, modality: Modality, detail: Detail = Detail.STANDARD) -> Input:
        limit = limits.S3_BYTES[modality]
        if isinstance(source, bytes | bytearray | memoryview):
            return as_input("", bytes(source), modality, detail)
        if isinstance(source, str) and source.startswith("s3://"):
            return as_input(source, await self._s3.read(source, limit), modality, detail)
        if not isinstance(source, str | os.PathLike):
            raise InvalidInput(
                f"Not {_ARTICLES[modality]}: {type(source).__name__}.", "Give a path, an s3:// URI, or bytes."
            )
        path = Path(os.path.expanduser(source))  # noqa: ASYNC240, PTH111  (looks at a variable only)
        found = await asyncio.to_thread(read_input, path, detail)
        if isinstance(found, Encoded) and {found.modality, modality} == {Modality.AUDIO, Modality.VIDEO}:
            return as_input(path.name, found.data, modality, detail)  # their containers may hold either
        if found.modality is not modality:
            raise InvalidInput(f"{path} is no {modality}; it is {found.modality}.")
        return found

    async def _page(self, source: object, page: int) -> Input:
        if not isinstance(source, str | os.PathLike):
            raise InvalidInput(f"Not a document: {type(source).__name__}.", "Give a path, or an s3:// URI.")
        if self._readers is None:
            self._readers = Readers(self._card)
        path = os.fspath(source)
        (root,) = resolve([path])
        listing = await asyncio.to_thread(look, [root])
        if root in listing.missing:
            raise InvalidInput(f"There is no {path}.", "Name a file, or s3://bucket/key.")
        file = next((file for file in listing.files if file.kind is Kind.DOCUMENT), None)
        if file is None:
            raise InvalidInput(f"{path} is no document.", f"Documents end in .{', .'.join(BUILT_IN)}.")
        found = await self._readers.page(file.uri, file.info, page - 1) if page > 0 else None
        if found is None:
            raise InvalidInput(f"{path} has no page {page}.")
        return core.Text(found) if isinstance(found, str) else found


def several(values: Iterable[T]) -> Iterable[T]:
    """Values of which there may be many.

    Raises:
        InvalidInput: a single text, whose letters would be taken for values.
    """
    if isinstance(values, str):
        raise InvalidInput(
            "This is one text, where several values are meant.", f"Put it into a list: [{values[:20]!r}]."
        )
    return values


def as_purpose(purpose: Purpose | str) -> Purpose:
    """A purpose by its name.

    Raises:
        InvalidInput: there is none of that name.
    """
    return as_choice(Purpose, purpose, "purpose")


def as_choice(choices: type[Choice], value: str, name: str) -> Choice:
    """The member of an enumeration that a string names.

    Raises:
        InvalidInput: it names none.
    """
    try:
        return choices(value)
    except ValueError:
        raise InvalidInput(f"{value!r} is no {name}.", f"Choose one of {', '.join(choices)}.") from None


def _text(content: contents.Text) -> core.Text:
    if not isinstance(content.value, str):
        raise InvalidInput(f"Not a text: {type(content.value).__name__}.", "Give a str.")
    return core.Text(content.value, as_choice(Truncation, content.truncation, "truncation"))


def _is_pillow(source: object) -> bool:
    pillow = sys.modules.get("PIL.Image")
    return pillow is not None and isinstance(source, pillow.Image)


def _png(image: Any) -> bytes:
    buffer = io.BytesIO()
    plain = image if image.mode in ("1", "L", "LA", "P", "RGB", "RGBA", "I;16") else image.convert("RGB")
    plain.save(buffer, "PNG", compress_level=1, exif=image.getexif())
    return buffer.getvalue()


def _wav(samples: np.ndarray, rate: int) -> bytes:
    """A WAV file of 32-bit floats (WAVE_FORMAT_IEEE_FLOAT, multimedia.h)."""
    if samples.ndim not in (1, 2) or not samples.size or (samples.ndim == 2 and samples.shape[1] > limits.MAX_CHANNELS):
        raise InvalidInput(f"Samples must be [n] or [n, channels]; these are {list(samples.shape)}.")
    if samples.dtype.kind == "i":
        samples = samples / float(np.iinfo(samples.dtype).max + 1)
    if samples.dtype.kind != "f":
        raise InvalidInput(f"Samples must be floats or signed integers; these are {samples.dtype}.")
    data = np.ascontiguousarray(samples, "<f4").tobytes()
    channels = samples.shape[1] if samples.ndim == 2 else 1
    form = struct.pack("<HHIIHH", 3, channels, rate, rate * channels * 4, channels * 4, 32)
    head = b"RIFF" + struct.pack("<I", 36 + len(data)) + b"WAVEfmt " + struct.pack("<I", len(form)) + form
    return head + b"data" + struct.pack("<I", len(data)) + data
