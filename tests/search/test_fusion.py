"""Lists put together."""

from __future__ import annotations

import numpy as np

from kilonova.search.fusion import diverse_order, reciprocal_rank, rocchio, weighted_scores


def test_reciprocal_rank() -> None:
    scores = reciprocal_rank([["a", "b"], ["b", "c"]])
    assert list(scores) == ["b", "a", "c"]
    assert np.allclose(list(scores.values()), [1 / 62 + 1 / 61, 1 / 61, 1 / 62])
    assert reciprocal_rank([[], []]) == {}


def test_words_lift_what_they_fit() -> None:
    assert weighted_scores({"a": 3.0, "b": 1.5, "c": 0.0}, {"b": 8.0, "c": 4.0}) == {"a": 3.0, "b": 2.5, "c": 0.5}
    assert list(weighted_scores({"a": 1.0, "b": 0.5}, {"b": 8.0})) == ["b", "a"]
    assert weighted_scores({"a": 1.0}, {}) == {"a": 1.0}


def test_diversity_prefers_what_is_unlike_the_first() -> None:
    vectors = {"a": np.array([1.0, 0.0]), "a2": np.array([1.0, 0.0]), "b": np.array([0.0, 1.0])}
    scores = {"a": 1.0, "a2": 0.99, "b": 0.5}
    assert diverse_order(scores, vectors, 3, 0.0) == ["a", "a2", "b"]
    assert diverse_order(scores, vectors, 2, 0.6) == ["a", "b"]
    assert diverse_order({}, {}, 2, 0.5) == []


def test_rocchio_moves_to_the_good_and_from_the_bad() -> None:
    query, good, bad = np.eye(3, dtype=np.float32)
    moved = rocchio(query, [good], [bad])
    assert np.isclose(np.linalg.norm(moved), 1)
    assert moved @ good > 0 > moved @ bad
    assert np.allclose(rocchio(query, [], []), query)
