"""Length one."""

from __future__ import annotations

import numpy as np
import pytest

from kilonova.vectors import unit


@pytest.mark.parametrize("dtype", [np.float16, np.float32, np.float64])
def test_unit(dtype: type[np.floating]) -> None:
    rows = np.random.default_rng(1).normal(size=(5, 256)).astype(dtype)
    rows[2] = 0
    made = unit(rows)
    assert (made.dtype, made.shape) == (np.float32, rows.shape)
    lengths = np.linalg.norm(made.astype(np.float64), axis=1)
    assert np.allclose(lengths, [1, 1, 0, 1, 1], atol=1e-3 if dtype is np.float16 else 1e-6)
    for row, one in zip(rows, made, strict=True):
        assert np.array_equal(unit(row), one)  # one alone is as among others
