"""What the command line does on this machine: collections in the user's folder, a model of its own."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from kilonova.engine.engine import Engine
from kilonova.media.content import Encoded, Text
from kilonova.models import registry
from kilonova.search import files
from kilonova.search.ingest import Tally, ingest
from kilonova.search.items import Settings
from kilonova.search.query import Hit, Mode, Query, Searcher, of
from kilonova.server import identity
from kilonova.stores.base import Collection, VectorStore
from kilonova.stores.filter import Exists, all_of
from kilonova.stores.qdrant import QdrantEdge
from kilonova.wire.errors import NotFound, Validation

__all__ = ["collection", "find", "folder", "index_once", "keep_indexing", "neighbours", "search", "store"]


def folder(data: Path | None) -> Path:
    """Where collections lie, under the folder given or the user's."""
    return (data or identity.data()) / "collections"


@contextlib.contextmanager
def store(data: Path | None) -> Iterator[VectorStore]:
    """The collections of this machine."""
    made = QdrantEdge(folder(data))
    try:
        yield made
    finally:
        made.close()


def find(store: VectorStore, name: str) -> Collection:
    """A collection by its name.

    Raises:
        NotFound: there is none.
    """
    every = store.collections()
    for one in every:
        if one.name == name:
            return one
    names = ", ".join(one.name for one in every)
    raise NotFound(
        f"There is no collection {name}.", f"There are: {names}." if names else "Make one: kilonova index FOLDER."
    )


def collection(store: VectorStore, name: str, model: str | None, dimension: int | None) -> Collection:
    """A collection, made when there is none: by kilonova-mini with 1,024 numbers unless said otherwise.

    Raises:
        Validation: there is one of another model or dimension.
    """
    try:
        found = find(store, name)
    except NotFound:
        found = Collection(name, model or "kilonova-mini", dimension or 1024)
        registry.card(found.model)
        store.create(found)
    if (model or found.model, dimension or found.dimension) != (found.model, found.dimension):
        raise Validation(
            f"{name} holds vectors of {found.dimension} numbers by {found.model}.", "Name another --collection."
        )
    return found


async def index_once(
    store: VectorStore,
    collection: Collection,
    roots: Sequence[str],
    settings: Settings,
    facts: Mapping[str, Any],
    tally: Tally,
    told: Callable[[Tally], None],
) -> None:
    """Bring a collection up to date with files, with a model loaded for it."""
    async with Engine(collection.model) as engine:
        await engine.ready()
        found = await asyncio.to_thread(lambda: list(files.walk(roots, tally.strange.append)))
        await ingest(store, collection, engine, found, roots, settings=settings, facts=facts, tally=tally, told=told)


async def keep_indexing(
    store: VectorStore,
    collection: Collection,
    roots: Sequence[str],
    settings: Settings,
    facts: Mapping[str, Any],
    seconds: float,
    told: Callable[[Tally], None],
) -> None:
    """The same again and again until it is cancelled, the model kept loaded; ``told`` after every round."""
    before: list[files.File] | None = None
    async with Engine(collection.model) as engine:
        await engine.ready()
        while True:
            tally = Tally()
            found = await asyncio.to_thread(lambda: list(files.walk(roots, tally.strange.append)))  # noqa: B023
            if found != before:
                await ingest(store, collection, engine, found, roots, settings=settings, facts=facts, tally=tally)
                told(tally)
                before = found
            await asyncio.sleep(seconds)


async def search(store: VectorStore, collection: Collection, query: Query) -> list[Hit]:
    """The hits of a query, with a model loaded for it."""
    async with Engine(collection.model) as engine:
        await engine.ready()
        return await Searcher(store, engine).search(collection, query)


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
            kinds = own if await asyncio.to_thread(store.count, collection.name, all_of(labelled, of(own))) else ()
            query = Query([(content, 1.0)], kinds=kinds, where=labelled, k=k, mode=Mode.DENSE)
            found.append(await searcher.search(collection, query))
    return found
