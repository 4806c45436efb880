"""Payloads for stores whose filters know flat fields only: what each point has, as words, and what has an order.

has        "field" for each field that is there, "field=value" (JSON) for each of its values, and the names below;
           long values by their hash
n.field    the number of a field with one value
t.field    its point in time, in seconds
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from kilonova.errors import InvalidInput
from kilonova.stores.filters.tree import And, Compare, Exists, Filter, In, Not, Or, Value, moment

__all__ = ["Terms", "flatten", "translate"]

_LONGEST = 80  # characters of a value that stands in ``has`` as it is
_CONTRARY = {"<": ">=", "<=": ">", ">": "<=", ">=": "<"}


def flatten(payload: Mapping[str, Any]) -> tuple[list[str], dict[str, float]]:
    """``has``, and what has an order by its name."""
    has: list[str] = []
    ordered: dict[str, float] = {}
    for field, value in payload.items():
        values = [one for one in (value if isinstance(value, list) else [value]) if isinstance(one, Value)]
        if value not in (None, []):
            has.append(field)
        has += [_token(field, one) for one in values]
        if len(values) == 1 and isinstance(values[0], str):
            with suppress(InvalidInput):
                ordered[f"t.{field}"] = moment(values[0]).timestamp()
        elif len(values) == 1 and not isinstance(values[0], bool):
            ordered[f"n.{field}"] = float(values[0])
    return [*has, *ordered], ordered


@dataclass(frozen=True)
class Terms:
    """How a store says things.

    Attributes:
        every, some: several conditions, all or any of them.
        has, lacks: a word stands in ``has``, or does not.
        compare: what has an order, by its name, stands in a relation to a number.
    """

    every: Callable[[list[Any]], Any]
    some: Callable[[list[Any]], Any]
    has: Callable[[str], Any]
    lacks: Callable[[str], Any]
    compare: Callable[[str, str, float], Any]


def translate(where: Filter, terms: Terms, wanted: bool = True) -> Any:
    """A filter in a store's terms, or its contrary: some have no "not", so that goes down to the conditions."""
    match where:
        case Not(part):
            return translate(part, terms, not wanted)
        case And(parts):
            return _joined(parts, terms, wanted, terms.every if wanted else terms.some)
        case Or(parts):
            return _joined(parts, terms, wanted, terms.some if wanted else terms.every)
        case In(field, values):
            parts = tuple(Compare(field, "=", value) for value in values)
            return _joined(parts, terms, wanted, terms.some if wanted else terms.every)
        case Exists(field):
            return (terms.has if wanted else terms.lacks)(field)
        case Compare(field, "=", value):
            return (terms.has if wanted else terms.lacks)(_token(field, value))
        case Compare(field, relation, value):
            timed = isinstance(value, str)
            bound = moment(value).timestamp() if timed else float(value)
            name = f"{'t' if timed else 'n'}.{field}"
            if wanted:
                return terms.compare(name, relation, bound)
            return terms.some([terms.compare(name, _CONTRARY[relation], bound), terms.lacks(name)])


def _joined(parts: tuple[Filter, ...], terms: Terms, wanted: bool, join: Callable[[list[Any]], Any]) -> Any:
    found = [translate(part, terms, wanted) for part in parts]
    return join(found) if len(found) > 1 else found[0]


def _token(field: str, value: Value) -> str:
    plain = float(value) if isinstance(value, int) and not isinstance(value, bool) else value  # 1 is 1.0
    said = json.dumps(plain, ensure_ascii=False)
    if len(said) > _LONGEST:
        said = hashlib.blake2b(said.encode(), digest_size=16).hexdigest()
    return f"{field}={said}"
