"""The engine: from an input to its vector."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from time import perf_counter
from types import TracebackType
from typing import Self

import numpy as np

from kilonova._process.parent import Child
from kilonova.engine import metrics
from kilonova.engine.cache import VectorCache
from kilonova.engine.gpus import assign_gpus
from kilonova.engine.matryoshka import cut
from kilonova.engine.queue import BatchQueue, QueuedInput
from kilonova.engine.supervisor import State, Supervisor
from kilonova.errors import InvalidInput, KilonovaError, ModelFailed, NoAudioTrack, NotReady, Unavailable
from kilonova.media import limits
from kilonova.media.content import Content, Encoded, Input, Mixed, Modality, Text, VideoPart
from kilonova.media.pool import DecodePool
from kilonova.media.text import check_unicode
from kilonova.models import registry
from kilonova.models.base import Embedded
from kilonova.models.card import Purpose

__all__ = ["Embedding", "Engine"]

_BEST_FIRST = (State.READY, State.IDLE, State.RESTARTING, State.LOADING, State.FAILED, State.STOPPED)


@dataclass(frozen=True)
class Embedding:
    """A vector of unit length.

    Attributes:
        vector: float32 [dimension].
        tokens: what the input cost, in the model's tokens.
        kept_characters: length of a text after truncation, None when nothing was cut.

    Example:
        >>> import kilonova
        >>> with kilonova.Embedder() as embedder:
        ...     (found,) = embedder.embed_each(["日落海滩"])
        >>> found.vector.shape, found.kept_characters
        ((1024,), None)
    """

    vector: np.ndarray
    tokens: int
    kept_characters: int | None = None


class Engine:
    """One model, its queue and its decoders. Use as an async context manager.

    Args:
        model: a name of the registry.
        queue: inputs that may wait for the model.
        cache_bytes: memory for vectors of inputs seen before; 0 keeps none.
        batch_seconds: how long the model may take for one batch.
        decoders: number of decoding processes; by default one a core, fewer where memory is short.
        workers: model processes that share the queue, on each GPU where the model runs on several.
        idle_seconds: without work, after which the model is unloaded until there is some; 0 keeps it.
        worker: a model process that loads already; by default one is started when the engine is entered.
    """

    def __init__(
        self,
        model: str,
        *,
        queue: int = 256,
        cache_bytes: int = 0,
        batch_seconds: float = 60.0,
        decoders: int | None = None,
        workers: int = 1,
        idle_seconds: float = 0.0,
        worker: Child | None = None,
    ) -> None:
        self.card = registry.card(model)
        self._queue = BatchQueue(queue)
        self._cache = VectorCache(cache_bytes)
        self._pool = DecodePool(decoders or limits.DECODERS, self.card.sample_rate, self.card.frame_rate)
        gpus = assign_gpus(self.card) * workers
        self._supervisors = [
            Supervisor(
                model,
                self.card,
                self._queue,
                batch_seconds,
                self._on_start_failure,
                idle=idle_seconds,
                gpu=gpu,
                first=worker if number == 0 else None,
            )
            for number, gpu in enumerate(gpus)
        ]
        for modality in Modality:
            metrics.QUEUE_DEPTH.labels(self.card.id, modality).set_function(partial(self._queue.depth, modality))

    async def __aenter__(self) -> Self:
        for supervisor in self._supervisors:
            supervisor.start()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await asyncio.gather(*(supervisor.stop() for supervisor in self._supervisors))
        self._queue.refuse(Unavailable("The server is stopping.", "Try again."))
        self._pool.close()

    @property
    def state(self) -> State:
        """Where the model process stands; of several, the one that stands best."""
        states = {supervisor.state for supervisor in self._supervisors}
        return next(state for state in _BEST_FIRST if state in states)

    @property
    def worker_pid(self) -> int | None:
        """Process id of the first model process, while there is one."""
        return self._supervisors[0].pid

    async def ready(self) -> None:
        """Wait until the model is loaded.

        Raises:
            Unavailable: it cannot be loaded.
        """
        settled = [asyncio.ensure_future(supervisor.settled.wait()) for supervisor in self._supervisors]
        try:
            for first in asyncio.as_completed(settled):
                await first
                if self.state is not State.LOADING:
                    break
        finally:
            for one in settled:
                one.cancel()
        if self.state is State.FAILED:
            raise self._failed()

    def require(self, *modalities: Modality) -> None:
        """Refuse what the model will never embed; several modalities are those of a composite input.

        Raises:
            InvalidInput: the model does not embed that modality, or no composite inputs.
        """
        if len(modalities) > 1 and not self.card.mixes:
            raise InvalidInput(
                f"The model {self.card.id} embeds one kind of content at a time.",
                "Embed the parts each for itself, or choose a model that mixes them: `kilonova models`.",
            )
        for modality in modalities:
            self._require(modality)

    def _require(self, modality: Modality) -> None:
        if modality not in self.card.modalities:
            able = ", ".join(sorted(self.card.modalities))
            raise InvalidInput(
                f"The model {self.card.id} embeds {able}; it cannot embed {modality}.",
                "`kilonova models` lists models and what they embed.",
            )

    def check(self, *modalities: Modality) -> None:
        """Refuse at once what cannot be served now; several modalities are those of a composite input.

        Raises:
            InvalidInput: the model does not embed that modality, or no composite inputs.
            NotReady: it is still being loaded.
            Unavailable: it cannot be loaded, or the server stops.
        """
        self.require(*modalities)
        match self.state:
            case State.LOADING:
                raise NotReady(f"The model {self.card.id} is being loaded.", "Try again in a moment.")
            case State.FAILED:
                raise self._failed()
            case State.STOPPED:
                raise Unavailable("The server is stopping.", "Try again.")

    async def embed(self, item: Input, purpose: Purpose, dimension: int) -> Embedding:
        """The vector of a text, a decoded content, a media file or a composite input of them.

        Args:
            item: what to embed.
            purpose: what the vector will be used for.
            dimension: its length, see ``matryoshka.DIMENSIONS``.

        Returns:
            The vector.

        Raises:
            NoAudioTrack: the audio of a video is asked for, which has none.
            InvalidInput: the input cannot be embedded by this model.
            Busy: the queue is full.
            NotReady, Unavailable, ModelTimeout, ModelFailed: as their names say.
        """
        parts = item.parts if isinstance(item, Mixed) else (item,)
        self.check(*(part.modality for part in parts))
        for part in parts:
            if isinstance(part, Text):
                check_unicode(part.value)
        key = None
        if self._cache.enabled and isinstance(item, Text | Encoded):
            key = VectorCache.key(item, self.card, purpose)
            known = self._cache.get(key)
            metrics.CACHE.labels(self.card.id, "miss" if known is None else "hit").inc()
            if known is not None:
                return self._finish(known, dimension)
        content = item
        if isinstance(item, Mixed):
            content = Mixed(tuple(await asyncio.gather(*map(self._decode_part, item.parts))))
        elif isinstance(item, Encoded) and not (self.card.takes_files and item.part in (VideoPart.BOTH, VideoPart.ANY)):
            content = await self._decode(item)
        if not isinstance(content, Mixed | Encoded):
            self._require(content.modality)  # a video that turned out to be audio alone
        vector = await self._submit(content, purpose)
        if key is not None:
            self._cache.put(key, vector)
        return self._finish(vector, dimension)

    async def embed_all(self, items: Sequence[Input], purpose: Purpose, dimension: int) -> list[Embedding]:
        """The vectors of several inputs, in their order; the first error of any of them ends it all.

        Not more than half the queue is used at a time, so that a long list neither fills it nor is refused.
        """
        places = asyncio.Semaphore(max(1, self._queue.capacity // 2))

        async def one(item: Input) -> Embedding:
            async with places:
                return await self.embed(item, purpose, dimension)

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(one(item)) for item in items]
        except* KilonovaError as errors:
            raise errors.exceptions[0] from None
        return [task.result() for task in tasks]

    async def probe(self) -> None:
        """Send a content through queue and model process, past the cache.

        Raises:
            KilonovaError: what any input would get.
        """
        text = Text("probe 探针")
        self.check(text.modality)
        await self._submit(text, Purpose.GENERIC_INDEX)

    def _on_start_failure(self) -> None:
        if self.state is State.FAILED:
            self._queue.refuse(self._failed())

    def _failed(self) -> Unavailable:
        reasons = dict.fromkeys(supervisor.failure for supervisor in self._supervisors if supervisor.failure)
        return Unavailable(f"The model {self.card.id} cannot be started: {' '.join(reasons)}")

    async def _decode(self, item: Encoded) -> Content:
        begin = perf_counter()
        try:
            content = await self._pool.decode(item)
        finally:
            metrics.DECODE_SECONDS.labels(item.modality).observe(perf_counter() - begin)
        if content is None:
            raise NoAudioTrack("The video has no audio track.", "Ask for its frames, or for frames and audio together.")
        return content

    async def _decode_part(self, part: Content | Encoded) -> Content:
        """A part of a composite input; of a video, frames and audio."""
        return await self._decode(part) if isinstance(part, Encoded) else part

    async def _submit(self, content: Input, purpose: Purpose) -> Embedded:
        job = QueuedInput(content, purpose, asyncio.get_running_loop().create_future())
        self._queue.put(job)
        try:
            return await job.answer
        finally:
            self._queue.remove(job)

    def _finish(self, vector: Embedded, dimension: int) -> Embedding:
        try:
            unit = cut(vector.vector, dimension)
        except ValueError as fault:
            raise ModelFailed(f"{self.card.id}: {fault}.") from fault
        return Embedding(unit, vector.tokens, vector.kept_characters)
