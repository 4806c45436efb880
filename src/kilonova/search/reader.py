"""What runs in a process of its own, because files may break their libraries: what a file says of itself, and the
pages of documents."""

from __future__ import annotations

import io
import math
import os
import re
import shutil
from collections.abc import Callable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO, cast

from kilonova.errors import InvalidInput, KilonovaError, Unavailable, Unreadable
from kilonova.media.content import Image
from kilonova.media.ocr import PageReader
from kilonova.media.words import join_lines
from kilonova.search.facts import of_file
from kilonova.segments.files import Kind
from kilonova.storage.files import name_of, open_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["Describe", "Page", "PageFound", "handler"]

# Exif 2.32, tags of the main, the Exif and the GPS directory
_MAKE, _MODEL, _DESCRIPTION, _CHANGED = 271, 272, 270, 306
_EXIF, _GPS, _TAKEN, _OFFSET = 0x8769, 0x8825, 36867, 36881
_TAGS = ("title", "artist", "album", "genre", "comment", "description", "date", "language")
_LONGEST = 1_000  # characters of a tag


@dataclass(frozen=True)
class Describe:
    """Asks for what a file says of itself: JSON values by name."""

    uri: str
    info: ObjectInfo
    kind: Kind


@dataclass(frozen=True)
class Page:
    """Asks for a page of a document, from 0: a ``PageFound``, or None after the last page."""

    uri: str
    info: ObjectInfo
    number: int


@dataclass(frozen=True, eq=False)
class PageFound:
    """A page.

    Attributes:
        image: its picture; None where it cannot be drawn.
        words: its text layer, or what was read off the picture; "" where there are none.
        fault: what of it cannot be read, and why.
        broken: whether it broke its reader.
    """

    image: Image | None
    words: str
    fault: str = ""
    broken: bool = False


def handler(folder: str) -> Callable[[Describe | Page], dict[str, Any] | PageFound | None]:
    """The message handler; it keeps a document open from one page to the next.

    Args:
        folder: where a folder of this process may lie, which the parent removes.
    """
    pages = _Pages(Path(folder) / str(os.getpid()))

    def answer(wanted: Describe | Page) -> dict[str, Any] | PageFound | None:
        return pages(wanted) if isinstance(wanted, Page) else _describe(wanted)

    return answer


class _Source(io.RawIOBase):
    """A file for PDFium, which has no way to say why it could not be read."""

    def __init__(self, file: BinaryIO) -> None:
        super().__init__()
        self._file = file
        self.fault: KilonovaError | None = None

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        return self._file.tell()

    def readinto(self, buffer: Any) -> int:
        try:
            data = self._file.read(memoryview(buffer).nbytes)
        except KilonovaError as error:
            self.fault = error
            return 0
        except OSError as error:
            self.fault = Unreadable(f"The file cannot be read: {error.strerror}.")
            return 0
        memoryview(buffer).cast("B")[: len(data)] = data
        return len(data)


class _Pages:
    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._stack = ExitStack()
        self._of: tuple[str, ObjectInfo] | None = None
        self._document: Any = None  # a PDF file, or the words of each page
        self._source: _Source | None = None
        self._read = PageReader()

    def __call__(self, wanted: Page) -> PageFound | None:
        if self._of != (wanted.uri, wanted.info):
            self._close()
            self._document = self._opened(wanted)
            self._of = (wanted.uri, wanted.info)
        if wanted.number >= len(self._document):
            self._close()
            return None
        if isinstance(self._document, list):
            page = self._document[wanted.number]
            return PageFound(None, page.words, page.fault)
        return self._drawn(wanted.number)

    def _close(self) -> None:
        self._of = self._document = self._source = None
        self._stack.close()

    def _check(self) -> None:
        """Say what kept the file from being read, if that is why PDFium cannot make anything of it."""
        fault = self._source.fault if self._source is not None else None
        if fault is not None:
            self._close()
            raise fault

    def _drawn(self, number: int) -> PageFound:
        from kilonova.media import document

        try:
            image = document.page(self._document, number)
        except InvalidInput as error:
            words = document.words(self._document, number)
            self._check()
            return PageFound(None, words, str(error))
        self._check()
        if image.text is not None:
            return PageFound(image, image.text)
        # a scan's words are looked for by BM25, too, so they are not left to the model
        noted = document.words(self._document, number)
        try:
            read = join_lines(self._read(image.pixels))
        except Exception as error:  # whatever the models make of a picture, the picture is there
            return PageFound(image, noted, f"The words of page {number + 1} cannot be read ({type(error).__name__}).")
        words = "\n".join(one for one in (read, noted) if one)
        return PageFound(replace(image, text=words), words)

    def _opened(self, wanted: Page) -> Any:
        from kilonova.media import document, office

        name = name_of(wanted.uri)
        file = self._stack.enter_context(open_file(wanted.uri, wanted.info))
        if not name.lower().endswith(office.ENDINGS):
            self._source = _Source(file)
            try:
                return self._stack.enter_context(document.opened(cast(BinaryIO, self._source)))
            except InvalidInput:
                self._check()
                raise
        if office.converter() is None:
            return office.words(file, name)
        self._folder.mkdir(parents=True, exist_ok=True)
        self._stack.callback(shutil.rmtree, self._folder, ignore_errors=True)
        path = self._folder / f"document{Path(name).suffix.lower()}"
        with path.open("wb") as copy:
            shutil.copyfileobj(file, copy)
        made = office.as_pdf(path, self._folder)
        return office.words(file, name) if made is None else self._stack.enter_context(document.opened(made))


def _describe(wanted: Describe) -> dict[str, Any]:
    """A file that says nothing, or nothing that can be read, is described by nothing: whether it can be embedded is
    found out when it is."""
    reader = {Kind.IMAGE: _image, Kind.AUDIO: _media, Kind.VIDEO: _media, Kind.DOCUMENT: _document}.get(wanted.kind)
    if reader is None:
        return {}
    try:
        with open_file(wanted.uri, wanted.info) as file:
            return of_file(reader(file))
    except (Unavailable, Unreadable):  # what it says is not known; it would be missing for good
        raise
    except Exception:  # Pillow, FFmpeg and PDFium raise all kinds for broken files
        return {}


def _image(file: BinaryIO) -> dict[str, Any]:
    from PIL import Image as Pillow

    from kilonova.media.image import FORMATS

    with Pillow.open(file, formats=FORMATS) as image:
        found: dict[str, Any] = {"width": image.size[0], "height": image.size[1]}
        try:
            return found | _exif(image.getexif())
        except Exception:  # Exif that cameras and editors spoilt; the picture has its size all the same
            return found


def _exif(exif: Any) -> dict[str, Any]:
    shot, gps = exif.get_ifd(_EXIF), exif.get_ifd(_GPS)
    return {
        **_date(str(shot.get(_TAKEN) or exif.get(_CHANGED) or ""), str(shot.get(_OFFSET) or "")),
        "camera": _plain(exif.get(_MODEL)),
        "maker": _plain(exif.get(_MAKE)),
        "description": _plain(exif.get(_DESCRIPTION)),
        **_position(gps),
    }


def _media(file: BinaryIO) -> dict[str, Any]:
    import av

    from kilonova.media import audio

    av.logging.set_level(av.logging.PANIC)
    with audio.open_file(file) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
        for stream in container.streams:  # Ogg has them there
            tags = {name.lower(): value for name, value in stream.metadata.items()} | tags
        found: dict[str, Any] = {name: _plain(tags.get(name)) for name in _TAGS}
        if container.duration:
            found["duration"] = round(container.duration / av.time_base, 3)
        if container.streams.video:
            found |= {"width": container.streams.video[0].width, "height": container.streams.video[0].height}
    return found | _date(tags.get("creation_time") or tags.get("date", ""), "")


def _document(file: BinaryIO) -> dict[str, Any]:
    from kilonova.media import document, office

    if file.read(2) == b"PK":
        said = office.properties(file)
        return {**said, **_date(said.pop("date", ""), "")}
    file.seek(0)
    source = _Source(file)
    try:
        with document.opened(cast(BinaryIO, source)) as opened:
            facts = cast(dict[str, str], opened.get_metadata_dict(skip_empty=True))
            found = {"title": _plain(facts.get("Title")), "author": _plain(facts.get("Author")), "pages": len(opened)}
    except InvalidInput as error:
        raise source.fault or error from None
    made = re.match(r"D:(\d{4})(\d\d)(\d\d)", facts.get("CreationDate", ""))
    return found | (_date("-".join(made.groups()), "") if made else {})


def _date(text: str, offset: str) -> dict[str, Any]:
    """``date`` as ISO 8601 and ``year``, from Exif's 2024:05:01 10:00:00, ISO dates or a year."""
    text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", text.strip())
    if re.fullmatch(r"(1[89]|20)\d\d", text):
        return {"year": int(text)}
    try:
        found = datetime.fromisoformat(text + offset)
    except ValueError:
        return {}
    return {"date": found.isoformat(), "year": found.year}


def _plain(value: object) -> str:
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return text.replace("\0", "").strip()[:_LONGEST]


def _position(gps: Mapping[int, Any]) -> dict[str, Any]:
    """Latitude and longitude; nothing where a camera had no fix and wrote 0/0, or what is no place on earth."""
    latitude, longitude = _degrees(gps.get(2), gps.get(1), 90.0), _degrees(gps.get(4), gps.get(3), 180.0)
    if latitude is None or longitude is None:
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _degrees(parts: Any, half: Any, most: float) -> float | None:
    """Degrees, minutes and seconds as degrees, south and west below zero."""
    try:
        whole, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ArithmeticError):
        return None
    found = round(whole + minutes / 60 + seconds / 3600, 6) if math.isfinite(whole + minutes + seconds) else math.inf
    if not 0 <= found <= most or min(whole, minutes, seconds) < 0:
        return None
    return -found if _plain(half) in ("S", "W") else found
