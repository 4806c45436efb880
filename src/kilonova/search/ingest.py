"""Files into a collection, and only what changed.

A file's points are written at once, all of them or none, so that a run that is killed leaves whole files behind and
the next one goes on with the others. What is known of a file stands in its points and nowhere else:

    uri, name, kind    of the file
    hash, size, stamp  its content (BLAKE2b), its bytes, its ETag or time of change
    facts              hash of what the user, its sidecar and its subtitles say of it
    part, parts        number of the point among those of its file
    fault              why something of the file is missing
    start, end, page   where in the file
    snippet            the beginning of its words
    …                  date, year, camera, title and so on, as the file says, the sidecar says, the user says
"""

from __future__ import annotations

import asyncio
import codecs
import contextlib
import hashlib
import json
import time
from collections import Counter, defaultdict
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kilonova.engine.engine import Engine
from kilonova.engine.patience import embed_patiently
from kilonova.errors import Gone, InternalError, InvalidInput, KilonovaError, Unavailable, Unreadable
from kilonova.media import subtitles
from kilonova.media.content import Modality
from kilonova.media.words import printable
from kilonova.models.card import Purpose
from kilonova.search.beside import Beside, read_beside
from kilonova.search.items import Part, Reading, Settings, reads_whole
from kilonova.search.removal import removal
from kilonova.segments.files import PLACE, File, Kind
from kilonova.segments.listing import Listing
from kilonova.segments.skipped import EMPTY
from kilonova.storage.files import name_of, open_file, read_file
from kilonova.stores.base import Collection, Point, VectorStore
from kilonova.stores.checks import MAX_TEXT

__all__ = ["Tally", "ingest"]

_FILES, _PARTS = 16, 64  # under way at once
_MOST_PARTS = 50_000  # of one file, which are in memory together: 40 MB of text
_MODALITIES = {kind: Modality(str(kind)) for kind in Kind if kind is not Kind.DOCUMENT} | {
    Kind.DOCUMENT: Modality.IMAGE
}
_BREAK = "\f"  # in a point's text, between what is said of the file and the words in it
_HASHED = 1 << 20
_OWN = ("uri", "name", "kind", "hash", "size", "stamp", "facts", "part", "parts", "fault", *PLACE)


_STATE = {"hash": str, "size": int, "stamp": str, "facts": str, "parts": int, "fault": str}
_FAULTS = 5  # of one file that are listed
# What the end of the process or of the run looks like; everything else that one file raises is its own.
_ENDS = (KeyboardInterrupt, SystemExit, GeneratorExit, asyncio.CancelledError)
_BLANKS = b" \t\r\n\v\f\0"  # in UTF-8, and in UTF-16 with the zeros between


@dataclass
class Tally:
    """How far it is.

    Attributes:
        total: files found.
        unchanged, moved, added, changed, removed: what became of files.
        parts: points written.
        failed: files that could not be embedded, or not all of them, and why; files, folders and roots that could not
            be looked at.
        warnings: what lies beside files and could not be read, and why.
        other: files of kinds that cannot be indexed, by ending.
        skipped: what was passed over, by kind.
        seconds: how long it took.
    """

    total: int = 0
    unchanged: int = 0
    moved: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    parts: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Files dealt with."""
        return self.unchanged + self.moved + self.added + self.changed + len(self.failed)


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
    settings: Settings,
    facts: Mapping[str, Any] | None = None,
    tally: Tally | None = None,
    told: Callable[[Tally], None] = lambda _: None,
    remove_missing: bool = False,
) -> Tally:
    """Bring a collection up to date with files. Whatever one file does is its entry among the failures.

    Args:
        store, collection: where to.
        engine: of the collection's model.
        listing: what there is, and where: what the collection has from there and is known to be gone is removed.
        settings: how files are cut.
        facts: what the user says of all of them.
        tally: counted on.
        told: called after every file.
        remove_missing: whether roots that are not there, are empty or not mounted have lost their files indeed.

    Raises:
        Unavailable: the store or the model cannot be used.
    """
    reading = Reading(engine.card, settings)
    run = _Run(store, collection, engine, reading, dict(facts or {}), tally or Tally(), told)
    begin = time.perf_counter()
    try:
        await run.all(listing, remove_missing)
    finally:
        reading.close()
        run.tally.seconds = time.perf_counter() - begin
    return run.tally


class _Blank(Exception):
    """A file without words: people's folders have them, and nothing is wrong with them."""


class _Run:
    def __init__(
        self,
        store: VectorStore,
        collection: Collection,
        engine: Engine,
        reading: Reading,
        facts: dict[str, Any],
        tally: Tally,
        told: Callable[[Tally], None],
    ) -> None:
        self._store, self._collection, self._engine, self._reading = store, collection, engine, reading
        self._facts, self.tally, self._told = facts, tally, told
        self._places = asyncio.Semaphore(_PARTS)
        self._known: dict[str, _Known] = {}
        self._by_hash: dict[str, str] = {}
        self._wrote = False
        self._vanished: set[str] = set()

    async def all(self, listing: Listing, remove_missing: bool) -> None:
        self._known = await asyncio.to_thread(self._look)
        self._by_hash = {known.hash: uri for uri, known in self._known.items() if known.whole}
        self.tally.total += len(listing.files)
        self.tally.other += listing.other
        self.tally.skipped += listing.skipped
        self.tally.failed += [fault for fault in listing.faults if not (remove_missing and fault[0] in listing.missing)]
        queue = iter(listing.files)

        async def work() -> None:
            for file in queue:
                await self._file(file)
                self._told(self.tally)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(_FILES):
                    group.create_task(work())
        except* KilonovaError as errors:
            raise errors.exceptions[0] from None
        await self._remove(listing, remove_missing)

    async def _remove(self, listing: Listing, remove_missing: bool) -> None:
        found = await asyncio.to_thread(removal, listing, self._known, self._vanished, remove_missing=remove_missing)
        self.tally.failed += found.faults
        self.tally.total -= len(self._vanished)
        ids = {one for uri in found.gone for one in self._known[uri].ids}
        await asyncio.to_thread(self._store.delete, self._collection.name, ids)
        self.tally.removed += len(found.gone)
        if self._wrote or found.gone:
            await asyncio.to_thread(self._store.optimize, self._collection.name)

    def _look(self) -> dict[str, _Known]:
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

    async def _file(self, file: File) -> None:
        try:
            await self._settle(file)
        except (Unavailable, *_ENDS):
            raise
        # a parser's crash, a panic of a library in Rust (no Exception), a fault of ours: the others go on
        except BaseException as error:
            self._fail(file, f"It breaks what reads or keeps it ({type(error).__name__}: {error}).")

    def _fail(self, file: File, reason: str) -> None:
        self.tally.failed.append((file.uri, printable(reason)))

    async def _settle(self, file: File) -> None:
        known = self._known.get(file.uri)
        try:
            await self._update(file, known)
        except Gone:
            self._vanished.add(file.uri)  # deleted while the run went on
        except _Blank:
            await self._forget(known)
            self.tally.skipped[EMPTY] += 1
            self.tally.removed += known is not None
            self.tally.total -= 1
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
        self.tally.warnings += beside.warnings
        said = {**beside.facts, **self._facts}
        mark = _mark(file, said, beside)
        state = (file.info.size, file.info.etag)
        same = known is not None and known.whole and (known.size, known.stamp) == state
        if known is not None and same and (beside.unsure or known.facts == mark):
            self._count("unchanged", file, known.fault)
            return
        data, digest = await asyncio.to_thread(_read, file)
        points = await self._again(file, digest, mark, said, beside.cues)
        if points is not None:
            became = "unchanged" if known is not None and known.hash == digest else "moved"
        else:
            became = "added" if known is None else "changed"
            points = await self._embedded(file, data, digest, mark, said, beside.cues)
            self.tally.parts += len(points)
        await asyncio.to_thread(self._write, points, known)
        self._count(became, file, points[0].payload["fault"])

    def _count(self, became: str, file: File, fault: str) -> None:
        if fault:
            self.tally.failed.append((file.uri, fault))
        else:
            setattr(self.tally, became, getattr(self.tally, became) + 1)

    def _write(self, points: list[Point], known: _Known | None) -> None:
        self._wrote = True
        try:
            self._store.upsert(self._collection.name, points)
        except InvalidInput as error:  # nothing is wrong with the file
            raise InternalError(error.message, error.hint) from error
        stale = (known.ids if known is not None else set()) - {point.id for point in points}
        self._store.delete(self._collection.name, stale)

    async def _again(
        self, file: File, digest: str, mark: str, said: dict[str, Any], cues: list[subtitles.Cue]
    ) -> list[Point] | None:
        """The points of a file whose content the collection has already, under this name or another."""
        source = self._known.get(self._by_hash.get(digest, ""))
        if source is None or not source.whole:
            return None
        ids = sorted(source.ids)
        there = await asyncio.to_thread(self._store.get, self._collection.name, ids)
        # a film's file may hold sound alone, and then is of that kind
        kinds = {str(file.kind)} | ({str(Kind.AUDIO)} if file.kind is Kind.VIDEO else set())
        if len(there) != source.parts or any(
            one.payload["hash"] != digest or one.payload["kind"] not in kinds for one in there
        ):
            return None  # changed meanwhile, or read in another way
        described = {**await self._reading.describe(file), **said}
        points = []
        for point in sorted(there, key=lambda one: one.payload["part"]):
            place = {name: point.payload[name] for name in (*PLACE, "kind") if name in point.payload}
            part = _spoken(file, Part(None, place, point.text.rpartition(_BREAK)[2]), cues)
            points.append(self._point(file, digest, mark, described, part, point.vector, point.payload["part"]))
        return _numbered(points, there[0].payload["fault"])

    async def _embedded(
        self, file: File, data: bytes | None, digest: str, mark: str, said: dict[str, Any], cues: list[subtitles.Cue]
    ) -> list[Point]:
        """The points of a file."""
        try:
            self._engine.require(_MODALITIES[file.kind])
        except InvalidInput as error:  # nothing is wrong with the file: what is known of it stays
            raise Unreadable(error.message, error.hint) from None
        described = {**await self._reading.describe(file), **said}
        tasks: list[asyncio.Task[tuple[Part, Any]]] = []
        faults: list[str] = []
        try:
            async for part in self._parts(file, data):
                if part.content is None:
                    faults.append(part.fault)
                    continue
                if len(tasks) == _MOST_PARTS:
                    faults.append(f"Only its first {_MOST_PARTS:,} parts are indexed. Cut it into several files.")
                    break
                await self._places.acquire()
                task = asyncio.create_task(self._vector(part))
                task.add_done_callback(lambda _: self._places.release())
                tasks.append(task)
            found = await asyncio.gather(*tasks, return_exceptions=True)
        finally:
            for task in tasks:
                task.cancel()
        points: list[Point] = []
        for one in found:
            if isinstance(one, InvalidInput):
                faults.append(str(one))
            elif isinstance(one, BaseException):
                raise one
            else:
                part, vector = one
                part = _spoken(file, part, cues)
                points.append(self._point(file, digest, mark, described, part, vector, len(points)))
        if not points and not faults:
            raise _Blank
        fault = _joined(faults)
        if not points:
            raise InvalidInput(fault)
        return _numbered(points, fault)

    async def _parts(self, file: File, data: bytes | None) -> AsyncGenerator[Part]:
        try:
            async with contextlib.aclosing(self._reading.parts(file, data)) as found:
                async for part in found:
                    yield part
        except Unavailable as error:  # S3 fails on this object; the store's and the model's end the run
            raise Unreadable(str(error)) from error

    async def _vector(self, part: Part) -> tuple[Part, Any]:
        assert part.content is not None
        found = await embed_patiently(self._engine, part.content, Purpose.GENERIC_INDEX, self._collection.dimension)
        return part, found.vector

    def _point(
        self,
        file: File,
        digest: str,
        mark: str,
        described: dict[str, Any],
        part: Part,
        vector: Any,
        number: int,
    ) -> Point:
        payload = {
            **{name: value for name, value in described.items() if name not in _OWN},
            "uri": file.uri,
            "name": file.name,
            "kind": str(file.kind),
            "hash": digest,
            "size": file.info.size,
            "stamp": file.info.etag,
            "facts": mark,
            "part": number,
            **part.described,
        }
        spoken = [file.name.rpartition(".")[0], *(value for value in described.values() if isinstance(value, str))]
        text = printable("\n".join(spoken).replace(_BREAK, "\n") + _BREAK + part.text.replace(_BREAK, "\n"))[:MAX_TEXT]
        return Point(f"{file.uri}#{number}", vector, payload, text)


def _spoken(file: File, part: Part, cues: list[subtitles.Cue]) -> Part:
    """A part with the words that subtitles have for its time; those of other kinds as they are."""
    if file.kind not in (Kind.AUDIO, Kind.VIDEO):
        return part
    place = {name: value for name, value in part.place.items() if name != "snippet"}
    return replace(part, place=place, text=subtitles.said(cues, place["start"], place["end"]))


def _numbered(points: list[Point], fault: str) -> list[Point]:
    more = {"parts": len(points), "fault": fault}
    return [Point(one.id, one.vector, {**one.payload, **more}, one.text) for one in points]


def _joined(faults: Sequence[str]) -> str:
    """What is wrong with parts of a file, each once."""
    every = list(dict.fromkeys(map(printable, faults)))
    more = f" And {len(every) - _FAULTS} more." if len(every) > _FAULTS else ""
    return " ".join(every[:_FAULTS]) + more


def _mark(file: File, said: dict[str, Any], beside: Beside) -> str:
    """Hash of everything that is said of a file."""
    found: Any = [said, list(map(asdict, beside.cues))] if beside.cues else said
    name = name_of(file.uri)
    if name != file.name:  # what was indexed before names were composed is written anew
        found = [found, name]
    return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=8).hexdigest()


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
