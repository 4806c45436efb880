"""What the command line does on this machine: collections in the user's folder, a model of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncGenerator, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kilonova import _home
from kilonova.client.shared import Shared
from kilonova.credentials import configured as identity
from kilonova.engine.engine import Engine
from kilonova.errors import InvalidInput, NotFound
from kilonova.media.content import Encoded, Image, Text
from kilonova.models.registry import card
from kilonova.search import indexed, mounts
from kilonova.search.ingest import ingest
from kilonova.search.query import Hit, Mode, Query, kind_filter
from kilonova.search.rerank import Reranker
from kilonova.search.searcher import Searcher
from kilonova.segments import files
from kilonova.segments.documents import BUILT_IN
from kilonova.segments.listing import Listing, look, resolve
from kilonova.segments.progress import OnProgress, Progress
from kilonova.segments.read import Readers
from kilonova.segments.segment import Plan
from kilonova.stores import registry
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, VectorStore
from kilonova.stores.filters.tree import Exists, all_of

__all__ = ["collection", "neighbours", "page", "rounds", "search", "store"]


@contextlib.contextmanager
def store(data: Path | None, address: str = "") -> Iterator[VectorStore]:
    """The store at an address, or else the collections of this machine, under the folder given or the user's."""
    if address:
        made = registry.opened(address)
    else:
        credentials = identity.configured() or [identity.development()]
        made = Shared(QdrantEdge((data or _home.data()) / "collections"), credentials[0])
    try:
        yield made
    finally:
        made.close()


def collection(store: VectorStore, name: str, model: str | None, dimension: int | None) -> Collection:
    """A collection, made when there is none: by kilonova-mini with 1,024 numbers unless said otherwise.

    Raises:
        InvalidInput: there is one of another model or dimension.
    """
    wanted = card(model).id if model else ""
    try:
        found = store.find(name)
    except NotFound:
        found = Collection(name, wanted or "kilonova-mini", dimension or 1024)
        store.create(found)
    if (wanted or found.model, dimension or found.dimension) != (found.model, found.dimension):
        raise InvalidInput(
            f"{name} holds vectors of {found.dimension} numbers by {found.model}, and cannot hold others.",
            f"Embed the files anew beside it: kilonova index FOLDER --collection {name}-2"
            + (f" --model {model}" if model else "")
            + (f" --dimension {dimension}" if dimension else ""),
        )
    return found


async def rounds(
    store: VectorStore,
    collection: Collection,
    roots: Sequence[str],
    plan: Plan,
    facts: Mapping[str, Any],
    on_progress: OnProgress,
    every: float | None = None,
    model: str = "",
    data: Path | None = None,
    remove_missing: bool = False,
    progress: Progress | None = None,
) -> AsyncGenerator[Progress]:
    """Bring a collection up to date with files, with a model loaded for it: once, or again whenever they changed.

    Args:
        store, collection, roots, plan, facts, on_progress: see ``ingest``.
        every: seconds between two looks; None looks once.
        model: how to load the collection's model, if not whole: ``NAME:text,image``.
        data: the data folder, where it is noted which files were indexed; the user's if not given.
        remove_missing: see ``ingest``; the first look only.
        progress: counted on at the first look.
    """
    before: Listing | None = None
    async with Engine(model or collection.model) as engine:
        await engine.ready()
        while True:
            found = await asyncio.to_thread(look, roots)
            if found != before:
                before = found
                folder = data or _home.data()
                await asyncio.to_thread(mounts.compare, folder, found, forget=remove_missing)
                await asyncio.to_thread(
                    indexed.record, folder, collection.name, found.roots, [file.uri for file in found.files]
                )
                yield await ingest(
                    store,
                    collection,
                    engine,
                    found,
                    plan=plan,
                    facts=facts,
                    progress=progress,
                    on_progress=on_progress,
                    remove_missing=remove_missing,
                )
                progress, remove_missing = None, False
            if every is None:
                return
            await asyncio.sleep(every)


async def page(path: str, number: int) -> Image | str:
    """A page of a document, from 1, or its words where it cannot be drawn.

    Raises:
        InvalidInput: there is no such file or page, or it cannot be read.
    """
    (root,) = resolve([path])
    listing = look([root])
    if root in listing.missing:
        raise InvalidInput(f"There is no {path}.", "Name files, folders, or s3://bucket/prefix.")
    for file in listing.files:
        if file.kind is files.Kind.DOCUMENT:
            readers = Readers(card("kilonova-mini"))
            try:
                found = await readers.page(file.uri, file.info, number - 1)
            finally:
                readers.close()
            if found is None:
                raise InvalidInput(f"{path} has no page {number}.")
            return found
    raise InvalidInput(f"{path} is no document.", f"Documents end in .{', .'.join(BUILT_IN)}.")


async def search(
    store: VectorStore, collection: Collection, query: Query, reranker: Reranker | None = None
) -> list[Hit]:
    """The hits of a query, with a model loaded for it."""
    async with Engine(collection.model) as engine:
        await engine.ready()
        return await Searcher(store, engine, reranker).search(collection, query)


async def neighbours(
    store: VectorStore, collection: Collection, contents: Sequence[Text | Encoded], field: str, k: int
) -> list[list[Hit]]:
    """For each content the nearest files of its own kind that have a field; of all kinds where none of its own has."""
    async with Engine(collection.model) as engine:
        await engine.ready()
        searcher, labelled = Searcher(store, engine), Exists(field)
        found = []
        for content in contents:
            own = (files.Kind(str(content.modality)),)
            kinds = (
                own if await asyncio.to_thread(store.count, collection.name, all_of(labelled, kind_filter(own))) else ()
            )
            query = Query([(content, 1.0)], kinds=kinds, where=labelled, limit=k, mode=Mode.VECTOR)
            found.append(await searcher.search(collection, query))
    return found
