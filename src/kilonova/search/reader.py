"""What runs in a process of its own, because files may break their libraries: what a file says of itself, and the
pages of documents."""

from __future__ import annotations

import re
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, BinaryIO, cast

from kilonova.media.content import Image
from kilonova.models.mini.page import PageReader
from kilonova.search.files import Kind
from kilonova.storage.files import open_file
from kilonova.storage.objects import ObjectInfo
from kilonova.wire.errors import KilonovaError

__all__ = ["Describe", "Page", "handler"]

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
    """Asks for a page of a document, from 0: an Image with its words, its words alone where it cannot be drawn, or None
    after the last page."""

    uri: str
    info: ObjectInfo
    number: int


def handler() -> Callable[[Describe | Page], dict[str, Any] | Image | str | None]:
    """The message handler; it keeps a document open from one page to the next."""
    pages = _Pages()

    def answer(wanted: Describe | Page) -> dict[str, Any] | Image | str | None:
        return pages(wanted) if isinstance(wanted, Page) else _describe(wanted)

    return answer


class _Pages:
    def __init__(self) -> None:
        self._stack = ExitStack()
        self._of: tuple[str, ObjectInfo] | None = None
        self._document: Any = None  # a PDF file, or the words of each page
        self._read = PageReader()

    def __call__(self, wanted: Page) -> Image | str | None:
        from kilonova.media import document

        if self._of != (wanted.uri, wanted.info):
            self._stack.close()
            self._document = self._opened(wanted)
            self._of = (wanted.uri, wanted.info)
        if wanted.number >= len(self._document):
            self._stack.close()
            self._of = None
            return None
        if isinstance(self._document, list):
            return str(self._document[wanted.number])
        page = document.page(self._document, wanted.number)
        # a scan's words are looked for by BM25, too, so they are not left to the model
        return page if page.text is not None else replace(page, text=self._read(page.pixels))

    def _opened(self, wanted: Page) -> Any:
        from kilonova.media import document, office

        file = self._stack.enter_context(open_file(wanted.uri, wanted.info))
        if not wanted.uri.lower().endswith(office.ENDINGS):
            return self._stack.enter_context(document.opened(file))
        folder = Path(self._stack.enter_context(TemporaryDirectory()))
        path = folder / f"document{Path(wanted.uri).suffix.lower()}"
        path.write_bytes(file.read())
        made = office.as_pdf(path, folder)
        return office.words(file, path.name) if made is None else self._stack.enter_context(document.opened(made))


def _describe(wanted: Describe) -> dict[str, Any]:
    """A file that says nothing, or nothing that can be read, is described by nothing: whether it can be embedded is
    found out when it is."""
    reader = {Kind.IMAGE: _image, Kind.AUDIO: _media, Kind.VIDEO: _media, Kind.DOCUMENT: _document}.get(wanted.kind)
    if reader is None:
        return {}
    try:
        with open_file(wanted.uri, wanted.info) as file:
            found = reader(file)
    except (KilonovaError, OSError, ValueError, SyntaxError, EOFError):  # Pillow's and FFmpeg's for broken files
        return {}
    return {name: value for name, value in found.items() if value not in ("", None)}


def _image(file: BinaryIO) -> dict[str, Any]:
    from PIL import Image as Pillow

    with Pillow.open(file) as image:
        width, height = image.size
        exif = image.getexif()
        shot, gps = exif.get_ifd(_EXIF), exif.get_ifd(_GPS)
    return {
        "width": width,
        "height": height,
        **_date(str(shot.get(_TAKEN) or exif.get(_CHANGED) or ""), str(shot.get(_OFFSET) or "")),
        "camera": _plain(exif.get(_MODEL)),
        "maker": _plain(exif.get(_MAKE)),
        "description": _plain(exif.get(_DESCRIPTION)),
        "latitude": _degrees(gps.get(2), gps.get(1)),
        "longitude": _degrees(gps.get(4), gps.get(3)),
    }


def _media(file: BinaryIO) -> dict[str, Any]:
    import av

    av.logging.set_level(av.logging.PANIC)
    with av.open(file, "r", metadata_errors="replace") as container:
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
    with document.opened(file) as opened:
        facts = cast(dict[str, str], opened.get_metadata_dict(skip_empty=True))
        found = {"title": _plain(facts.get("Title")), "author": _plain(facts.get("Author")), "pages": len(opened)}
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


def _degrees(parts: Any, half: Any) -> float | None:
    """Degrees, minutes and seconds as degrees, south and west below zero."""
    try:
        whole, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ZeroDivisionError):
        return None
    found = round(whole + minutes / 60 + seconds / 3600, 6)
    return -found if _plain(half) in ("S", "W") else found
