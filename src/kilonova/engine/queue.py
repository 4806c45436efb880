"""Waiting contents by modality, and how the next batch is chosen."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from time import perf_counter

from kilonova.engine.worker import Outcome
from kilonova.errors import Busy, KilonovaError
from kilonova.media.content import Input, Modality
from kilonova.models.base import Embedded
from kilonova.models.card import Purpose

__all__ = ["MAX_MEMORY", "BatchQueue", "QueuedInput"]

#: Bytes of decoded contents that may wait; one content alone is always let in.
MAX_MEMORY = 512 << 20
#: Bounds of one batch: contents, and their sizes added up (bytes of text, pixels, samples). A batch always
#: takes at least one content.
_MAX_ITEMS = 32
_MAX_SIZE = {
    Modality.TEXT: 32_768,
    Modality.IMAGE: 16_000_000,
    Modality.AUDIO: 8_000_000,
    Modality.VIDEO: 16_000_000,
}


@dataclass(eq=False)
class QueuedInput:
    """One content that waits for its vector; a cancelled ``answer`` means that its caller left."""

    content: Input
    purpose: Purpose
    answer: asyncio.Future[Embedded]
    size: int = field(init=False)
    memory: int = field(init=False)
    since: float = field(default_factory=perf_counter)
    deaths: int = 0  # of model processes that had this content

    def __post_init__(self) -> None:
        self.size, self.memory = self.content.size, self.content.memory

    def settle(self, outcome: Outcome) -> None:
        """Answer, unless the caller left."""
        if self.answer.done():
            return
        if isinstance(outcome, Embedded):
            self.answer.set_result(outcome)
        else:
            self.answer.set_exception(outcome)


class BatchQueue:
    """A bounded queue for each modality.

    Args:
        capacity: contents that may wait, over all modalities.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity = capacity
        self._waiting: dict[Modality, deque[QueuedInput]] = {modality: deque() for modality in Modality}
        self._filled = asyncio.Event()

    def __len__(self) -> int:
        return sum(len(jobs) for jobs in self._waiting.values())

    def depth(self, modality: Modality) -> int:
        """Contents of that modality that wait."""
        return len(self._waiting[modality])

    def put(self, job: QueuedInput) -> None:
        """Add a content.

        Raises:
            Busy: the queue is full.
        """
        if len(self) >= self.capacity:
            raise Busy(f"{self.capacity} inputs wait already.", "Try again with exponential backoff.")
        waiting = sum(one.memory for jobs in self._waiting.values() for one in jobs)
        if waiting and waiting + job.memory > MAX_MEMORY:
            raise Busy(f"Inputs of {waiting >> 20} MiB wait already.", "Try again with exponential backoff.")
        self._waiting[job.content.modality].append(job)
        self._filled.set()

    def put_back(self, jobs: Sequence[QueuedInput]) -> None:
        """Add contents again, before all others, whose model process died."""
        for job in reversed(jobs):
            if not job.answer.done():
                self._waiting[job.content.modality].appendleft(job)
        self._filled.set()

    def remove(self, job: QueuedInput) -> None:
        """Take out a content whose caller left; nothing happens when it is in a batch already."""
        jobs = self._waiting[job.content.modality]
        if job in jobs:
            jobs.remove(job)

    async def wait(self) -> None:
        """Wait until a content waits."""
        while not len(self):
            self._filled.clear()
            await self._filled.wait()

    async def batch(self) -> list[QueuedInput]:
        """Wait for contents and take the next batch, see ``take``."""
        await self.wait()
        return self.take()

    def take(self) -> list[QueuedInput]:
        """Take the next batch, of the modality that waited longest; empty when nothing waits.

        Of that modality the oldest content is always taken; the others are those nearest to it in size, so
        that little is padded and short texts do not wait behind long ones for ever. A content whose model process
        died goes alone: should it be the reason, no other content suffers for it again.
        """
        if not len(self):
            return []
        jobs = min((jobs for jobs in self._waiting.values() if jobs), key=lambda jobs: jobs[0].since)
        oldest = jobs[0]
        if oldest.deaths:
            return [jobs.popleft()]
        chosen, total = [oldest], oldest.size
        budget = _MAX_SIZE[oldest.content.modality]
        for job in sorted(list(jobs)[1:], key=lambda job: abs(job.size - oldest.size)):
            if len(chosen) == _MAX_ITEMS or total + job.size > budget:
                break
            if not job.deaths:
                chosen.append(job)
                total += job.size
        taken = set(chosen)
        kept = [job for job in jobs if job not in taken]
        jobs.clear()
        jobs.extend(kept)
        return chosen

    def refuse(self, error: KilonovaError) -> None:
        """Answer everything that waits with an error."""
        for waiting in self._waiting.values():
            for job in waiting:
                job.settle(error)
            waiting.clear()
