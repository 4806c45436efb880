"""``/v1/collections``: a vector store over HTTP. ``client.remote`` is the other end."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from functools import partial
from itertools import chain
from pathlib import Path
from typing import TypeVar

from pydantic import BaseModel
from starlette.responses import StreamingResponse

from kilonova.search import indexed
from kilonova.server.operation import Answer, Call
from kilonova.stores.base import Collection, Point, VectorStore
from kilonova.stores.filters.tree import parse_optional
from kilonova.wire import search as wire

__all__ = ["Collections"]

_Request = TypeVar("_Request", bound=BaseModel)


class Collections:
    """The operations on collections and their points.

    Args:
        store: where they lie.
        data: the data folder, which knows what was indexed.
    """

    def __init__(self, store: VectorStore, data: Path) -> None:
        self._store, self._data = store, data

    async def list(self, call: Call) -> Answer:
        """``GET /v1/collections``."""

        found, faults = await asyncio.to_thread(self._store.counts)
        rows = [wire.plain_collection(one, count) for one, count in found]
        return Answer(wire.render({"collections": rows, "faults": faults}))

    async def create(self, call: Call) -> Answer:
        """``POST /v1/collections``."""
        wanted = await _parse(call, wire.CreateRequest)
        made = Collection(wanted.name, wanted.model, wanted.dimension, wanted.metric)
        await asyncio.to_thread(self._store.create, made)
        return Answer(wire.render(wire.plain_collection(made, 0)))

    async def get(self, call: Call) -> Answer:
        """``GET /v1/collections/{name}``."""
        name = _name(call)
        found = await asyncio.to_thread(self._store.find, name)
        return Answer(wire.render(wire.plain_collection(found, await asyncio.to_thread(self._store.count, name))))

    async def drop(self, call: Call) -> Answer:
        """``DELETE /v1/collections/{name}``."""
        await asyncio.to_thread(self._store.drop, _name(call))
        await asyncio.to_thread(indexed.forget, self._data, _name(call))
        return Answer(b"{}")

    async def upsert(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/points``."""
        wanted = await _parse(call, wire.UpsertRequest)

        def write() -> None:
            points = [
                Point(one.id, wire.decode_vector(one.vector), one.payload or {}, one.text or "")
                for one in wanted.points
            ]
            self._store.upsert(_name(call), points)

        await asyncio.to_thread(write)
        return Answer(b"{}")

    async def delete(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/points/delete``."""
        ids = (await _parse(call, wire.IdsRequest)).ids
        await asyncio.to_thread(self._store.delete, _name(call), ids)
        return Answer(b"{}")

    async def points(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/points/get``."""
        ids = (await _parse(call, wire.IdsRequest)).ids
        found = await asyncio.to_thread(self._store.get, _name(call), ids)
        return Answer(wire.render({"points": [wire.plain_point(one) for one in found]}))

    async def scroll(self, call: Call) -> StreamingResponse:
        """``POST /v1/collections/{name}/points/scroll``: a point a line, until the last one."""
        wanted = await _parse(call, wire.ScrollRequest)
        name, where = _name(call), parse_optional(wanted.where)
        points = self._store.scroll(name, where, vectors=wanted.vectors)
        first = await asyncio.to_thread(next, points, None)  # errors are answered before the answer begins

        def lines() -> Iterator[bytes]:
            for point in chain([first] if first is not None else [], points):
                yield wire.render(wire.plain_point(point)) + b"\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    async def count(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/points/count``."""
        where = parse_optional((await _parse(call, wire.CountRequest)).where)
        count = await asyncio.to_thread(self._store.count, _name(call), where)
        return Answer(wire.render({"count": count}))

    async def query(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/points/query``."""
        wanted = await _parse(call, wire.QueryRequest)
        name, where = _name(call), parse_optional(wanted.where)

        def search() -> bytes:
            if wanted.vector is not None:
                vector = wire.decode_vector(wanted.vector)
                found = self._store.nearest(name, vector, wanted.limit, where, exact=wanted.exact)
            else:
                assert wanted.text is not None
                found = self._store.lexical(name, wanted.text, wanted.limit, where)
            return wire.render({"matches": [wire.plain_match(one) for one in found]})

        return Answer(await asyncio.to_thread(search))

    async def optimize(self, call: Call) -> Answer:
        """``POST /v1/collections/{name}/optimize``."""
        call.take_body()
        await asyncio.to_thread(self._store.optimize, _name(call))
        return Answer(b"{}")


async def _parse(call: Call, model: type[_Request]) -> _Request:
    return await call.parse(partial(wire.parse, model))


def _name(call: Call) -> str:
    name: str = call.request.path_params["name"]
    return name
