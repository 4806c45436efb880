"""Filters as SQLite's conditions on a column ``payload`` of JSON objects."""

from __future__ import annotations

import json
from typing import Any

from kilonova.errors import InvalidInput
from kilonova.stores.filters.tree import And, Compare, Exists, Filter, In, Not, Or, Value, moment

__all__ = ["seconds", "translate"]


def seconds(text: str) -> float | None:
    """A point in time as seconds, None for other words: the SQL function ``moment``."""
    try:
        return moment(text).timestamp()
    except InvalidInput:
        return None


def translate(where: Filter) -> tuple[str, list[Any]]:
    """A condition and its values. It needs the function ``moment``, which is ``seconds``."""
    match where:
        case And(parts):
            return _joined(parts, " AND ")
        case Or(parts):
            return _joined(parts, " OR ")
        case Not(part):
            test, values = translate(part)
            return f"NOT {test}", values
        case In(field, values):
            return _joined(tuple(Compare(field, "=", value) for value in values), " OR ")
        case Exists(field):
            return "EXISTS (SELECT 1 FROM json_each(payload, ?) WHERE type <> 'null')", [_path(field)]
        case Compare(field, relation, value):
            test, values = _compared(relation, value)
            return f"EXISTS (SELECT 1 FROM json_each(payload, ?) WHERE {test})", [_path(field), *values]


def _joined(parts: tuple[Filter, ...], word: str) -> tuple[str, list[Any]]:
    found = [translate(part) for part in parts]
    return f"({word.join(test for test, _ in found)})", [value for _, values in found for value in values]


def _compared(relation: str, value: Value) -> tuple[str, list[Any]]:
    if isinstance(value, bool):
        return "type = ?", [json.dumps(value)]
    if isinstance(value, str) and relation == "=":
        return "type = 'text' AND value = ?", [value]
    if isinstance(value, str):
        return f"type = 'text' AND moment(value) {relation} ?", [moment(value).timestamp()]
    return f"type IN ('integer', 'real') AND value {relation} ?", [value]


def _path(field: str) -> str:
    if '"' in field or not field:
        raise InvalidInput(f"Invalid field name {field!r}.")
    return f'$."{field}"'
