"""Metrics of ranked retrieval with binary relevance (Manning, Raghavan & Schütze, 2008, chapter 8).

Numpy and forty lines: ranx, which has them too, brings numba and pandas with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass

import numpy as np

__all__ = ["Scores", "score"]

_CHUNK = 512  # queries compared with the whole gallery at once


@dataclass(frozen=True)
class Scores:
    """Means over the queries, each 0 to 1.

    Attributes:
        queries: how many queries were asked.
        gallery: how many items were ranked for each.
        recall_at_1: the share of queries with something relevant in first place; 5 and 10 likewise. This is
            "recall@k" as papers on cross-modal retrieval use it (also: hit rate, success@k).
        ndcg_at_10: normalised discounted cumulative gain of the first ten.
        mrr: one over the rank of the first relevant item.
    """

    queries: int
    gallery: int
    recall_at_1: float
    recall_at_5: float
    recall_at_10: float
    ndcg_at_10: float
    mrr: float

    def as_dict(self) -> dict[str, float | int]:
        """The attributes by name."""
        return asdict(self)


def score(
    queries: np.ndarray,
    gallery: np.ndarray,
    relevant: Sequence[Sequence[int]],
    left_out: Sequence[int | None] | None = None,
) -> Scores:
    """Rank the gallery for every query by dot product.

    Equal scores count against the query: an item that merely ties with a relevant one stands before it, so that
    a model which gives everything the same vector scores nothing.

    Args:
        queries: float32 [n, dimension].
        gallery: float32 [m, dimension].
        relevant: for each query the rows of the gallery that it should find, at least one.
        left_out: for each query the row of the gallery that is the query itself and is not ranked, or None.
    """
    ranks: list[np.ndarray] = []
    for first in range(0, len(queries), _CHUNK):
        scores = queries[first : first + _CHUNK] @ gallery.T
        for number, row in enumerate(scores, first):
            if left_out is not None and left_out[number] is not None:
                row[left_out[number]] = -np.inf
            ranks.append(_ranks(row, np.asarray(sorted(set(relevant[number])))))
    best = np.array([found[0] for found in ranks])
    discounts = 1 / np.log2(np.arange(2, 12))
    gains = [float(discounts[found[found <= 10] - 1].sum() / discounts[: len(found)].sum()) for found in ranks]
    return Scores(
        queries=len(queries),
        gallery=len(gallery),
        recall_at_1=float((best <= 1).mean()),
        recall_at_5=float((best <= 5).mean()),
        recall_at_10=float((best <= 10).mean()),
        ndcg_at_10=float(np.mean(gains)),
        mrr=float((1 / best).mean()),
    )


def _ranks(scores: np.ndarray, wanted: np.ndarray) -> np.ndarray:
    """The ranks of the wanted items, from 1, in rising order."""
    own = np.sort(scores[wanted])[::-1]
    others = np.delete(scores, wanted)
    before = (others[None, :] >= own[:, None]).sum(axis=1)
    return np.asarray(before + np.arange(1, len(wanted) + 1))
