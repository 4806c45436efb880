"""The model's process: load a model, then answer batches. Nothing of a model is imported anywhere else."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kilonova.errors import KilonovaError
from kilonova.media.content import Input
from kilonova.models import registry
from kilonova.models.base import Embedded, EmbeddingModel, Prepared
from kilonova.models.card import Purpose

__all__ = ["Item", "Outcome", "handler"]

Item = tuple[Input, Purpose]
Outcome = Embedded | KilonovaError


def handler(name: str) -> Callable[[Sequence[Item]], list[Outcome]]:
    """Load the model and return the function that embeds a batch of one modality.

    The function gives an outcome for every item, in their order: a refused content does not touch the others.
    An empty batch is answered once the model is loaded.
    """
    model = registry.load(name)

    def embed(batch: Sequence[Item]) -> list[Outcome]:
        outcomes: list[Outcome | None] = [None] * len(batch)
        ready: list[tuple[int, Prepared]] = []
        for index, (content, purpose) in enumerate(batch):
            try:
                ready.append((index, model.prepare(content, purpose)))
            except KilonovaError as refusal:
                outcomes[index] = refusal
        if ready:
            try:
                results = _embed(model, [prepared for _, prepared in ready])
            except KilonovaError as refusal:  # of a model elsewhere: the same for everyone in the batch
                for index, _ in ready:
                    outcomes[index] = refusal
            else:
                for (index, _), result in zip(ready, results, strict=True):
                    outcomes[index] = result
        return [outcome for outcome in outcomes if outcome is not None]

    return embed


def _embed(model: EmbeddingModel, batch: Sequence[Prepared]) -> list[Embedded]:
    """As ``model.embed``; a batch that memory does not hold is halved until it does.

    Raises:
        MemoryError: one content alone is too much.
    """
    try:
        return model.embed(batch)
    except MemoryError:
        if len(batch) == 1:
            raise
        half = len(batch) // 2
    return [*_embed(model, batch[:half]), *_embed(model, batch[half:])]
