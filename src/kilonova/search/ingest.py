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
import hashlib
import json
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any

from kilonova.engine.engine import Engine
from kilonova.engine.patience import embed_patiently
from kilonova.media import subtitles
from kilonova.media.content import Modality
from kilonova.models.card import Purpose
from kilonova.search.files import PLACE, File, Kind, under
from kilonova.search.items import Part, Reading, Settings, reads_whole
from kilonova.storage.files import open_file, read_file
from kilonova.stores.base import Collection, Point, VectorStore
from kilonova.wire.errors import KilonovaError, Unavailable, Validation

__all__ = ["Tally", "ingest"]

_FILES, _PARTS = 16, 64  # under way at once
_MODALITIES = {kind: Modality(str(kind)) for kind in Kind if kind is not Kind.DOCUMENT} | {
    Kind.DOCUMENT: Modality.IMAGE
}
_BREAK = "\f"  # in a point's text, between what is said of the file and the words in it
_HASHED = 1 << 20
_OWN = ("uri", "name", "kind", "hash", "size", "stamp", "facts", "part", "parts", "fault", *PLACE)


_STATE = ("hash", "size", "stamp", "facts", "parts", "fault")


@dataclass
class Tally:
    """How far it is.

    Attributes:
        total: files found.
        unchanged, moved, added, changed, removed: what became of files.
        parts: points written.
        failed: files that could not be embedded, or not all of them, and why.
        strange: files of kinds that cannot be indexed.
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
    strange: list[str] = field(default_factory=list)
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
    files: Iterable[File],
    roots: Iterable[str],
    *,
    settings: Settings,
    facts: Mapping[str, Any] | None = None,
    tally: Tally | None = None,
    told: Callable[[Tally], None] = lambda _: None,
) -> Tally:
    """Bring a collection up to date with files.

    Args:
        store, collection: where to.
        engine: of the collection's model.
        files: what there is.
        roots: where ``files`` comes from: what the collection has from there and is gone is removed.
        settings: how files are cut.
        facts: what the user says of all of them.
        tally: counted on.
        told: called after every file.

    Raises:
        Unavailable: the store, S3 or the model cannot be used.
    """
    reading = Reading(engine.card, settings)
    run = _Run(store, collection, engine, reading, dict(facts or {}), tally or Tally(), told)
    begin = time.perf_counter()
    try:
        await run.all(list(files), list(roots))
    finally:
        reading.close()
    run.tally.seconds = time.perf_counter() - begin
    return run.tally


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

    async def all(self, files: list[File], roots: list[str]) -> None:
        self._known = await asyncio.to_thread(self._look)
        self._by_hash = {known.hash: uri for uri, known in self._known.items() if known.whole}
        self.tally.total += len(files)
        queue = iter(files)

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
        there = {file.uri for file in files}
        gone = [uri for uri in self._known if uri not in there and any(under(uri, root) for root in roots)]
        ids = {one for uri in gone for one in self._known[uri].ids}
        await asyncio.to_thread(self._store.delete, self._collection.name, ids)
        self.tally.removed += len(gone)
        if self._wrote or gone:
            await asyncio.to_thread(self._store.optimize, self._collection.name)

    def _look(self) -> dict[str, _Known]:
        found: dict[str, _Known] = {}
        hashes: dict[str, set[str]] = defaultdict(set)
        for point in self._store.scroll(self._collection.name, vectors=False):
            payload = point.payload
            uri = payload.get("uri")
            if uri is None:
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
        known = self._known.get(file.uri)
        try:
            said = {**await asyncio.to_thread(_sidecar, file), **self._facts}
            cues = await asyncio.to_thread(_cues, file)
            told = json.dumps([said, list(map(asdict, cues))] if cues else said, sort_keys=True)
            mark = hashlib.blake2b(told.encode(), digest_size=8).hexdigest()
            state = (file.info.size, file.info.etag, mark)
            if known is not None and known.whole and (known.size, known.stamp, known.facts) == state:
                self._count("unchanged", file, known.fault)
                return
            data = await asyncio.to_thread(read_file, file.uri, file.info) if reads_whole(file) else None
            digest = await asyncio.to_thread(_hash, file, data)
            points = await self._again(file, digest, mark, said, cues)
            if points is not None:
                became = "unchanged" if known is not None and known.hash == digest else "moved"
            else:
                became = "added" if known is None else "changed"
                points = await self._embedded(file, data, digest, mark, said, cues)
                self.tally.parts += len(points)
            await asyncio.to_thread(self._write, points, known)
            self._count(became, file, points[0].payload["fault"])
        except Unavailable:
            raise
        except KilonovaError as error:
            if known is not None:  # what it held is not there any more
                await asyncio.to_thread(self._store.delete, self._collection.name, known.ids)
            self.tally.failed.append((file.uri, str(error)))

    def _count(self, became: str, file: File, fault: str) -> None:
        if fault:
            self.tally.failed.append((file.uri, fault))
        else:
            setattr(self.tally, became, getattr(self.tally, became) + 1)

    def _write(self, points: list[Point], known: _Known | None) -> None:
        self._wrote = True
        self._store.upsert(self._collection.name, points)
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
        same = {"hash": digest, "kind": str(file.kind)}
        if len(there) != source.parts or any(one.payload[name] != same[name] for one in there for name in same):
            return None  # changed meanwhile, or read in another way
        described = {**await self._reading.describe(file), **said}
        points = []
        for point in sorted(there, key=lambda one: one.payload["part"]):
            place = {name: point.payload[name] for name in PLACE if name in point.payload}
            part = _spoken(file, Part(None, place, point.text.rpartition(_BREAK)[2]), cues)
            points.append(self._point(file, digest, mark, described, part, point.vector, point.payload["part"]))
        return _numbered(points, there[0].payload["fault"])

    async def _embedded(
        self, file: File, data: bytes | None, digest: str, mark: str, said: dict[str, Any], cues: list[subtitles.Cue]
    ) -> list[Point]:
        """The points of a file."""
        self._engine.require(_MODALITIES[file.kind])
        described = {**await self._reading.describe(file), **said}
        tasks: list[asyncio.Task[tuple[Part, Any]]] = []
        fault = ""
        try:
            async for part in self._reading.parts(file, data):
                if part.content is None:
                    fault = fault or part.fault
                    continue
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
            if isinstance(one, Validation):
                fault = fault or str(one)
            elif isinstance(one, BaseException):
                raise one
            else:
                part, vector = one
                part = _spoken(file, part, cues)
                points.append(self._point(file, digest, mark, described, part, vector, len(points)))
        if not points:
            raise Validation(fault or "There is nothing in it.")
        return _numbered(points, fault)

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
        text = "\n".join(spoken) + _BREAK + part.text.replace(_BREAK, "\n")
        return Point(f"{file.uri}#{number}", vector, payload, text)


def _cues(file: File) -> list[subtitles.Cue]:
    """What the subtitles beside a file say.

    Raises:
        Validation: they cannot be read.
    """
    found = [subtitles.read(read_file(uri, info), uri) for uri, info in file.subtitles]
    return [cue for one in found for cue in one]


def _spoken(file: File, part: Part, cues: list[subtitles.Cue]) -> Part:
    """A part with the words that subtitles have for its time; those of other kinds as they are."""
    if file.kind not in (Kind.AUDIO, Kind.VIDEO):
        return part
    place = {name: value for name, value in part.place.items() if name != "snippet"}
    return replace(part, place=place, text=subtitles.said(cues, place["start"], place["end"]))


def _numbered(points: list[Point], fault: str) -> list[Point]:
    more = {"parts": len(points), "fault": fault}
    return [Point(one.id, one.vector, {**one.payload, **more}, one.text) for one in points]


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


def _sidecar(file: File) -> dict[str, Any]:
    """What a JSON file beside the file says of it.

    Raises:
        Validation: it is no JSON object.
    """
    if file.sidecar is None:
        return {}
    uri, info = file.sidecar
    try:
        found = json.loads(read_file(uri, info))
    except ValueError as error:
        raise Validation(f"{uri} is no JSON: {error}.", "Mend it or take it away.") from None
    if not isinstance(found, dict):
        raise Validation(f"{uri} is no JSON object.", 'Write for example {"title": "Harbour"}.')
    return found
