"""The one place where a vector is cut to a dimension and brought to unit length, always in that order."""

from __future__ import annotations

import numpy as np

from kilonova.errors import InvalidInput
from kilonova.models.card import ModelCard

__all__ = ["DIMENSIONS", "check_dimension", "cut", "dimensions_of"]

#: Nova's embeddingDimension values; the last is the default.
DIMENSIONS = (256, 384, 1024, 3072)


def dimensions_of(card: ModelCard) -> list[int]:
    """Nova's dimensions and the model's own, ascending."""
    return sorted({*DIMENSIONS, *card.trained_dimensions, card.native_dimension})


def check_dimension(card: ModelCard, dimension: int) -> None:
    """Refuse a dimension that is neither Nova's nor the model's.

    Raises:
        InvalidInput: it is not.
    """
    allowed = dimensions_of(card)
    if dimension not in allowed:
        raise InvalidInput(
            f"{dimension} is no dimension of {card.id}.", f"Choose one of {', '.join(map(str, allowed))}."
        )


def cut(vector: np.ndarray, dimension: int) -> np.ndarray:
    """The first ``dimension`` values of ``vector``, scaled to unit length; float32 [dimension].

    Beyond the vector's own length zeros are added, which changes no cosine (Kusupati et al., "Matryoshka
    Representation Learning", NeurIPS 2022, for what prefixes mean).

    Raises:
        ValueError: the prefix has no length or is not finite; a model that gives such a vector is broken.
    """
    prefix = vector[:dimension].astype(np.float64)
    length = float(np.linalg.norm(prefix))
    if not np.isfinite(length) or length == 0.0:
        raise ValueError(f"the model gave a vector whose first {dimension} values have length {length}")
    unit = np.zeros(dimension, np.float32)
    unit[: len(prefix)] = prefix / length
    return unit
