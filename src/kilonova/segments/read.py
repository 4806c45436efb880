"""The one way from a file to its segments, for asynchronous invocations, indexing and bulk embedding alike."""

from __future__ import annotations

import asyncio
import contextlib
import io
from collections.abc import AsyncGenerator, Iterator
from dataclasses import replace
from typing import Any, BinaryIO

from kilonova._process.parent import ChildDied, ChildTimeout
from kilonova._process.pipe import HandlerFailed
from kilonova._process.pool import Children
from kilonova.errors import InvalidInput, Unavailable, Unreadable
from kilonova.media import limits
from kilonova.media.content import Encoded, Image, Modality, Text
from kilonova.media.html import words_of_html
from kilonova.media.sniff import format_of_name
from kilonova.media.text import decode_stream, read
from kilonova.media.video import NoVideo
from kilonova.models.card import ModelCard
from kilonova.segments.document_worker import FactsRequest, PageRequest
from kilonova.segments.documents import Page
from kilonova.segments.files import File, Kind
from kilonova.segments.media import MediaProcesses, combine
from kilonova.segments.scratch import Scratch
from kilonova.segments.segment import Plan, Segment
from kilonova.segments.text import cut_text, readable_spans
from kilonova.storage.files import open_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["Readers", "check_size", "reads_whole"]

_READ_SECONDS = 60.0
_CRASHES = 3  # pages that crash their reader one after the other
_TEXT_CHUNK = 1 << 20


class _Crashed(Exception):
    """A file crashed its reader."""


class Readers:
    """Reads files, those that may crash their libraries in processes of their own.

    Args:
        card: of the model that the segments are for.
    """

    def __init__(self, card: ModelCard) -> None:
        self._media = MediaProcesses(card)
        self._places = asyncio.Semaphore(limits.DECODERS)  # reading scans keeps a core busy
        self._scratch: Scratch | None = None
        self._documents: Children | None = None

    def close(self) -> None:
        """End the processes, and remove what they left."""
        self._media.close()
        if self._documents is not None and self._scratch is not None:
            self._documents.close()
            self._scratch.close()

    async def describe(self, file: File) -> dict[str, Any]:
        """What a file says of itself as JSON values; nothing for one that crashes its reader.

        Raises:
            Gone, Unreadable: it cannot be read at present.
        """
        if file.kind is Kind.TEXT:
            return {}
        try:
            found: dict[str, Any] = await self._ask(FactsRequest(file.uri, file.info, file.kind))
        except _Crashed:
            return {}
        except Unavailable as error:
            raise Unreadable(error.message, error.hint) from error
        return found

    async def read(
        self, file: File, plan: Plan, *, data: bytes | None = None, first: int = 0
    ) -> AsyncGenerator[Segment]:
        """The segments of a file, in order.

        Args:
            file: which.
            plan: how to cut it.
            data: all of a text or an image, where it was read before.
            first: number of the first segment that is wanted.

        Raises:
            InvalidInput: nothing of it can be read, or it has too many segments.
            Gone, Unreadable: it cannot be read at present.
            Unavailable: S3 keeps failing.
        """
        async with contextlib.aclosing(self._read(file, plan, data, first)) as segments:
            async for segment in segments:
                if segment.index >= first:
                    yield segment

    def _read(self, file: File, plan: Plan, data: bytes | None, first: int) -> AsyncGenerator[Segment]:
        if file.kind is not Kind.DOCUMENT:
            check_size(file.uri, file.info, file.kind.modality)
        match file.kind:
            case Kind.TEXT:
                return _text(file, plan, data)
            case Kind.IMAGE:
                return _image(file, plan, data)
            case Kind.DOCUMENT:
                return self._document(file, plan)
        return self._audio_or_video(file, plan, first)

    async def _audio_or_video(self, file: File, plan: Plan, first: int) -> AsyncGenerator[Segment]:
        modality = file.kind.modality
        try:
            async with contextlib.aclosing(self._media.read(file, modality, plan.seconds, first)) as segments:
                async for segment in segments:
                    yield segment if plan.apart else combine(segment, keep_audio=not plan.verbatim)
        except NoVideo:  # said by the first segment
            if plan.verbatim:
                raise
            async with contextlib.aclosing(self._media.read(file, Modality.AUDIO, plan.seconds, first)) as segments:
                async for segment in segments:
                    yield segment

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

    async def _page(self, uri: str, info: ObjectInfo, number: int) -> Page | None:
        async with self._places:
            try:
                found: Page | None = await self._ask(PageRequest(uri, info, number))
            except _Crashed as error:
                return Page(None, "", f"Page {number + 1} breaks its reader ({error}).", crashed=True)
        return found

    async def _document(self, file: File, plan: Plan) -> AsyncGenerator[Segment]:
        """Each page as an image, and its words once more by themselves: who asks in words finds them better. A page
        that cannot be read is passed over."""
        number = crashes = index = 0
        while (page := await self._page(file.uri, file.info, number)) is not None:
            number += 1
            for segment in _of_page(page, number, plan):
                yield replace(segment, index=index)
                index += 1
            crashes = crashes + 1 if page.crashed else 0
            if crashes == _CRASHES:
                return  # nothing says where the end is

    async def _ask(self, request: FactsRequest | PageRequest) -> Any:
        try:
            return await self._document_processes().ask(request, _READ_SECONDS)
        except (ChildTimeout, ChildDied, MemoryError, HandlerFailed) as fault:
            reason = fault.kind if isinstance(fault, HandlerFailed) else str(fault)
            raise _Crashed(reason or "out of memory") from None

    def _document_processes(self) -> Children:
        if self._documents is None:
            # the folder is ours, for a reader that is killed leaves what is in it
            scratch = self._scratch = Scratch()
            self._documents = Children(
                "kilonova.segments.document_worker:handler",
                str(scratch.path),
                memory=limits.DECODE_MEMORY,
                dropped=lambda child: scratch.remove(str(child.pid)),
            )
        return self._documents


def reads_whole(file: File) -> bool:
    """Whether a file is read at once, and not piece by piece.

    Raises:
        InvalidInput: it is larger than is taken, or empty.
    """
    if file.kind not in (Kind.TEXT, Kind.IMAGE):
        return False
    check_size(file.uri, file.info, file.kind.modality)
    return True


def check_size(uri: str, info: ObjectInfo, modality: Modality) -> None:
    """Refuse a file that is empty or larger than is taken.

    Raises:
        InvalidInput: it is.
    """
    limit = limits.ASYNC_BYTES[modality]
    if info.size > limit:
        raise InvalidInput(f"{uri} has {info.size:,} bytes; at most {limit:,} are taken.", "Cut it into several files.")
    if not info.size:
        raise InvalidInput(f"{uri} is empty.")


def _open(file: File, data: bytes | None) -> BinaryIO:
    return open_file(file.uri, file.info, file.owner) if data is None else io.BytesIO(data)


async def _image(file: File, plan: Plan, data: bytes | None) -> AsyncGenerator[Segment]:
    def read_all() -> bytes:
        with _open(file, data) as opened:
            return opened.read()

    image = Encoded(Modality.IMAGE, await asyncio.to_thread(read_all), _format(file), plan.detail)
    yield Segment(0, (image,), position=1, length=1)


def _format(file: File) -> str:
    return file.format or format_of_name(file.name)


async def _text(file: File, plan: Plan, data: bytes | None) -> AsyncGenerator[Segment]:
    with _open(file, data) as opened:
        segments = _verbatim(file, opened, plan) if plan.verbatim else _readable(file, opened, plan)
        while (segment := await asyncio.to_thread(next, segments, None)) is not None:
            yield segment


def _verbatim(file: File, opened: BinaryIO, plan: Plan) -> Iterator[Segment]:
    """Segments that together are the whole text, read as they come."""
    position = 0
    chunks = iter(lambda: opened.read(_TEXT_CHUNK), b"")
    for index, span in enumerate(cut_text(decode_stream(chunks, file.uri), plan.characters)):
        if index >= limits.TEXT_SEGMENTS:
            raise InvalidInput(
                f"{file.uri} has more than {limits.TEXT_SEGMENTS:,} segments of {plan.characters:,} characters.",
                "Choose longer segments with maxLengthChars (at most 50,000), or cut the file.",
            )
        position += len(span.value.encode())
        content = Text(span.value, plan.truncation)
        yield Segment(index, (content,), span.start, span.end, position=position, length=file.info.size)


def _readable(file: File, opened: BinaryIO, plan: Plan) -> Iterator[Segment]:
    found = read(opened.read(), file.name)
    text = words_of_html(found.value) if file.name.lower().endswith((".html", ".htm")) else found.value
    for segment in _of_words(text, plan):
        yield replace(segment, encoding=found.encoding)


def _of_words(text: str, plan: Plan) -> Iterator[Segment]:
    index = 0
    for readable in readable_spans(text):
        for span in cut_text([readable.value], plan.characters):
            if span.value.strip():
                start, end = readable.start + span.start, readable.start + span.end
                yield Segment(index, (Text(span.value, plan.truncation),), start, end, text=span.value)
                index += 1


def _of_page(page: Page, number: int, plan: Plan) -> Iterator[Segment]:
    if page.fault:
        yield Segment(0, page=number, fault=page.fault)
    if page.image is not None:
        yield Segment(0, (page.image,), page=number, text=page.words)
    for segment in _of_words(page.words, plan):
        text = segment.text if page.image is None else ""  # BM25 finds a page's words once
        yield Segment(0, segment.contents, page=number, text=text, preview=segment.text)
