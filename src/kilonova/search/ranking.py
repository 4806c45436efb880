"""How similarities of different kinds become one order, and how hits are grouped by file.

Cosines of a query with texts and with images do not have one scale, so each is measured against those that the query
has with a background set of its kind: (cosine - mean) / standard deviation. The set comes with the model
(``models.background``), or is a sample of the collection.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from kilonova.media.content import Modality
from kilonova.search.query import Hit
from kilonova.segments.files import PLACE, Kind
from kilonova.stores.base import Collection, Match, Metric
from kilonova.vectors import unit

__all__ = ["BACKGROUND_MODALITY", "ZScore", "background_of", "file_key", "group_by_file", "similarity"]

#: Whose background set stands for a kind of files.
BACKGROUND_MODALITY = {
    Kind.TEXT: Modality.TEXT,
    Kind.DOCUMENT: Modality.TEXT,
    Kind.IMAGE: Modality.IMAGE,
    Kind.VIDEO: Modality.IMAGE,
    Kind.AUDIO: Modality.AUDIO,
}
_FAMILIES = ((Kind.TEXT, Kind.DOCUMENT), (Kind.IMAGE, Kind.VIDEO), (Kind.AUDIO,))
_LEAST = 8  # points of a sample; fewer say little
_LEAST_SPREAD = 1e-3
_MOMENTS = 3


class ZScore:
    """By how many standard deviations a similarity lies above those that a query has with the background set.

    Args:
        background: vectors float32 [n, dimension] of each kind; of None where points have no kind.
        vector: the query's, float32 [dimension].
    """

    def __init__(self, background: Mapping[Kind | None, np.ndarray], vector: np.ndarray) -> None:
        found = {kind: sample @ vector for kind, sample in background.items()}
        self._moments = {kind: (float(one.mean()), max(float(one.std()), _LEAST_SPREAD)) for kind, one in found.items()}
        self.kinds = list(background)

    def __call__(self, match: Match) -> float:
        if match.score is None:  # Euclid's distance has one scale for all
            return -(match.distance or 0.0)
        kind = match.payload.get("kind")
        mean, spread = self._moments.get(Kind(kind) if kind in list(Kind) else None, (0.0, 1.0))
        return (match.score - mean) / spread


def background_of(kind: Kind | None, samples: Mapping[Kind | None, np.ndarray]) -> np.ndarray:
    """A kind's sample of a collection, or where it is small that of the kinds like it, or of all."""
    family: tuple[Kind | None, ...] = next((family for family in _FAMILIES if kind in family), (kind,))
    pool: list[np.ndarray] = []
    for kinds in ((kind,), family, tuple(samples)):
        pool = [samples[one] for one in kinds if one in samples]
        if sum(map(len, pool)) >= _LEAST:
            break
    return np.concatenate(pool)


def similarity(collection: Collection, one: np.ndarray, other: np.ndarray) -> float:
    """Cosine or dot product of two vectors, as the collection compares."""
    return float(unit(one) @ unit(other) if collection.metric is Metric.COSINE else one @ other)


def file_key(hit: Hit) -> str:
    """What stands for a hit's file; points without a file stand for themselves."""
    return hit.uri or hit.id


def group_by_file(hits: Sequence[Hit]) -> list[Hit]:
    """One hit for each file, with its best moments."""
    files: dict[str, list[Hit]] = {}
    for hit in hits:
        files.setdefault(file_key(hit), []).append(hit)
    return [
        Hit(
            best.id,
            best.score,
            best.payload,
            best.similarity,
            best.distance,
            [
                {"id": one.id, "score": one.score} | {name: one.payload[name] for name in PLACE if name in one.payload}
                for one in others[:_MOMENTS]
            ],
        )
        for best, *others in files.values()
    ]
