"""What searches and classifications give."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, SupportsIndex, overload

from kilonova.errors import Unavailable
from kilonova.search.query import Hit

__all__ = ["Classification", "Hits", "classification"]


_COLUMNS = ("rank", "id", "score", "similarity", "distance")


class Hits(list[Hit]):
    """Hits, best first: a list that shows itself in a notebook and becomes a pandas frame.

    Example:
        >>> Hits().to_pandas().empty
        True
    """

    def to_pandas(self) -> Any:
        """A ``pandas.DataFrame``, a row for each hit: rank, id, score, similarity, distance, the payload's fields.

        Raises:
            Unavailable: pandas is not installed.
        """
        try:
            import pandas  # type: ignore[import-untyped, unused-ignore]
        except ImportError:
            raise Unavailable("pandas is not installed.", "pip install pandas") from None
        rows = []
        for rank, hit in enumerate(self, 1):
            own = dict(zip(_COLUMNS, (rank, hit.id, hit.score, hit.similarity, hit.distance), strict=True))
            rows.append({**own, **hit.payload, **own})  # ours come first, whatever a payload calls its fields
        return pandas.DataFrame(rows, columns=None if rows else list(_COLUMNS))

    @overload
    def __getitem__(self, place: SupportsIndex, /) -> Hit: ...
    @overload
    def __getitem__(self, place: slice, /) -> Hits: ...
    def __getitem__(self, place: SupportsIndex | slice, /) -> Hit | Hits:
        return Hits(super().__getitem__(place)) if isinstance(place, slice) else super().__getitem__(place)

    def _repr_html_(self) -> str:
        from kilonova.search.show import hits_html

        return hits_html(self)


@dataclass(frozen=True)
class Classification:
    """What a content is by its nearest labelled neighbours.

    Attributes:
        label: the best one.
        shares: of the votes, by label, best first; they add up to 1.
        neighbours: who voted.

    Example:
        >>> import kilonova
        >>> with kilonova.Index("animals") as index:
        ...     for label in ("cat", "horse"):
        ...         progress = index.add(f"{label}.webp", facts={"label": label})
        ...     (found,) = index.classify(kilonova.Image("cat.webp"))
        >>> found.label
        'cat'
    """

    label: str
    shares: Mapping[str, float]
    neighbours: Hits


def classification(neighbours: Sequence[Hit], field: str, *, majority: bool) -> Classification:
    """What neighbours vote for; see ``search.vote``.

    Raises:
        InvalidInput: there are no neighbours.
    """
    from kilonova.search.vote import vote

    shares = vote(neighbours, field, majority=majority)
    return Classification(next(iter(shares)), shares, Hits(neighbours))
