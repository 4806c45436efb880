"""A Kilonova server over HTTP, with the methods of ``Embedder`` and ``Index``."""

from __future__ import annotations

import asyncio
import base64
import io
import os
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar
from urllib.parse import quote, urlsplit

import numpy as np

from kilonova.api.contents import Content, Document
from kilonova.api.hits import Classification, Hits, classification
from kilonova.api.loop import LoopThread
from kilonova.api.reading import InputReader, as_purpose, several
from kilonova.client.connection import Connection
from kilonova.credentials import configured
from kilonova.credentials.credential import Credential
from kilonova.errors import InvalidInput, NotFound, Unavailable
from kilonova.media.content import Encoded, Image, Input, Mixed, Text
from kilonova.media.sniff import sniff
from kilonova.models.card import Purpose
from kilonova.models.cards import MINI
from kilonova.search.query import Hit
from kilonova.search.ranking import file_key
from kilonova.stores.filters.tree import And, Compare, Exists, format_filter
from kilonova.vectors import stack

__all__ = ["AsyncClient", "Client"]

T = TypeVar("T")
_AT_ONCE = 8  # requests of ``embed_many`` under way
_NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"


class Client:
    """Calls a server that ``kilonova serve`` or ``kilonova up`` runs. Threads may share it; connections are kept open.

    What a server is too busy for is sent again after a random, growing wait. Credentials are those given, or else
    ``KILONOVA_API_KEY``, the AWS variables, or this user's own for a server on this machine.

    Args:
        url: of the server; ``AWS_ENDPOINT_URL_BEDROCK_RUNTIME``, or http://127.0.0.1:8000 where nothing is said.
        api_key: a key that the server knows; or
        access_key_id, secret_access_key: a pair that it knows.
        region: that requests are signed for; ``AWS_REGION``, or us-east-1 where nothing is said.
        timeout: seconds that an answer may take.
        retries: how often a request is sent again.

    Example:
        >>> import kilonova
        >>> with kilonova.Client(url) as client:
        ...     vector = client.embed("海上的帆船", dimension=384)
        ...     hits = client.search("海上的帆船", collection="photos", limit=3)
        >>> vector.shape, len(hits)
        ((384,), 3)
    """

    def __init__(
        self,
        url: str = "",
        *,
        api_key: str = "",
        access_key_id: str = "",
        secret_access_key: str = "",
        region: str = "",
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        url = url or os.environ.get("AWS_ENDPOINT_URL_BEDROCK_RUNTIME", "") or "http://127.0.0.1:8000"
        if urlsplit(url).scheme not in ("http", "https"):
            raise InvalidInput(f"Not a server URL: {url!r}.", "Write for example http://127.0.0.1:8000.")
        given = Credential("client", access_key_id, secret_access_key, api_key=api_key)
        credential = given if api_key or access_key_id else _credential(url)
        region = region or os.environ.get("AWS_REGION", "") or "us-east-1"
        self._local = configured.is_loopback(urlsplit(url).hostname or "")
        self._connection = Connection(url, credential, seconds=timeout, retries=retries, region=region)
        self._loop = LoopThread()
        self._reader = InputReader(MINI)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close all connections."""
        if self._reader.started:
            self._loop.run(self._reader.aclose())
        self._loop.close()
        self._connection.close()

    def embed(
        self,
        content: Content,
        *,
        purpose: Purpose | str = "GENERIC_INDEX",
        dimension: int = 1024,
        model: str = _NOVA,
    ) -> np.ndarray:
        """The vector of one content.

        Args:
            content, purpose, dimension: as of ``Embedder.embed``; a text has at most 8,192 characters.
            model: of those that the server has; Nova's ids mean the first.

        Returns:
            float32 [dimension], of unit length.

        Raises:
            InvalidInput: the content cannot be read, or not be embedded by the model.
            Unavailable: the server cannot be reached.
        """
        read = self._loop.run(self._reader.read(content))
        aim = as_purpose(purpose)
        if isinstance(read, Text) or getattr(read, "detail", "STANDARD_IMAGE") == "DOCUMENT_IMAGE":
            return self._invoke(read, aim, dimension, model)
        body = {
            "model": model,
            "input": [_parts(read)],
            "dimensions": dimension,
            "embeddingPurpose": str(aim),
            "encoding_format": "base64",
        }
        (found,) = self._connection.json("POST", "/v1/embeddings", body)["data"]
        return np.frombuffer(base64.b64decode(found["embedding"]), "<f4")

    def embed_many(
        self,
        contents: Iterable[Content],
        *,
        purpose: Purpose | str = "GENERIC_INDEX",
        dimension: int = 1024,
        model: str = _NOVA,
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """The vectors of many contents, eight requests at a time.

        Args:
            contents: many.
            purpose, dimension, model: as of ``embed``.
            on_progress: called with the number done, after each.

        Returns:
            float32 [n, dimension].
        """
        vectors: list[np.ndarray] = []
        with ThreadPoolExecutor(_AT_ONCE) as pool:
            calls = [
                pool.submit(self.embed, content, purpose=purpose, dimension=dimension, model=model)
                for content in several(contents)
            ]
            try:
                for call in calls:
                    vectors.append(call.result())
                    if on_progress is not None:
                        on_progress(len(vectors))
            finally:
                pool.shutdown(wait=True, cancel_futures=True)
        return stack(vectors, dimension)

    def search(
        self,
        *contents: Content,
        collection: str = "files",
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
    ) -> Hits:
        """What is most like some contents in a collection of the server's, best first.

        Args:
            contents: as of ``Index.search``; files are sent along.
            collection: its name.
            unlike, kinds, where, limit, mode, fusion, min_similarity, diversity, group_by_file, relevant, irrelevant,
                exact: as of ``Index.search``.
        """
        body: dict[str, Any] = {
            "collection": collection,
            "not": list(several(unlike)),
            "kinds": list(several(kinds)),
            "where": where,
            "limit": limit,
            "mode": mode,
            "fusion": fusion,
            "diversity": diversity,
            "segments": not group_by_file,
            "relevant": list(several(relevant)),
            "irrelevant": list(several(irrelevant)),
            "exact": exact,
        }
        if min_similarity is not None:
            body["min_similarity"] = min_similarity
        for content in contents:
            for name, value in self._fields(content).items():
                body.setdefault(name, []).append(value)
        return self._hits(body)

    def similar(
        self,
        point: str | Hit,
        *,
        collection: str = "files",
        limit: int = 10,
        kinds: Sequence[str] = (),
        where: str = "",
    ) -> Hits:
        """The files most like one that is in a collection; see ``Index.similar``.

        Args:
            point: a hit, or the id of one.
            collection: its name.
            limit, kinds, where: as of ``Index.search``.
        """
        name = point.id if isinstance(point, Hit) else point
        path = f"/v1/collections/{quote(collection, safe='')}/points/get"
        found = self._connection.json("POST", path, {"ids": [name]})["points"]
        if not found:
            raise NotFound(f"There is no point {name} in {collection}.", "Take ids from hits.")
        body = {
            "collection": collection,
            "vector": found[0]["vector"],
            "kinds": list(kinds),
            "where": where,
            "limit": limit + 1,
            "mode": "vector",
        }
        own = file_key(Hit(name, 0.0, found[0]["payload"]))
        return Hits([hit for hit in self._hits(body) if file_key(hit) != own][:limit])

    def classify(
        self,
        *contents: Content,
        collection: str = "files",
        label: str = "label",
        limit: int = 7,
        majority: bool = False,
    ) -> list[Classification]:
        """What contents are by their nearest labelled neighbours; see ``Index.classify``.

        Args:
            contents, label, limit, majority: as of ``Index.classify``.
            collection: where the neighbours are.
        """
        found = []
        for content in contents:
            read = self._loop.run(self._reader.read(content))
            labelled = Exists(label)
            own = And((labelled, Compare("kind", "=", str(read.modality))))
            kinds = [str(read.modality)] if self.count(format_filter(own), collection=collection) else []
            fields = {name: [value] for name, value in _parts(read).items()}
            body = {"collection": collection, "kinds": kinds, "where": format_filter(labelled), "limit": limit}
            hits = self._hits({**body, "mode": "vector", **fields})
            found.append(classification(hits, label, majority=majority))
        return found

    def collections(self) -> list[dict[str, Any]]:
        """The server's collections: their names, models, dimensions, metrics and counts."""
        found: list[dict[str, Any]] = self._connection.json("GET", "/v1/collections")["collections"]
        return found

    def count(self, where: str = "", *, collection: str = "files") -> int:
        """How many vectors a collection has, or how many a filter lets through."""
        path = f"/v1/collections/{quote(collection, safe='')}/points/count"
        return int(self._connection.json("POST", path, {"where": where})["count"])

    def media(self, hit: Hit, *, collection: str = "files") -> bytes:
        """The file of a hit.

        Raises:
            NotFound: the server does not hand it out.
        """
        path = f"/v1/items/{quote(hit.id, safe='')}/media"
        data: bytes = self._connection.open("GET", path, query={"collection": collection}, whole=True).data
        return data

    def _hits(self, body: Mapping[str, Any]) -> Hits:
        found = self._connection.json("POST", "/v1/search", body)["hits"]
        return Hits([Hit(**hit, local=self._local) for hit in found])

    def _fields(self, content: Content) -> dict[str, Any]:
        """A content of a query as the field of ``/v1/search`` and its value."""
        if isinstance(content, Document):
            try:
                data = Path(content.source).expanduser().read_bytes()
            except OSError as error:
                raise InvalidInput(f"{content.source} cannot be read: {error.strerror}.") from None
            return {"document": {"bytes": base64.b64encode(data).decode(), "page": content.page}}
        return _parts(self._loop.run(self._reader.read_single(content)))

    def _invoke(self, content: Input, purpose: Purpose, dimension: int, model: str) -> np.ndarray:
        params: dict[str, Any] = {"embeddingPurpose": str(purpose), "embeddingDimension": dimension}
        if isinstance(content, Text):
            params["text"] = {"truncationMode": str(content.truncation), "value": content.value}
        else:
            data = _file(content)
            params["image"] = {
                "format": sniff(data[:2048])[0],
                "detailLevel": "DOCUMENT_IMAGE",
                "source": {"bytes": base64.b64encode(data).decode()},
            }
        body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}
        found = self._connection.json("POST", f"/model/{quote(model, safe='')}/invoke", body)
        return np.asarray(found["embeddings"][0]["embedding"], np.float32)


class AsyncClient:
    """``Client`` with await; arguments and methods are the same. At most 16 requests are under way at once.

    Example:
        >>> import asyncio, kilonova
        >>> async def main():
        ...     async with kilonova.AsyncClient(url) as client:
        ...         return await client.search("海上的帆船", collection="photos", kinds=["image"])
        >>> asyncio.run(main())[0].payload["name"]
        'sailing.webp'
    """

    def __init__(
        self,
        url: str = "",
        *,
        api_key: str = "",
        access_key_id: str = "",
        secret_access_key: str = "",
        region: str = "",
        timeout: float = 60.0,
        retries: int = 5,
    ) -> None:
        self._client = Client(
            url,
            api_key=api_key,
            access_key_id=access_key_id,
            secret_access_key=secret_access_key,
            region=region,
            timeout=timeout,
            retries=retries,
        )
        self._threads = ThreadPoolExecutor(16, "kilonova-client")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def _call(self, method: Callable[..., T], *arguments: Any, **options: Any) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._threads, partial(method, *arguments, **options))

    async def aclose(self) -> None:
        """Close all connections."""
        await self._call(self._client.close)
        self._threads.shutdown(wait=False)

    async def embed(self, content: Content, **options: Any) -> np.ndarray:
        """The vector of one content; see ``Client.embed``."""
        return await self._call(self._client.embed, content, **options)

    async def embed_many(self, contents: Iterable[Content], **options: Any) -> np.ndarray:
        """The vectors of many contents; see ``Client.embed_many``."""
        return await self._call(self._client.embed_many, contents, **options)

    async def search(self, *contents: Content, **options: Any) -> Hits:
        """What is most like some contents; see ``Client.search``."""
        return await self._call(self._client.search, *contents, **options)

    async def similar(self, point: str | Hit, **options: Any) -> Hits:
        """The files most like one; see ``Client.similar``."""
        return await self._call(self._client.similar, point, **options)

    async def classify(self, *contents: Content, **options: Any) -> list[Classification]:
        """What contents are by their neighbours; see ``Client.classify``."""
        return await self._call(self._client.classify, *contents, **options)

    async def collections(self) -> list[dict[str, Any]]:
        """The server's collections; see ``Client.collections``."""
        return await self._call(self._client.collections)

    async def count(self, where: str = "", *, collection: str = "files") -> int:
        """How many vectors a collection has; see ``Client.count``."""
        return await self._call(self._client.count, where, collection=collection)

    async def media(self, hit: Hit, *, collection: str = "files") -> bytes:
        """The file of a hit; see ``Client.media``."""
        return await self._call(self._client.media, hit, collection=collection)


def _credential(url: str) -> Credential:
    environment = os.environ
    if key := environment.get("KILONOVA_API_KEY"):
        return Credential("environment", api_key=key)
    if found := environment.get("AWS_ACCESS_KEY_ID"):
        secret, token = environment.get("AWS_SECRET_ACCESS_KEY", ""), environment.get("AWS_SESSION_TOKEN", "")
        return Credential("environment", found, secret, token)
    if configured.is_loopback(urlsplit(url).hostname or ""):
        return configured.own_credential()
    raise Unavailable(
        f"There are no credentials for {url}.", "Give api_key, or set KILONOVA_API_KEY or the AWS variables."
    )


def _file(content: Input) -> bytes:
    """The bytes of a file with a content; pages were drawn here."""
    if isinstance(content, Encoded):
        return content.data
    if isinstance(content, Image):
        import PIL.Image

        buffer = io.BytesIO()
        PIL.Image.fromarray(content.pixels).save(buffer, "PNG", compress_level=1)
        return buffer.getvalue()
    raise InvalidInput(f"A decoded {content.modality} cannot be sent.", "Give its file.")


def _parts(content: Input) -> dict[str, Any]:
    """An input of ``/v1/embeddings``."""
    if isinstance(content, Mixed):
        return {name: value for part in content.parts for name, value in _parts(part).items()}
    if isinstance(content, Text):
        return {"text": content.value}
    return {str(content.modality): {"bytes": base64.b64encode(_file(content)).decode()}}
