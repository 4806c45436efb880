"""``/v1/search``, and the files behind the hits."""

from __future__ import annotations

import asyncio
import mimetypes
import re
import tempfile
from collections.abc import AsyncGenerator
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from starlette.datastructures import UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import FileResponse, Response, StreamingResponse

from kilonova.engine.engines import Engines
from kilonova.errors import InvalidInput, NotFound
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Text
from kilonova.search import indexed
from kilonova.search.query import UNLIKE, Fusion, Mode, Query
from kilonova.search.searcher import Searcher
from kilonova.segments.files import Kind
from kilonova.server.operation import Answer, Call
from kilonova.server.sources import Sources
from kilonova.storage.objects import ObjectInfo
from kilonova.storage.s3 import call as call_s3
from kilonova.storage.s3 import connect, split_uri
from kilonova.stores.base import Collection, VectorStore
from kilonova.stores.filters.tree import parse_optional
from kilonova.wire import search as wire

if TYPE_CHECKING:
    from kilonova.segments.read import Readers

__all__ = ["Search"]

_CHUNK = 1 << 18
_Wanted = tuple[Content | Encoded, float]


class Search:
    """Searching collections with the models that made them.

    Args:
        engines: what embeds queries.
        store: where collections lie.
        data: the data folder, which knows what was indexed.
    """

    def __init__(self, engines: Engines, store: VectorStore, data: Path) -> None:
        self._engines, self._store, self._data = engines, store, data
        self._searchers = {engine.card.id: Searcher(store, engine) for engine in engines}
        self._readers: Readers | None = None
        self._sources = Sources()

    def close(self) -> None:
        """End the processes that read documents."""
        if self._readers is not None:
            self._readers.close()

    async def search(self, call: Call) -> Answer:
        """``POST /v1/search``."""
        if call.request.headers.get("content-type", "").startswith("multipart/form-data"):
            request, wanted = await self._form(call)
        else:
            request, wanted = await call.parse(partial(wire.parse, wire.SearchRequest)), []
        collection = await self._collection(request.collection)
        wanted = [*await self._contents(call, request), *wanted]
        call.modality = "mixed" if len(wanted) > 1 else next((str(one.modality) for one, _ in wanted), "none")
        query = Query(
            wanted,
            vector=wire.decode_vector(request.vector) if request.vector is not None else None,
            kinds=tuple(map(Kind, request.kinds)),
            where=parse_optional(request.where),
            limit=request.limit,
            mode=Mode(request.mode),
            fusion=Fusion(request.fusion),
            min_similarity=request.min_similarity,
            diversity=request.diversity,
            group_by_file=not request.segments,
            relevant=request.relevant,
            irrelevant=request.irrelevant,
            exact=request.exact,
        )
        hits = await self._searchers[collection.model].search(collection, query)
        return Answer(wire.render({"hits": [hit.as_dict() for hit in hits]}))

    async def media(self, call: Call) -> Response:
        """``GET /v1/items/{id}/media``: the file that a point was made of, or the range of it that is asked for."""
        name, item = call.request.query_params.get("collection", "files"), call.request.path_params["id"]
        found = await asyncio.to_thread(self._store.get, name, [item])
        if not found:
            raise NotFound(f"There is no point {item} in {name}.", "Take ids from hits.")
        uri = str(found[0].payload.get("uri", ""))
        path = await asyncio.to_thread(indexed.find_path, self._data, name, uri) if uri else None
        if path is None:
            raise NotFound(
                f"The file of {item} is not handed out.",
                "Only what `kilonova index` put into this collection on this machine is. If that was done by an older "
                "version, run it again.",
            )
        kind = mimetypes.guess_type(uri)[0] or "application/octet-stream"
        # What others wrote must not act in this server's name in a browser.
        headers = {"X-Content-Type-Options": "nosniff", "Content-Security-Policy": "sandbox"}
        if uri.startswith("s3://"):
            return await self._object(uri, kind, headers, call.request.headers.get("range"))
        if not Path(path).is_file():  # noqa: ASYNC240  (a stat)
            raise NotFound(f"{uri} is not there any more.", "Index its folder again.")
        return FileResponse(path, media_type=kind, headers=headers)

    async def _object(self, uri: str, kind: str, headers: dict[str, str], wanted: str | None) -> Response:
        bucket, key = split_uri(uri)
        part = {"Range": wanted} if wanted else {}
        found = await asyncio.to_thread(call_s3, uri, lambda: connect().get_object(Bucket=bucket, Key=key, **part))
        headers |= {"Accept-Ranges": "bytes", "ETag": found["ETag"], "Content-Length": str(found["ContentLength"])}
        if "ContentRange" in found:
            headers["Content-Range"] = found["ContentRange"]
        status = 206 if "ContentRange" in found else 200
        return StreamingResponse(found["Body"].iter_chunks(_CHUNK), status, headers, kind)

    async def _collection(self, name: str) -> Collection:
        found = await asyncio.to_thread(self._store.find, name)
        if found.model not in self._searchers:
            raise InvalidInput(
                f"{name} holds vectors by {found.model}; this server has {', '.join(self._searchers)}.",
                f"Start it with: kilonova serve --model {found.model}; or embed the files anew: kilonova index FOLDER "
                f"--collection {name}-2 --model {next(iter(self._searchers))}",
            )
        return found

    async def _contents(self, call: Call, request: wire.SearchRequest) -> list[_Wanted]:
        found: list[_Wanted] = []
        said = [wire.Words(text=one) if isinstance(one, str) else one for one in request.text]
        found += [(Text(words.text), words.weight) for words in said]
        found += [(Text(words), UNLIKE) for words in request.unlike]
        for field, modality in wire.FILES.items():
            for media in getattr(request, field):
                data = await self._sources.read(call, media, modality)
                found.append((await self._content(field, data, media), media.weight))
        return found

    async def _content(self, field: str, data: bytes, media: wire.Media | None, name: str = "") -> Content | Encoded:
        if field != "document":
            return Encoded(wire.FILES[field], data)
        number = media.page if isinstance(media, wire.DocumentPage) else 1
        if self._readers is None:
            from kilonova.segments.read import Readers  # servers start sooner without what reads media

            self._readers = Readers(self._engines.first.card)
        ending = re.search(r"\.[A-Za-z0-9]{1,10}$", name)
        with tempfile.NamedTemporaryFile(suffix=ending[0] if ending else "") as file:
            await asyncio.to_thread(file.write, data)
            await asyncio.to_thread(file.flush)
            found = await self._readers.page(file.name, ObjectInfo(len(data), file.name), number - 1)
        if found is None:
            raise InvalidInput(f"The document has no page {number}.")
        return Text(found) if isinstance(found, str) else found

    async def _form(self, call: Call) -> tuple[wire.SearchRequest, list[_Wanted]]:
        """A search that came as a form: files are files, the other fields as in JSON."""

        async def body() -> AsyncGenerator[bytes, None]:
            yield call.take_body()

        try:
            form = await MultiPartParser(call.request.headers, body(), max_part_size=limits.INLINE_BODY_BYTES).parse()
        except MultiPartException as error:
            raise InvalidInput(f"The form cannot be read: {error.message}.") from None
        except (UnicodeError, LookupError) as error:
            raise InvalidInput(f"The form's text cannot be read: {error}.", "Send it in UTF-8.") from None
        fields: dict[str, Any] = {}
        wanted: list[_Wanted] = []
        try:
            for name in form:
                given = form.getlist(name)
                files = [one for one in given if isinstance(one, UploadFile)]
                if files and name not in wire.FILES:
                    raise InvalidInput(f"{name} is no field for files.", f"Use {', '.join(wire.FILES)}.")
                wanted += [
                    (await self._content(name, await file.read(), None, file.filename or ""), 1.0) for file in files
                ]
                words = [one for one in given if isinstance(one, str)]
                if words:
                    fields[name] = words if len(words) > 1 else words[0]
        finally:
            await form.close()
        return wire.parse(wire.SearchRequest, fields), wanted
