"""What a point is to Qdrant, embedded or a server, and filters in its terms.

A point's vectors are ``dense`` and, where it has words, the sparse ``text``; its payload has the id and the words as
``_id`` and ``_text``, and under ``_true`` and ``_false`` the names of fields with these values (Qdrant Edge 0.9 takes
the condition ``= true`` for ``= 1``). A field of the point that has such a name, after any number of underscores, is
kept with one underscore more. Qdrant's ids are UUIDs made of ours.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from kilonova.errors import InvalidInput
from kilonova.stores.base import Match, Point
from kilonova.stores.filters.tree import And, Compare, Exists, Filter, In, Not, Or, moment

__all__ = ["INDEXED", "QdrantTerms", "match", "own", "payload_of", "translate", "uuid_of"]

#: The field that nearly every search filters by.
INDEXED = "kind"
_SPACE = UUID("6d2c0f0e-52a1-4f0e-9a53-0d2a1c5f7b11")  # of our ids
_TRUTHS = {True: "_true", False: "_false"}
_NAMES = ("_id", "_text", "_true", "_false")
_OURS = re.compile("_+(id|text|true|false)")
_BOUNDS = {"<": "lt", "<=": "lte", ">": "gt", ">=": "gte"}


def uuid_of(name: str) -> str:
    """Qdrant's id for one of ours."""
    return str(uuid5(_SPACE, name))


def payload_of(point: Point) -> dict[str, Any]:
    """What Qdrant keeps of a point beside its vectors."""
    payload = {_kept(field): value for field, value in point.payload.items()}
    payload |= {"_id": point.id, "_text": point.text}
    for value, name in _TRUTHS.items():
        payload[name] = [field for field, found in point.payload.items() if found is value]
    return payload


def own(payload: Mapping[str, Any] | None) -> tuple[str, str, dict[str, Any]]:
    """Id, words and payload as they were given."""
    kept = payload or {}
    rest = {field[1:] if _OURS.fullmatch(field) else field: kept[field] for field in kept if field not in _NAMES}
    return kept["_id"], kept["_text"], rest


def match(payload: Mapping[str, Any] | None, score: float, far: bool) -> Match:
    """A point that was found, by its distance where ``far``."""
    name, _, rest = own(payload)
    return Match(name, rest, distance=score) if far else Match(name, rest, score=score)


@dataclass(frozen=True)
class QdrantTerms:
    """How a client of Qdrant says things.

    Attributes:
        both: a filter of lists ``must``, ``should``, ``must_not``.
        equal: a field has a string.
        between: a field's number lies within bounds ``lt``, ``lte``, ``gt``, ``gte``.
        when: a field's point in time lies within bounds in ISO 8601.
        empty: a field is missing, null or has no values.
    """

    both: Callable[..., Any]
    equal: Callable[[str, str], Any]
    between: Callable[[str, dict[str, float]], Any]
    when: Callable[[str, dict[str, str]], Any]
    empty: Callable[[str], Any]


def translate(where: Filter | None, terms: QdrantTerms) -> Any:
    """A filter in Qdrant's terms, None for None."""
    return terms.both(must=[_condition(where, terms)]) if where is not None else None


def _condition(where: Filter, terms: QdrantTerms) -> Any:
    match where:
        case And(parts):
            return terms.both(must=[_condition(part, terms) for part in parts])
        case Or(parts):
            return terms.both(should=[_condition(part, terms) for part in parts])
        case Not(part):
            return terms.both(must_not=[_condition(part, terms)])
        case In(field, values):
            return terms.both(should=[_condition(Compare(field, "=", value), terms) for value in values])
        case Exists(field):
            return terms.both(must_not=[terms.empty(_path(field))])
        case Compare(field, _, bool(value)):
            return terms.equal(_TRUTHS[value], field)
        case Compare(field, "=", str(value)):
            return terms.equal(_path(field), value)
        case Compare(field, "=", value):
            return terms.between(_path(field), {"gte": float(value), "lte": float(value)})
        case Compare(field, relation, str(value)):
            return terms.when(_path(field), {_BOUNDS[relation]: moment(value).isoformat()})
        case Compare(field, relation, value):
            return terms.between(_path(field), {_BOUNDS[relation]: float(value)})


def _kept(field: str) -> str:
    return f"_{field}" if _OURS.fullmatch(field) else field


def _path(field: str) -> str:
    """A field as Qdrant's JSON path names it; a path has no way to write a quote or a backslash."""
    if not field or '"' in field or "\\" in field:
        raise InvalidInput(f"The field {field!r} cannot be filtered by.", "Rename it without quotes and backslashes.")
    return f'"{_kept(field)}"'
