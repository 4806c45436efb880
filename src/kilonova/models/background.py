"""What a model makes of usual things: what its cosines are measured against when kinds are mixed.

A file of NumPy's npz format with an array float16 [n, native dimension] for some modalities, made by
``training/background.py`` for the built-in model.
"""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from kilonova.media.content import Modality
from kilonova.models.card import ModelCard
from kilonova.vectors import unit

__all__ = ["background"]


def background(card: ModelCard, dimension: int) -> dict[Modality, np.ndarray]:
    """Vectors of unit length float32 [n, dimension] by modality; nothing for a model without a background."""
    found = {}
    for name, vectors in _load(card.background).items():
        kept = vectors[:, :dimension].astype(np.float32)
        found[Modality(name)] = unit(kept)
    return found


@cache
def _load(where: str) -> dict[str, np.ndarray]:
    package, _, name = where.partition(":")
    spec = find_spec(package) if package else None
    if spec is None or spec.origin is None:
        return {}
    with np.load(Path(spec.origin).with_name(name)) as arrays:
        return dict(arrays)
