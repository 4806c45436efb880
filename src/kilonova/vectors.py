"""Vectors at length one, and many of them as one array."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

__all__ = ["stack", "unit"]

_LEAST = 1e-12  # below it a length is none: zeros stay zeros


def unit(vectors: np.ndarray) -> np.ndarray:
    """A vector [n], or each row of vectors [m, n], at length one as float32 of the same shape; zeros stay so.

    For vectors that are compared. What a model gives is cut and scaled by ``engine.matryoshka``, which refuses zeros.
    """
    vectors = vectors.astype(np.promote_types(vectors.dtype, np.float32), copy=False)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _LEAST), np.float32)


def stack(vectors: Sequence[np.ndarray], dimension: int) -> np.ndarray:
    """Vectors float32 [dimension] as one array [n, dimension], also where there are none."""
    return np.stack(vectors) if vectors else np.zeros((0, dimension), np.float32)
