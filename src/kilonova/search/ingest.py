"""Files into a collection, and only what changed.

A file's points are written at once, all of them or none, so that a run that is killed leaves whole files behind and
the next one goes on with the others. ``points`` says what stands in them.
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import time
from collections import defaultdict
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.errors import Gone, InternalError, InvalidInput, KilonovaError, Unavailable, Unreadable
from kilonova.media import subtitles
from kilonova.media.words import printable
from kilonova.models.card import Purpose
from kilonova.search.beside import read_beside
from kilonova.search.points import FilePoints, facts_hash, join_faults, number_points
from kilonova.search.removal import removal
from kilonova.segments.embed import EmbeddedSegment, embed
from kilonova.segments.files import File, Kind
from kilonova.segments.listing import Listing
from kilonova.segments.progress import OnProgress, Progress
from kilonova.segments.read import Readers, reads_whole
from kilonova.segments.segment import Plan, Segment
from kilonova.segments.skipped import EMPTY
from kilonova.storage.files import open_file, read_file
from kilonova.stores.base import Collection, Point, VectorStore

__all__ = ["ingest"]

_FILES, _SEGMENTS = 16, 64  # under way at once
_MOST_SEGMENTS = 50_000  # of one file, which are in memory together: 40 MB of text
_HASHED = 1 << 20


_STATE = {"hash": str, "size": int, "stamp": str, "facts": str, "parts": int, "fault": str}
# What the end of the process or of the run looks like; everything else that one file raises is its own.
_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
_BLANKS = b" \t\r\n\v\f\0"  # in UTF-8, and in UTF-16 with the zeros between


@dataclass
class _Known:
    """What the collection has of a file."""

    hash: str
    size: int
    stamp: str
    facts: str
    parts: int
    fault: str
    ids: set[str] = field(default_factory=set)

    @property
    def whole(self) -> bool:
        return len(self.ids) == self.parts


async def ingest(
    store: VectorStore,
    collection: Collection,
    engine: Engine,
    listing: Listing,
    *,
    plan: Plan,
    facts: Mapping[str, Any] | None = None,
    progress: Progress | None = None,
    on_progress: OnProgress = lambda _: None,
    remove_missing: bool = False,
) -> Progress:
    """Bring a collection up to date with files. Whatever one file does is its entry among the failures.

    Args:
        store, collection: where to.
        engine: of the collection's model.
        listing: what there is, and where: what the collection has from there and is known to be gone is removed.
        plan: how files are cut.
        facts: what the user says of all of them.
        progress: counted on.
        on_progress: called after every file.
        remove_missing: whether roots that are not there, are empty or not mounted have lost their files indeed.

    Raises:
        Unavailable: the store or the model cannot be used.
    """
    readers = Readers(engine.card)
    progress = progress or Progress()
    run = _Run(store, collection, engine, readers, plan, dict(facts or {}), progress, on_progress)
    begin = time.perf_counter()
    try:
        await run.run(listing, remove_missing)
    finally:
        readers.close()
        progress.seconds = time.perf_counter() - begin
    return progress


class _Blank(Exception):
    """A file without words: people's folders have them, and nothing is wrong with them."""


class _Run:
    def __init__(
        self,
        store: VectorStore,
        collection: Collection,
        engine: Engine,
        readers: Readers,
        plan: Plan,
        facts: dict[str, Any],
        progress: Progress,
        on_progress: OnProgress,
    ) -> None:
        self._store, self._collection, self._engine = store, collection, engine
        self._readers, self._plan = readers, plan
        self._facts, self._progress, self._on_progress = facts, progress, on_progress
        self._places = asyncio.Semaphore(_SEGMENTS)
        self._known: dict[str, _Known] = {}
        self._by_hash: dict[str, str] = {}
        self._wrote = False
        self._vanished: set[str] = set()

    async def run(self, listing: Listing, remove_missing: bool) -> None:
        self._known = await asyncio.to_thread(self._read_known)
        self._by_hash = {known.hash: uri for uri, known in self._known.items() if known.whole}
        self._progress.total += len(listing.files)
        self._progress.complete = True
        self._progress.other += listing.other
        self._progress.skipped += listing.skipped
        self._progress.failed += [
            fault for fault in listing.faults if not (remove_missing and fault[0] in listing.missing)
        ]
        queue = iter(listing.files)

        async def work() -> None:
            for file in queue:
                await self._index_file(file)
                self._on_progress(self._progress)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_FILES):
                    group.create_task(work())
        except* KilonovaError as errors:
            raise errors.exceptions[0] from None
        await self._remove(listing, remove_missing)

    async def _remove(self, listing: Listing, remove_missing: bool) -> None:
        found = await asyncio.to_thread(removal, listing, self._known, self._vanished, remove_missing=remove_missing)
        self._progress.failed += found.faults
        self._progress.total -= len(self._vanished)
        ids = {one for uri in found.gone for one in self._known[uri].ids}
        await asyncio.to_thread(self._store.delete, self._collection.name, ids)
        self._progress.removed += len(found.gone)
        if self._wrote or found.gone:
            await asyncio.to_thread(self._store.optimize, self._collection.name)

    def _read_known(self) -> dict[str, _Known]:
        found: dict[str, _Known] = {}
        hashes: dict[str, set[str]] = defaultdict(set)
        for point in self._store.scroll(self._collection.name, vectors=False):
            payload = point.payload
            uri = payload.get("uri")
            if not isinstance(uri, str) or not all(isinstance(payload.get(name), of) for name, of in _STATE.items()):
                continue  # written by somebody else
            hashes[uri].add(payload["hash"] + payload["facts"])
            if uri not in found:
                found[uri] = _Known(**{name: payload[name] for name in _STATE})
            found[uri].ids.add(point.id)
        for uri, known in found.items():
            if len(hashes[uri]) > 1:
                known.parts = -1  # points of two states: not whole
        return found

    async def _index_file(self, file: File) -> None:
        try:
            await self._index_or_report(file)
        except (Unavailable, *_ENDS):
            raise
        # a parser's crash, a panic of a library in Rust (no Exception), a fault of ours: the others go on
        except BaseException as error:
            self._fail(file, f"It breaks what reads or keeps it ({type(error).__name__}: {error}).")

    def _fail(self, file: File, reason: str) -> None:
        self._progress.failed.append((file.uri, printable(reason)))

    async def _index_or_report(self, file: File) -> None:
        known = self._known.get(file.uri)
        try:
            await self._update(file, known)
        except Gone:
            self._vanished.add(file.uri)  # deleted while the run went on
        except _Blank:
            await self._forget(known)
            self._progress.skipped[EMPTY] += 1
            self._progress.removed += known is not None
            self._progress.total -= 1
        except Unavailable:
            raise
        except InvalidInput as error:
            if not isinstance(error, Unreadable):  # else nobody knows what it holds; what is known stays
                await self._forget(known)
            self._fail(file, str(error))
        except KilonovaError as error:  # the model failed, not the file
            self._fail(file, str(error))

    async def _forget(self, known: _Known | None) -> None:
        """Delete what a file held and does not hold any more."""
        if known is not None:
            await asyncio.to_thread(self._store.delete, self._collection.name, known.ids)

    async def _update(self, file: File, known: _Known | None) -> None:
        beside = await asyncio.to_thread(read_beside, file)
        self._progress.warnings += beside.warnings
        facts = {**beside.facts, **self._facts}
        mark = facts_hash(file, facts, beside)
        state = (file.info.size, file.info.etag)
        same = known is not None and known.whole and (known.size, known.stamp) == state
        if known is not None and same and (beside.unsure or known.facts == mark):
            self._count("unchanged", file, known.fault)
            return
        data, digest = await asyncio.to_thread(_read, file)
        points = await self._reuse_points(file, digest, mark, facts, beside.cues)
        if points is not None:
            outcome = "unchanged" if known is not None and known.hash == digest else "moved"
        else:
            outcome = "added" if known is None else "changed"
            points = await self._embed_file(file, data, digest, mark, facts, beside.cues)
            self._progress.segments += len(points)
        await asyncio.to_thread(self._write, points, known)
        self._count(outcome, file, points[0].payload["fault"])

    def _count(self, outcome: str, file: File, fault: str) -> None:
        if fault:
            self._progress.failed.append((file.uri, fault))
        else:
            setattr(self._progress, outcome, getattr(self._progress, outcome) + 1)

    def _write(self, points: list[Point], known: _Known | None) -> None:
        self._wrote = True
        try:
            self._store.upsert(self._collection.name, points)
        except InvalidInput as error:  # nothing is wrong with the file
            raise InternalError(error.message, error.hint) from error
        stale = (known.ids if known is not None else set()) - {point.id for point in points}
        self._store.delete(self._collection.name, stale)

    async def _reuse_points(
        self, file: File, digest: str, mark: str, facts: dict[str, Any], cues: list[subtitles.Cue]
    ) -> list[Point] | None:
        """The points of a file whose content the collection has already, under this name or another."""
        source = self._known.get(self._by_hash.get(digest, ""))
        if source is None or not source.whole:
            return None
        ids = sorted(source.ids)
        there = await asyncio.to_thread(self._store.get, self._collection.name, ids)
        # a video file may hold audio alone, and then is of that kind
        kinds = {str(file.kind)} | ({str(Kind.AUDIO)} if file.kind is Kind.VIDEO else set())
        if len(there) != source.parts or any(
            one.payload["hash"] != digest or one.payload["kind"] not in kinds for one in there
        ):
            return None  # changed meanwhile, or read in another way
        make = FilePoints(file, digest, mark, {**await self._readers.describe(file), **facts}, cues)
        points = [make.of_point(point) for point in sorted(there, key=lambda one: one.payload["part"])]
        return number_points(points, there[0].payload["fault"])

    async def _embed_file(
        self, file: File, data: bytes | None, digest: str, mark: str, facts: dict[str, Any], cues: list[subtitles.Cue]
    ) -> list[Point]:
        """The points of a file."""
        try:
            self._engine.require(file.kind.modality)
        except InvalidInput as error:  # nothing is wrong with the file: what is known of it stays
            raise Unreadable(error.message, error.hint) from None
        make = FilePoints(file, digest, mark, {**await self._readers.describe(file), **facts}, cues)
        points: list[Point] = []
        faults: list[str] = []
        segments, dimension = self._segments(file, data), self._collection.dimension
        stream = embed(self._engine, segments, Purpose.GENERIC_INDEX, dimension, self._places)
        async with contextlib.aclosing(stream):
            async for embedded in stream:
                vector = _vector(embedded, faults)
                if vector is None:
                    continue
                if len(points) == _MOST_SEGMENTS:
                    faults.append(f"Only its first {_MOST_SEGMENTS:,} parts are indexed. Cut it into several files.")
                    break
                points.append(make.of_segment(embedded.segment, vector, len(points)))
        if not points and not faults:
            raise _Blank
        fault = join_faults(faults)
        if not points:
            raise InvalidInput(fault)
        return number_points(points, fault)

    async def _segments(self, file: File, data: bytes | None) -> AsyncGenerator[Segment]:
        try:
            async with contextlib.aclosing(self._readers.read(file, self._plan, data=data)) as segments:
                async for segment in segments:
                    yield segment
        except Unavailable as error:  # S3 fails on this object; the store's and the model's end the run
            raise Unreadable(str(error)) from error


def _vector(embedded: EmbeddedSegment, faults: list[str]) -> np.ndarray | None:
    """The vector of a segment; None where a fault is noted instead.

    Raises:
        KilonovaError: the model failed.
    """
    if not embedded.results:
        faults.append(embedded.segment.fault)
        return None
    (result,) = embedded.results  # a video's frames and audio are embedded together
    if isinstance(result, InvalidInput):
        faults.append(str(result))
        return None
    if isinstance(result, KilonovaError):
        raise result
    return result.vector


def _read(file: File) -> tuple[bytes | None, str]:
    """All of a file that is read at once, and the hash of its content.

    Raises:
        Gone, Unreadable: it cannot be read.
        InvalidInput: it is too large.
        _Blank: there are no words in it.
    """
    try:
        data = read_file(file.uri, file.info) if reads_whole(file) else None
        if file.kind is Kind.TEXT and data is not None and _is_blank(data):
            raise _Blank
        return data, _hash(file, data)
    except Unavailable as error:  # S3 fails on this object; the others go on
        raise Unreadable(str(error)) from error
    except OSError as error:
        raise Unreadable(f"{file.uri} cannot be read: {error.strerror}.") from error


def _is_blank(data: bytes) -> bool:
    for mark in (codecs.BOM_UTF8, codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE):
        data = data.removeprefix(mark)
    return not data.strip(_BLANKS)


def _hash(file: File, data: bytes | None) -> str:
    digest = hashlib.blake2b(digest_size=16)
    if file.uri.startswith("s3://"):  # its ETag tells contents apart; the bytes would be fetched a second time
        digest.update(f"{file.info.etag} {file.info.size}".encode())
    elif data is not None:
        digest.update(data)
    else:
        with open_file(file.uri, file.info) as opened:
            while chunk := opened.read(_HASHED):
                digest.update(chunk)
    return digest.hexdigest()
