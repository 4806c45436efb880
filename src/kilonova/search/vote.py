"""Classification by the nearest labelled neighbours."""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence

from kilonova.errors import InvalidInput
from kilonova.search.query import Hit

__all__ = ["vote"]


def vote(neighbours: Sequence[Hit], field: str, *, majority: bool = False) -> dict[str, float]:
    """The share of each label, best first.

    Args:
        neighbours: hits that have a label and a similarity.
        field: of the payload, where the label stands; of a list each value is a label.
        majority: every neighbour has one vote. Otherwise its vote weighs 1 / distance of the unit vectors, and one at
            no distance decides alone (as ``weights="distance"`` of scikit-learn's KNeighborsClassifier).

    Raises:
        InvalidInput: there are no neighbours.
    """
    if not neighbours:
        raise InvalidInput(
            f"No indexed file has a {field} to vote with.", "Label some: kilonova index --set NAME=VALUE."
        )
    apart = [math.sqrt(max(0.0, 2.0 - 2.0 * (hit.similarity or 0.0))) for hit in neighbours]
    same = [distance < 1e-3 for distance in apart]
    votes: dict[str, float] = defaultdict(float)
    for hit, distance, equal in zip(neighbours, apart, same, strict=True):
        weight = 1.0 if majority else (float(equal) if any(same) else 1.0 / distance)
        found = hit.payload[field]
        for label in found if isinstance(found, list) else [found]:
            votes[str(label)] += weight
    total = sum(votes.values())
    return {label: votes[label] / total for label in sorted(votes, key=lambda label: (-votes[label], label))}
