"""Metrics against values worked out by hand and against scikit-learn."""

import numpy as np
import pytest
from sklearn.metrics import ndcg_score

from kilonova.evaluation.ranking import score


def test_by_hand() -> None:
    found = score(
        np.eye(3, dtype=np.float32),
        np.array([[9, 1, 0], [8, 3, 2], [1, 2, 5]], np.float32),
        [[0], [0], [2, 1]],
    )
    # the second query ranks item 1, 2, 0; the third 2, 1, 0
    assert (found.queries, found.gallery) == (3, 3)
    assert found.recall_at_1 == pytest.approx(2 / 3)
    assert found.recall_at_5 == 1
    assert found.mrr == pytest.approx((1 + 1 / 3 + 1) / 3)
    assert found.ndcg_at_10 == pytest.approx((1 + 1 / np.log2(4) + 1) / 3)


def test_ndcg_is_scikit_learns() -> None:
    rng = np.random.default_rng(0)
    queries, gallery = rng.normal(size=(20, 8)).astype(np.float32), rng.normal(size=(50, 8)).astype(np.float32)
    relevant = [sorted(rng.choice(50, rng.integers(1, 15), replace=False).tolist()) for _ in range(20)]
    truth = np.zeros((20, 50))
    for row, wanted in enumerate(relevant):
        truth[row, wanted] = 1
    assert score(queries, gallery, relevant).ndcg_at_10 == pytest.approx(ndcg_score(truth, queries @ gallery.T, k=10))


def test_a_query_does_not_compete_with_itself() -> None:
    same = np.eye(2, dtype=np.float32)
    assert score(same, same, [[1], [0]]).recall_at_1 == 0
    assert score(same, same, [[1], [0]], [0, 1]).recall_at_1 == 1
    assert score(same, same, [[1], [0]], [None, 1]).recall_at_1 == 0.5


def test_a_model_that_says_the_same_of_everything_finds_nothing() -> None:
    same = np.ones((30, 4), np.float32)
    found = score(same, same, [[row] for row in range(30)])
    assert found.recall_at_10 == 0
    assert found.mrr == pytest.approx(1 / 30)
