"""From a file to the parts of it that become points: segments with their times, pages, positions of characters."""

from __future__ import annotations

import asyncio
import contextlib
import html.parser
import os
from collections.abc import AsyncGenerator
from dataclasses import dataclass, field
from typing import Any

from kilonova._process.parent import ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.jobs.reader import Wanted
from kilonova.jobs.sources import check_size, pieces, reading_processes
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Image, Modality, Text, Video
from kilonova.media.segments import Piece
from kilonova.media.sniff import format_of_name
from kilonova.media.text import decode, segments
from kilonova.models.card import ModelCard
from kilonova.search.files import File, Kind
from kilonova.search.reader import Describe, Page
from kilonova.storage.objects import ObjectInfo
from kilonova.wire.errors import Validation

__all__ = ["Part", "Reading", "Settings", "reads_whole"]

_READ_SECONDS = 60.0
_SNIPPET = 200


@dataclass(frozen=True)
class Settings:
    """How files are cut: characters of a segment of text, seconds of one of sound or film."""

    characters: int = 800
    seconds: float = 5.0


@dataclass(frozen=True, eq=False)
class Part:
    """What becomes a point.

    Attributes:
        content: what to embed; None where ``fault`` says why it cannot be.
        place: where in the file: ``start`` and ``end`` in seconds or characters, ``page`` from 1.
        text: its words, for BM25; "" where they are not known, or stand with another part.
        shown: words that begin like it, where ``text`` is "".
    """

    content: Content | Encoded | None
    place: dict[str, Any] = field(default_factory=dict)
    text: str = ""
    fault: str = ""
    shown: str = ""

    @property
    def described(self) -> dict[str, Any]:
        """``place``, and the beginning of its words on one line as ``snippet``."""
        snippet = " ".join((self.text or self.shown).split())[:_SNIPPET]
        return {**self.place, **({"snippet": snippet} if snippet else {})}


class Reading:
    """Reads files in processes of their own.

    Args:
        card: of the model that the parts are for.
        settings: how to cut.
    """

    def __init__(self, card: ModelCard, settings: Settings) -> None:
        self._settings = settings
        self._media = reading_processes(card)
        self._readers = asyncio.Semaphore(len(os.sched_getaffinity(0)))  # reading scans keeps a core busy
        self._files = Children("kilonova.search.reader:handler", memory=limits.DECODE_MEMORY)

    def close(self) -> None:
        """End the processes."""
        self._media.close()
        self._files.close()

    async def describe(self, file: File) -> dict[str, Any]:
        """What a file says of itself; nothing for one that breaks its reader."""
        if file.kind is Kind.TEXT:
            return {}
        try:
            found: dict[str, Any] = await self._ask(Describe(file.uri, file.info, file.kind))
        except Validation:
            return {}
        return found

    async def parts(self, file: File, data: bytes | None) -> AsyncGenerator[Part]:
        """The parts of a file.

        Args:
            file: which.
            data: all of it, for texts and images.

        Raises:
            Validation: nothing of it can be read.
            Unavailable: S3 keeps failing.
        """
        if file.kind is Kind.TEXT:
            assert data is not None
            for part in self._text(decode(data, file.name), file.name):
                yield part
        elif file.kind is Kind.IMAGE:
            assert data is not None
            yield Part(Encoded(Modality.IMAGE, data, format_of_name(file.name)))
        elif file.kind is Kind.DOCUMENT:
            async with contextlib.aclosing(self._pages(file)) as found:
                async for part in found:
                    yield part
        else:
            modality = Modality(str(file.kind))
            check_size(file.uri, file.info, modality)
            wanted = Wanted(file.uri, None, file.info, modality, self._settings.seconds, 0)
            async with contextlib.aclosing(pieces(wanted, self._media)) as found_pieces:
                async for piece in found_pieces:
                    yield _heard_or_seen(piece)

    def _text(self, text: str, name: str) -> list[Part]:
        if name.lower().endswith((".html", ".htm")):
            text = _words_of_html(text)
        found = segments([text], self._settings.characters)
        return [
            Part(Text(one.value), {"start": one.start, "end": one.end}, one.value) for one in found if one.value.strip()
        ]

    async def page(self, uri: str, info: ObjectInfo, number: int) -> Image | str | None:
        """A page of a document, from 0, or its words where it cannot be drawn; None after the last one.

        Raises:
            Validation: it cannot be read.
            Unavailable: S3 keeps failing.
        """
        async with self._readers:
            found: Image | str | None = await self._ask(Page(uri, info, number))
        return found

    async def _pages(self, file: File) -> AsyncGenerator[Part]:
        """Each page as a picture, and its words once more by themselves: who asks in words finds them better."""
        number = 0
        while True:
            try:
                page = await self.page(file.uri, file.info, number)
            except Validation as fault:
                if number == 0:
                    raise
                yield Part(None, {"page": number + 1}, fault=str(fault))
                return
            if page is None:
                return
            number += 1
            words = page if isinstance(page, str) else page.text or ""
            drawn = isinstance(page, Image)
            if isinstance(page, Image):
                yield Part(page, {"page": number}, words)
            for part in self._text(words, ""):  # BM25 finds a page's words once
                yield Part(part.content, {"page": number}, "" if drawn else part.text, shown=part.text)

    async def _ask(self, wanted: Describe | Page) -> Any:
        try:
            return await self._files.ask(wanted, _READ_SECONDS)
        except (ChildTimeout, ChildDied, MemoryError, HandlerFailed) as fault:
            raise Validation(f"The file breaks its reader ({fault or 'out of memory'}).") from None


def reads_whole(file: File) -> bool:
    """Whether a file is read at once, and not piece by piece.

    Raises:
        Validation: it is larger than is taken, or empty.
    """
    if file.kind not in (Kind.TEXT, Kind.IMAGE):
        return False
    check_size(file.uri, file.info, Modality(str(file.kind)))
    return True


def _heard_or_seen(piece: Piece) -> Part:
    place = {"start": round(piece.start, 3), "end": round(piece.end, 3)}
    if piece.film is not None:
        return Part(Video(piece.film.frames, piece.film.times, piece.sound), place)
    return Part(piece.sound, place, fault=piece.fault)


class _Words(html.parser.HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.parts: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self._hidden += tag in ("script", "style", "template")
        if tag in ("p", "br", "div", "li", "tr", "h1", "h2", "h3", "h4", "td", "th"):
            self.parts.append("\n" if tag not in ("td", "th") else " ")

    def handle_endtag(self, tag: str) -> None:
        self._hidden -= tag in ("script", "style", "template")

    def handle_data(self, data: str) -> None:
        if self._hidden <= 0:
            self.parts.append(data)


def _words_of_html(text: str) -> str:
    parser = _Words()
    parser.feed(text)
    parser.close()
    return "".join(parser.parts).strip()
