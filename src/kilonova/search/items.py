"""From a file to the parts of it that become points: segments with their times, pages, positions of characters."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator
from dataclasses import dataclass, field, replace
from typing import Any

from kilonova._process.parent import ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.errors import InvalidInput, Unavailable, Unreadable
from kilonova.jobs.reader import Wanted
from kilonova.jobs.sources import check_size, pieces, reading_processes
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Image, Modality, Text, Video
from kilonova.media.html import words_of_html
from kilonova.media.segments import Piece
from kilonova.media.sniff import format_of_name
from kilonova.media.text import read, segments, worth_reading
from kilonova.media.video import NoVideo
from kilonova.media.words import printable
from kilonova.models.card import ModelCard
from kilonova.search.reader import Describe, Page, PageFound
from kilonova.search.scratch import Scratch
from kilonova.segments.files import File, Kind
from kilonova.storage.objects import ObjectInfo

__all__ = ["Part", "Reading", "Settings", "reads_whole"]

_READ_SECONDS = 60.0
_SNIPPET = 200
_BREAKS = 3  # pages that break their reader one after the other


class _Broken(Exception):
    """A file broke its reader."""


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
        place: where in the file: ``start`` and ``end`` in seconds or characters, ``page`` from 1;
            ``encoding`` of a text that is not UTF-8.
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
        snippet = " ".join(printable(self.text or self.shown).split())[:_SNIPPET]
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
        self._readers = asyncio.Semaphore(limits.DECODERS)  # reading scans keeps a core busy
        # the folder is ours, for a reader that is killed leaves what is in it
        self._scratch = Scratch()
        self._files = Children(
            "kilonova.search.reader:handler",
            str(self._scratch.path),
            memory=limits.DECODE_MEMORY,
            dropped=lambda child: self._scratch.remove(str(child.pid)),
        )

    def close(self) -> None:
        """End the processes, and remove what they left."""
        self._media.close()
        self._files.close()
        self._scratch.close()

    async def describe(self, file: File) -> dict[str, Any]:
        """What a file says of itself; nothing for one that breaks its reader.

        Raises:
            Gone, Unreadable: it cannot be read at present.
        """
        if file.kind is Kind.TEXT:
            return {}
        try:
            found: dict[str, Any] = await self._ask(Describe(file.uri, file.info, file.kind))
        except _Broken:
            return {}
        except Unavailable as error:
            raise Unreadable(error.message, error.hint) from error
        return found

    async def parts(self, file: File, data: bytes | None) -> AsyncGenerator[Part]:
        """The parts of a file.

        Args:
            file: which.
            data: all of it, for texts and images.

        Raises:
            InvalidInput: nothing of it can be read.
            Unavailable: S3 keeps failing.
        """
        if file.kind is Kind.TEXT:
            assert data is not None
            found_text = read(data, file.name)
            encoding = {"encoding": found_text.encoding} if found_text.encoding else {}
            for part in self._text(found_text.value, file.name):
                yield replace(part, place={**part.place, **encoding})
        elif file.kind is Kind.IMAGE:
            assert data is not None
            yield Part(Encoded(Modality.IMAGE, data, format_of_name(file.name)))
        elif file.kind is Kind.DOCUMENT:
            async with contextlib.aclosing(self._pages(file)) as found:
                async for part in found:
                    yield part
        else:
            async with contextlib.aclosing(self._media_parts(file, Modality(str(file.kind)))) as found_parts:
                async for part in found_parts:
                    yield part

    async def _media_parts(self, file: File, modality: Modality) -> AsyncGenerator[Part]:
        """The segments of a film or a sound; a film's file that holds sound alone becomes one of the kind audio."""
        check_size(file.uri, file.info, modality)
        wanted = Wanted(file.uri, None, file.info, modality, self._settings.seconds, 0)
        kind = {} if modality == str(file.kind) else {"kind": str(modality)}
        try:
            async with contextlib.aclosing(pieces(wanted, self._media)) as found:
                async for piece in found:
                    part = _heard_or_seen(piece)
                    yield replace(part, place={**part.place, **kind})
        except NoVideo:  # said by the first piece
            if modality is Modality.AUDIO:
                raise
            async with contextlib.aclosing(self._media_parts(file, Modality.AUDIO)) as heard:
                async for part in heard:
                    yield part

    def _text(self, text: str, name: str) -> Iterator[Part]:
        if name.lower().endswith((".html", ".htm")):
            text = words_of_html(text)
        for start, piece in worth_reading(text):
            for one in segments([piece], self._settings.characters):
                if one.value.strip():
                    yield Part(Text(one.value), {"start": start + one.start, "end": start + one.end}, one.value)

    async def page(self, uri: str, info: ObjectInfo, number: int) -> Image | str | None:
        """A page of a document, from 0, or its words where it cannot be drawn; None after the last one.

        Raises:
            InvalidInput: it cannot be read.
            Unavailable: S3 keeps failing.
        """
        found = await self._page(uri, info, number)
        if found is None:
            return None
        if found.image is None and found.fault and not found.words:
            raise InvalidInput(found.fault)
        return found.image or found.words

    async def _page(self, uri: str, info: ObjectInfo, number: int) -> PageFound | None:
        async with self._readers:
            try:
                found: PageFound | None = await self._ask(Page(uri, info, number))
            except _Broken as error:
                return PageFound(None, "", f"Page {number + 1} breaks its reader ({error}).", broken=True)
        return found

    async def _pages(self, file: File) -> AsyncGenerator[Part]:
        """Each page as a picture, and its words once more by themselves: who asks in words finds them better. A page
        that cannot be read is passed over."""
        number = broken = 0
        while (page := await self._page(file.uri, file.info, number)) is not None:
            number += 1
            if page.fault:
                yield Part(None, {"page": number}, fault=page.fault)
            broken = broken + 1 if page.broken else 0
            if broken == _BREAKS:
                return  # nothing says where the end is
            if page.image is not None:
                yield Part(page.image, {"page": number}, page.words)
            for part in self._text(page.words, ""):  # BM25 finds a page's words once
                text = part.text if page.image is None else ""
                yield Part(part.content, {"page": number}, text, shown=part.text)

    async def _ask(self, wanted: Describe | Page) -> Any:
        try:
            return await self._files.ask(wanted, _READ_SECONDS)
        except (ChildTimeout, ChildDied, MemoryError, HandlerFailed) as fault:
            said = fault.kind if isinstance(fault, HandlerFailed) else str(fault)
            raise _Broken(said or "out of memory") from None


def reads_whole(file: File) -> bool:
    """Whether a file is read at once, and not piece by piece.

    Raises:
        InvalidInput: it is larger than is taken, or empty.
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
