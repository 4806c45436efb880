import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from kilonova.engine.matryoshka import DIMENSIONS, cut

vectors = arrays.arrays(
    np.float32, st.sampled_from([256, 384, 768, 1024, 3072, 4096]), elements=st.floats(-100, 100, width=32)
)


@given(vectors)
def test_truncate_then_normalise(vector: np.ndarray) -> None:
    if not vector[:256].any():
        return
    full = cut(vector, 3072)
    for dimension in DIMENSIONS:
        short = cut(vector, dimension)
        assert short.dtype == np.float32
        assert short.shape == (dimension,)
        assert abs(np.linalg.norm(short.astype(np.float64)) - 1) < 1e-6
        prefix = full[:dimension].astype(np.float64)
        if np.linalg.norm(prefix) > 1e-3:
            assert np.allclose(prefix / np.linalg.norm(prefix), short, atol=1e-5)


def test_beyond_the_native_length_come_zeros() -> None:
    padded = cut(np.ones(384, np.float32), 1024)
    assert (padded[384:] == 0).all()
    assert np.isclose(padded[0], 1 / np.sqrt(384))


@pytest.mark.parametrize(
    "vector", [np.zeros(3072), np.full(3072, np.nan), np.full(3072, np.inf), np.r_[np.zeros(256), 1.0]]
)
def test_a_broken_vector_is_never_passed_on(vector: np.ndarray) -> None:
    with pytest.raises(ValueError, match="length"):
        cut(vector.astype(np.float32), 256)
