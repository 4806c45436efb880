"""A collection of vectors of files: add folders, search, classify, find what is like something, copy."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from os import PathLike, fspath
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kilonova import _home
from kilonova.api.contents import Content
from kilonova.api.hits import Classification, Hits, classification
from kilonova.api.loop import Events, LoopThread
from kilonova.api.reading import InputReader, as_choice, several
from kilonova.client.shared import Shared
from kilonova.credentials import configured
from kilonova.engine.engine import Engine
from kilonova.engine.matryoshka import check_dimension
from kilonova.errors import InvalidInput, NotFound
from kilonova.media.content import Content as DecodedContent
from kilonova.media.content import Encoded
from kilonova.models.cards import MINI
from kilonova.models.registry import card
from kilonova.search import indexed, mounts
from kilonova.search.copy import copy_collection
from kilonova.search.ingest import ingest
from kilonova.search.query import UNLIKE, Fusion, Hit, Mode, Query, kind_filter
from kilonova.search.ranking import file_key
from kilonova.search.rerank import open_reranker
from kilonova.search.searcher import Searcher
from kilonova.segments.facts import keepable
from kilonova.segments.files import Kind
from kilonova.segments.listing import Listing, is_missing, look, resolve
from kilonova.segments.progress import OnProgress, Progress
from kilonova.segments.segment import Plan
from kilonova.stores import registry
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, VectorStore
from kilonova.stores.filters.tree import Exists, all_of, parse_optional

__all__ = ["Index", "choose_store"]

_LOOK_SECONDS = 2.0


class Index:
    """Files as vectors in a collection. Use as a context manager, or call ``close``; threads may share it.

    The model is loaded when it is first needed, and stays until the index is closed.

    Args:
        name: of the collection; it is made when something is added.
        model: that makes its vectors, ``kilonova-mini`` where nothing is said; ``NAME:text,image`` loads a part of it.
        dimension: of the vectors, 1024 where nothing is said.
        store: address of a vector store, see docs/search.md; "" is the embedded one in ``data``.
        data: the data folder; the user's where nothing is said.

    Example:
        >>> import kilonova
        >>> with kilonova.Index("photos") as index:
        ...     progress = index.add("Pictures", facts={"owner": "me"})
        ...     hits = index.search("海上的帆船", kinds=["image"], where="owner = me", limit=5)
        >>> progress.added, hits[0].payload["name"]
        (3, 'sailing.webp')
    """

    def __init__(
        self,
        name: str = "files",
        *,
        model: str | None = None,
        dimension: int | None = None,
        store: str = "",
        data: str | PathLike[str] | None = None,
    ) -> None:
        self.name, self._closed = name, True
        self._model, self._dimension = model, dimension
        self._folder = Path(data) if data is not None else _home.data()
        self._store = choose_store(self._folder, store)
        self._loop, self._closed = LoopThread(), False
        self._starting = asyncio.Lock()
        self._engine: Engine | None = None
        self._searchers: dict[str, Searcher] = {}
        self._reader = InputReader(MINI)  # documents are read alike for all models

    @property
    def store(self) -> VectorStore:
        """Where the collection lies, for what this class has no method for."""
        return self._store

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the model's process and close the store; may be called twice."""
        if self._closed:
            return
        self._closed = True
        try:
            if self._engine is not None or self._reader.started:
                self._loop.run(self._end_processes())
        finally:
            try:
                self._loop.close()
            finally:
                self._store.close()

    async def _end_processes(self) -> None:
        await self._reader.aclose()
        if self._engine is not None:
            await self._engine.__aexit__(None, None, None)

    def __del__(self) -> None:
        self.close()  # so that a notebook's cell that runs again finds the collection free

    def add(
        self,
        *paths: str | PathLike[str],
        facts: Mapping[str, Any] | None = None,
        seconds: float = 5.0,
        characters: int = 800,
        remove_missing: bool = False,
        on_progress: OnProgress | None = None,
    ) -> Progress:
        """Bring the collection up to date with files: what is new or changed is embedded, what is gone is removed.

        Args:
            paths: files, folders and ``s3://bucket/prefix``.
            facts: what is noted of all of them, JSON values by name, for filters.
            seconds: length of a segment of audio or video.
            characters: longest segment of a text.
            remove_missing: whether paths that are missing, empty or not mounted have lost their files indeed.
            on_progress: called after each file with the counts so far, which are the same object each time.

        Returns:
            What became of the files, and why some failed; these do not end the run.

        Raises:
            InvalidInput: none of the paths is there, or the collection is of another model or dimension.
            Unavailable: the store or the model cannot be used.
        """
        events = Events(on_progress)
        looks = self._looks(paths, facts, Plan(seconds, characters), remove_missing, events.put, None)
        return next(self._loop.iterate(looks, events))

    def watch(
        self,
        *paths: str | PathLike[str],
        facts: Mapping[str, Any] | None = None,
        seconds: float = 5.0,
        characters: int = 800,
        remove_missing: bool = False,
        on_progress: OnProgress | None = None,
        every: float = _LOOK_SECONDS,
    ) -> Iterator[Progress]:
        """``add`` again whenever files changed, without an end.

        Args:
            paths, facts, seconds, characters, remove_missing, on_progress: as of ``add``.
            every: seconds between two looks at the paths.
        """
        if every <= 0:
            raise InvalidInput("every must be above 0 seconds.")
        events = Events(on_progress)
        looks = self._looks(paths, facts, Plan(seconds, characters), remove_missing, events.put, every)
        return self._loop.iterate(looks, events)

    def search(
        self,
        *contents: Content,
        unlike: Sequence[str] = (),
        kinds: Sequence[str] = (),
        where: str = "",
        limit: int = 10,
        mode: str = "hybrid",
        fusion: str = "weights",
        min_similarity: float | None = None,
        diversity: float = 0.0,
        group_by_file: bool = True,
        relevant: Sequence[str] = (),
        irrelevant: Sequence[str] = (),
        exact: bool = False,
        rerank: str = "",
    ) -> Hits:
        """What is most like some contents, best first.

        Args:
            contents: texts, images, audio, videos, pages; several are added up.
            unlike: words that hits should not be like.
            kinds: of files: text, document, image, audio, video; () is all.
            where: a filter on what is known of files: ``year >= 2020 and camera = "X100"``.
            limit: hits at most.
            mode: ``hybrid``, ``vector``, or ``keyword`` (BM25).
            fusion: how hybrid puts both together: ``weights``, or ``ranks`` (reciprocal rank fusion).
            min_similarity: that a hit must have at least.
            diversity: 0 to 1, how unlike each other hits shall be.
            group_by_file: one hit for each file, with its best moments; otherwise each segment by itself.
            relevant, irrelevant: ids of hits that were right or wrong.
            exact: compare with every vector instead of asking the store's index.
            rerank: a cross-encoder that reads the words of the first hits again, a folder or a name.

        Raises:
            NotFound: there is no such collection, or no point of an id.
            InvalidInput: the filter or a content cannot be read.
        """
        query = Query(
            kinds=_kinds(kinds),
            where=parse_optional(where),
            limit=limit,
            min_similarity=min_similarity,
            diversity=diversity,
            group_by_file=group_by_file,
            relevant=tuple(several(relevant)),
            irrelevant=tuple(several(irrelevant)),
            exact=exact,
            mode=as_choice(Mode, mode, "mode"),
            fusion=as_choice(Fusion, fusion, "fusion"),
        )
        query = replace(query, contents=self._loop.run(self._contents(contents, several(unlike))))
        return self._loop.run(self._search(self._store.find(self.name), query, rerank))

    def similar(self, point: str | Hit, *, limit: int = 10, kinds: Sequence[str] = (), where: str = "") -> Hits:
        """The files most like one that is in the collection, without that file itself.

        Args:
            point: a hit, or the id of one.
            limit, kinds, where: as of ``search``.

        Raises:
            NotFound: there is no such point.
        """
        name = point.id if isinstance(point, Hit) else point
        collection = self._store.find(self.name)
        found = self._store.get(self.name, [name])
        if not found:
            raise NotFound(f"There is no point {name} in {self.name}.", "Take ids from hits.")
        query = Query(
            vector=found[0].vector,
            kinds=_kinds(kinds),
            where=parse_optional(where),
            limit=limit + 1,
            mode=Mode.VECTOR,
        )
        hits = self._loop.run(self._search(collection, query, ""))
        own = file_key(Hit(name, 0.0, found[0].payload))
        return Hits([hit for hit in hits if file_key(hit) != own][:limit])

    def classify(
        self, *contents: Content, label: str = "label", limit: int = 7, majority: bool = False
    ) -> list[Classification]:
        """What contents are by their nearest neighbours that have a label.

        Args:
            contents: each is classified for itself.
            label: the field that holds the label; of a list each value is one.
            limit: neighbours that vote.
            majority: every neighbour has one vote; otherwise near ones count more.

        Raises:
            InvalidInput: nothing in the collection has that field.
        """
        collection = self._store.find(self.name)
        found = self._loop.run(self._neighbours(collection, contents, label, limit))
        return [classification(hits, label, majority=majority) for hits in found]

    def copy(self, to: str = "", name: str = "", on_progress: Callable[[int], None] | None = None) -> int:
        """Copy the collection to another store or name, with vectors, payloads and words; a copy that fails is deleted.

        Args:
            to: address of the store; "" is this one.
            name: of the copy; "" is the same.
            on_progress: called with the number of points written so far.

        Returns:
            How many points the copy has.

        Raises:
            AlreadyExists: there is a collection of that name.
        """
        target = registry.open_store(to) if to else self._store
        try:
            made = copy_collection(self._store, self.name, target, name, on_progress or (lambda _: None))
            return target.count(made.name)
        finally:
            if target is not self._store:
                target.close()

    def count(self, where: str = "") -> int:
        """How many vectors there are, or how many a filter lets through."""
        return self._store.count(self.name, parse_optional(where))

    async def _looks(
        self,
        paths: Sequence[str | PathLike[str]],
        facts: Mapping[str, Any] | None,
        plan: Plan,
        remove_missing: bool,
        on_progress: OnProgress,
        every: float | None,
    ) -> AsyncGenerator[Progress]:
        kept, reasons = keepable(facts or {})
        if reasons:
            raise InvalidInput(reasons[0])
        roots = _roots(paths)
        collection = await asyncio.to_thread(self._find_or_create, roots)
        _home.private(self._folder)  # which notes what was indexed, wherever the vectors are
        engine = await self._engine_for(collection)
        before: Listing | None = None
        while True:
            listing = await asyncio.to_thread(look, roots)
            if listing != before:
                before = listing
                await asyncio.to_thread(mounts.compare, self._folder, listing, forget=remove_missing)
                uris = [file.uri for file in listing.files]
                await asyncio.to_thread(indexed.record, self._folder, collection.name, listing.roots, uris)
                yield await ingest(
                    self._store,
                    collection,
                    engine,
                    listing,
                    plan=plan,
                    facts=kept,
                    on_progress=on_progress,
                    remove_missing=remove_missing,
                )
                remove_missing = False
            if every is None:
                return
            await asyncio.sleep(every)

    def _find_or_create(self, roots: list[str]) -> Collection:
        """The collection, made when there is none."""
        model = card(self._model).id if self._model else ""
        try:
            found = self._store.find(self.name)
        except NotFound:
            if all(map(is_missing, roots)):  # before a collection is made for them
                raise InvalidInput(
                    f"There is no {', '.join(roots)}.", "Name files, folders, or s3://bucket/prefix."
                ) from None
            found = Collection(
                self.name, model or "kilonova-mini", 1024 if self._dimension is None else self._dimension
            )
            check_dimension(card(found.model), found.dimension)
            self._store.create(found)
        if (model or found.model, self._dimension or found.dimension) != (found.model, found.dimension):
            raise InvalidInput(
                f"{self.name} holds vectors of {found.dimension} dimensions by {found.model}, and cannot hold others.",
                f"Embed the files anew beside it: kilonova index FOLDER --collection {self.name}-2"
                + (f" --model {self._model}" if self._model else "")
                + (f" --dimension {self._dimension}" if self._dimension else ""),
            )
        return found

    async def _engine_for(self, collection: Collection) -> Engine:
        """The collection's model, loaded.

        Raises:
            InvalidInput: the index was made with another model.
        """
        async with self._starting:
            if self._engine is None:
                engine = Engine(self._model or collection.model)
                await engine.__aenter__()
                try:
                    await engine.ready()
                except BaseException:
                    await engine.__aexit__(None, None, None)
                    raise
                self._engine = engine
            if self._engine.card.id != collection.model:
                raise InvalidInput(
                    f"{self.name} holds vectors by {collection.model}; this index has {self._engine.card.id}.",
                    "Leave model out, or name the collection's.",
                )
            return self._engine

    async def _contents(
        self, contents: Sequence[Content], unlike: Iterable[str]
    ) -> list[tuple[DecodedContent | Encoded, float]]:
        read = [(await self._reader.read_single(content), 1.0) for content in contents]
        return read + [(await self._reader.read_single(text), UNLIKE) for text in unlike]

    async def _search(self, collection: Collection, query: Query, rerank: str) -> Hits:
        return Hits(await (await self._searcher(collection, rerank)).search(collection, query))

    async def _searcher(self, collection: Collection, rerank: str = "") -> Searcher:
        """Searches with the collection's model; it remembers what it measures similarities against."""
        engine = await self._engine_for(collection)
        if rerank not in self._searchers:
            reranker = await asyncio.to_thread(open_reranker, rerank) if rerank else None
            self._searchers[rerank] = Searcher(self._store, engine, reranker)
        return self._searchers[rerank]

    async def _neighbours(
        self, collection: Collection, contents: Sequence[Content], label: str, limit: int
    ) -> list[list[Hit]]:
        """For each content the nearest files of its own kind that have a label; of all kinds where none of it has."""
        searcher, labelled = await self._searcher(collection), Exists(label)
        found = []
        for content in contents:
            read = await self._reader.read_single(content)
            own = (Kind(str(read.modality)),)
            count = await asyncio.to_thread(self._store.count, self.name, all_of(labelled, kind_filter(own)))
            query = Query([(read, 1.0)], kinds=own if count else (), where=labelled, limit=limit, mode=Mode.VECTOR)
            found.append(await searcher.search(collection, query))
        return found


def choose_store(data: Path, address: str = "") -> VectorStore:
    """The store at an address, or else the collections of this machine in a data folder: through the server that has
    one open, if there is one.

    Raises:
        InvalidInput: it is no address of a store.
        Unavailable: the store cannot be reached.
    """
    if address:
        return registry.open_store(address)
    _home.private(data)
    return Shared(QdrantEdge(data / "collections"), configured.own_credential())


def _kinds(names: Sequence[str]) -> tuple[Kind, ...]:
    return tuple(as_choice(Kind, name, "kind of files") for name in several(names))


def _roots(paths: Sequence[str | PathLike[str]]) -> list[str]:
    names = [fspath(path) for path in paths]
    if not names or "" in names:  # a script's variable that is not set, which would mean the folder that it runs in
        raise InvalidInput("A path is empty.", "Name files, folders, or s3://bucket/prefix; . is the current folder.")
    return resolve(names)
