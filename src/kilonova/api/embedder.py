"""Vectors of anything, by a model in this process's care."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Callable, Iterable, Iterator
from concurrent.futures import Future
from types import TracebackType
from typing import Self

import numpy as np

from kilonova.api.contents import Content
from kilonova.api.loop import LoopThread
from kilonova.api.reading import InputReader, as_purpose, several
from kilonova.engine.engine import Embedding, Engine
from kilonova.engine.matryoshka import check_dimension
from kilonova.engine.patience import embed_patiently
from kilonova.errors import InvalidInput, KilonovaError, Unavailable
from kilonova.models.card import ModelCard, Purpose
from kilonova.vectors import stack

__all__ = ["AsyncEmbedder", "Embedder"]

_AT_ONCE = 64  # inputs under way: enough for full batches, few enough for little memory


class AsyncEmbedder:
    """Embeds texts, images, audio, video and pages into one space. Use as an async context manager.

    Args:
        model: a name that ``kilonova models`` lists, a folder, or an address.
        workers: processes of the model, on each GPU where there are some.
        cache_mb: memory for vectors of inputs seen before; 0 keeps none.

    Raises:
        NotFound: there is no such model.
        Unavailable: it cannot be loaded.

    Example:
        >>> import asyncio, kilonova
        >>> async def main():
        ...     async with kilonova.AsyncEmbedder() as embedder:
        ...         return await embedder.embed("海上的帆船", purpose="IMAGE_RETRIEVAL")
        >>> asyncio.run(main()).shape
        (1024,)
    """

    def __init__(self, model: str = "kilonova-mini", *, workers: int = 1, cache_mb: int = 0) -> None:
        if workers < 1 or cache_mb < 0:
            raise InvalidInput("workers must be at least 1, and cache_mb at least 0.")
        self._engine = Engine(model, workers=workers, cache_bytes=cache_mb << 20)
        self._reader = InputReader(self._engine.card)
        self._open = False

    @property
    def card(self) -> ModelCard:
        """What is known of the model: its licence, modalities, dimensions."""
        return self._engine.card

    async def __aenter__(self) -> Self:
        await self._engine.__aenter__()
        try:
            await self._engine.ready()
        except BaseException:
            await self._engine.__aexit__(None, None, None)
            raise
        self._open = True
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.aclose()

    async def aclose(self) -> None:
        """End the model's process; may be called twice."""
        await self._reader.aclose()
        if self._open:
            self._open = False
            await self._engine.__aexit__(None, None, None)

    async def embed(
        self, content: Content, *, purpose: Purpose | str = "GENERIC_INDEX", dimension: int = 1024
    ) -> np.ndarray:
        """The vector of one content.

        Args:
            content: see ``kilonova.api.contents``.
            purpose: what the vector is for: ``GENERIC_INDEX`` for what is stored, ``GENERIC_RETRIEVAL`` or
                ``IMAGE_RETRIEVAL`` and the like for queries, ``CLASSIFICATION``, ``CLUSTERING``.
            dimension: 256, 384, 1024, 3072, or one that the model was trained for.

        Returns:
            float32 [dimension], of unit length.

        Raises:
            InvalidInput: the content cannot be read, or not be embedded by this model.
        """
        return (await self._embedding(content, purpose, dimension)).vector

    async def embed_many(
        self,
        contents: Iterable[Content],
        *,
        purpose: Purpose | str = "GENERIC_INDEX",
        dimension: int = 1024,
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """The vectors of many contents.

        Args:
            contents: read and embedded 64 at a time.
            purpose, dimension: as of ``embed``.
            on_progress: called with the number done, after each.

        Returns:
            float32 [n, dimension].

        Raises:
            KilonovaError: the first content that cannot be embedded ends it.
        """
        vectors: list[np.ndarray] = []
        results = self.embed_each(contents, purpose=purpose, dimension=dimension)
        try:
            async for result in results:
                if isinstance(result, KilonovaError):
                    raise result
                vectors.append(result.vector)
                if on_progress is not None:
                    on_progress(len(vectors))
        finally:
            await results.aclose()
        return stack(vectors, dimension)

    async def embed_each(
        self, contents: Iterable[Content], *, purpose: Purpose | str = "GENERIC_INDEX", dimension: int = 1024
    ) -> AsyncGenerator[Embedding | KilonovaError]:
        """For each content, in order and as soon as it is its turn, its embedding (vector, tokens, where a text was
        cut) or the error that it met."""
        waiting: deque[asyncio.Task[Embedding | KilonovaError]] = deque()
        try:
            for content in several(contents):
                waiting.append(asyncio.create_task(self.result(content, purpose=purpose, dimension=dimension)))
                if len(waiting) == _AT_ONCE:
                    yield await waiting.popleft()
            while waiting:
                yield await waiting.popleft()
        finally:
            for task in waiting:
                task.cancel()

    async def result(
        self, content: Content, *, purpose: Purpose | str = "GENERIC_INDEX", dimension: int = 1024
    ) -> Embedding | KilonovaError:
        """The embedding of one content, or the error that it met."""
        try:
            return await self._embedding(content, purpose, dimension)
        except KilonovaError as error:
            return error

    async def _embedding(self, content: Content, purpose: Purpose | str, dimension: int) -> Embedding:
        if not self._open:
            raise Unavailable("The embedder is not open.", "Use it in an `async with` block.")
        aim = as_purpose(purpose)
        check_dimension(self.card, dimension)
        return await embed_patiently(self._engine, await self._reader.read(content), aim, dimension)


class Embedder:
    """``AsyncEmbedder`` without await. Use as a context manager, or call ``close``; threads may share it.

    Args:
        model, workers, cache_mb: as of ``AsyncEmbedder``.

    Example:
        >>> import kilonova
        >>> with kilonova.Embedder() as embedder:
        ...     query = embedder.embed("海上的帆船", purpose="IMAGE_RETRIEVAL")
        ...     photos = embedder.embed_many([kilonova.Image("sailing.webp"), kilonova.Image("horse.webp")])
        >>> int((photos @ query).argmax())
        0
    """

    def __init__(self, model: str = "kilonova-mini", *, workers: int = 1, cache_mb: int = 0) -> None:
        self._embedder = AsyncEmbedder(model, workers=workers, cache_mb=cache_mb)
        self._loop, self._closed = LoopThread(), False
        try:
            self._loop.run(self._embedder.__aenter__())
        except BaseException:
            self._loop.close()
            raise

    @property
    def card(self) -> ModelCard:
        """What is known of the model: its licence, modalities, dimensions."""
        return self._embedder.card

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """End the model's process; may be called twice."""
        if not self._closed:
            self._closed = True
            try:
                self._loop.run(self._embedder.aclose())
            finally:
                self._loop.close()

    def embed(self, content: Content, *, purpose: Purpose | str = "GENERIC_INDEX", dimension: int = 1024) -> np.ndarray:
        """The vector of one content; see ``AsyncEmbedder.embed``."""
        return self._loop.run(self._embedder.embed(content, purpose=purpose, dimension=dimension))

    def embed_many(
        self,
        contents: Iterable[Content],
        *,
        purpose: Purpose | str = "GENERIC_INDEX",
        dimension: int = 1024,
        on_progress: Callable[[int], None] | None = None,
    ) -> np.ndarray:
        """The vectors of many contents; see ``AsyncEmbedder.embed_many``."""
        vectors: list[np.ndarray] = []
        for result in self.embed_each(contents, purpose=purpose, dimension=dimension):
            if isinstance(result, KilonovaError):
                raise result
            vectors.append(result.vector)
            if on_progress is not None:
                on_progress(len(vectors))
        return stack(vectors, dimension)

    def embed_each(
        self, contents: Iterable[Content], *, purpose: Purpose | str = "GENERIC_INDEX", dimension: int = 1024
    ) -> Iterator[Embedding | KilonovaError]:
        """For each content, in order and as soon as it is its turn, its embedding or the error that it met.

        Example:
            >>> import kilonova
            >>> with kilonova.Embedder() as embedder:
            ...     good, bad = embedder.embed_each(["日落", kilonova.Image("missing.jpg")])
            >>> good.vector.shape, bad.message
            ((1024,), 'There is no file missing.jpg.')
        """
        waiting: deque[Future[Embedding | KilonovaError]] = deque()
        try:
            for content in several(contents):
                work = self._embedder.result(content, purpose=purpose, dimension=dimension)
                waiting.append(self._loop.submit(work))
                while waiting and (len(waiting) == _AT_ONCE or waiting[0].done()):
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()
