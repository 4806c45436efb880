"""Vectors at length one."""

from __future__ import annotations

import numpy as np

__all__ = ["unit"]

_LEAST = 1e-12  # below it a length is none: zeros stay zeros


def unit(vectors: np.ndarray) -> np.ndarray:
    """A vector [n], or each row of vectors [m, n], at length one as float32 of the same shape; zeros stay so.

    For vectors that are compared. What a model gives is cut and scaled by ``engine.matryoshka``, which refuses zeros.
    """
    vectors = vectors.astype(np.promote_types(vectors.dtype, np.float32), copy=False)
    lengths = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return np.asarray(vectors / np.maximum(lengths, _LEAST), np.float32)
