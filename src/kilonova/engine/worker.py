"""The model's process: load a model, then answer batches. Nothing of a model is imported anywhere else."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np

from kilonova.media.content import Content, Text
from kilonova.models import registry
from kilonova.models.base import Prepared
from kilonova.models.card import Purpose
from kilonova.wire.errors import KilonovaError

__all__ = ["Item", "Outcome", "Vector", "handler"]

Item = tuple[Content, Purpose]


@dataclass(frozen=True)
class Vector:
    """A content's native vector and what its preparation said."""

    vector: np.ndarray
    tokens: int
    kept_characters: int | None


Outcome = Vector | KilonovaError


def handler(name: str) -> Callable[[Sequence[Item]], list[Outcome]]:
    """Load the model and return the function that embeds a batch of one modality.

    The function gives an outcome for every item, in their order: a refused content does not touch the others.
    An empty batch is answered once the model is loaded.
    """
    model = registry.load(name)

    pool = ThreadPoolExecutor(len(os.sched_getaffinity(0)), "prepare")

    def prepare(item: Item) -> Prepared | KilonovaError:
        try:
            return model.prepare(*item)
        except KilonovaError as refusal:
            return refusal

    def embed(batch: Sequence[Item]) -> list[Outcome]:
        # a text is prepared in microseconds; scaling pictures and transforming sound leave the other cores idle
        side_by_side = len(batch) > 1 and not isinstance(batch[0][0], Text)
        found = list(pool.map(prepare, batch) if side_by_side else map(prepare, batch))
        ready = [one for one in found if isinstance(one, Prepared)]
        vectors = iter(model.embed(ready) if ready else ())
        return [
            Vector(next(vectors), one.tokens, one.kept_characters) if isinstance(one, Prepared) else one
            for one in found
        ]

    return embed
