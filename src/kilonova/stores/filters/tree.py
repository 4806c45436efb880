"""Conditions on payloads: a small tree that each store translates, and the language people write it in.

year >= 2020 and (camera = "X100" or not exists camera) and kind in (image, video)
"""

from __future__ import annotations

import math
import re
import unicodedata
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from kilonova.errors import InvalidInput

__all__ = [
    "MAX_CONDITIONS",
    "MAX_LENGTH",
    "And",
    "Compare",
    "Exists",
    "Filter",
    "In",
    "Not",
    "Or",
    "Value",
    "all_of",
    "format_filter",
    "matches",
    "parse",
    "parse_optional",
]

Value = str | int | float | bool


@dataclass(frozen=True)
class Compare:
    """A field stands in ``relation`` (``=``, ``<``, ``<=``, ``>`` or ``>=``) to a value. Strings are put in order as
    points in time, ``2024-05-01`` or longer. A list in the payload fits when one of its values does."""

    field: str
    relation: str
    value: Value


@dataclass(frozen=True)
class In:
    """A field has one of these values."""

    field: str
    values: tuple[Value, ...]


@dataclass(frozen=True)
class Exists:
    """A field is there and not empty."""

    field: str


@dataclass(frozen=True)
class Not:
    """The contrary; what lacks the field passes."""

    part: Filter


@dataclass(frozen=True)
class And:
    """Every part."""

    parts: tuple[Filter, ...]


@dataclass(frozen=True)
class Or:
    """Any part."""

    parts: tuple[Filter, ...]


Filter = Compare | In | Exists | Not | And | Or

_TOKEN = re.compile(
    r"""\s*(?:(?P<string>"(?:[^"\\]|\\.)*"|'(?:[^'\\]|\\.)*')|(?P<sign><=|>=|!=|<|>|=|\(|\)|,)"""
    r"""|(?P<word>[^\s()<>=!,"']+))"""
)
_NUMBER = re.compile(r"[+-]?\d+(\.\d+)?([eE][+-]?\d+)?")
_EXAMPLE = 'For example: year >= 2020 and camera = "X100".'
_DEEPEST = 50
#: Characters and conditions of a filter that somebody writes.
MAX_LENGTH, MAX_CONDITIONS = 16_384, 500
_MAX_DIGITS = 40


def all_of(*filters: Filter | None) -> Filter | None:
    """One filter for several, of which some may be missing."""
    parts = tuple(one for one in filters if one is not None)
    return And(parts) if len(parts) > 1 else (parts[0] if parts else None)


def moment(value: Value) -> datetime:
    """A string as a point in time, in UTC; without a zone it is taken for UTC.

    Raises:
        InvalidInput: the string is not a date.
    """
    try:
        found = datetime.fromisoformat(str(value))
        return found.astimezone(UTC) if found.tzinfo else found.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        raise InvalidInput(f"{value!r} has no order.", "Compare numbers, or dates like 2024-05-01.") from None


def matches(where: Filter, payload: Mapping[str, Any]) -> bool:
    """Whether a payload passes, for stores that cannot ask themselves."""
    match where:
        case And(parts):
            return all(matches(part, payload) for part in parts)
        case Or(parts):
            return any(matches(part, payload) for part in parts)
        case Not(part):
            return not matches(part, payload)
        case Exists(field):
            return payload.get(field) not in (None, [])
        case In(field, values):
            return any(matches(Compare(field, "=", value), payload) for value in values)
        case Compare(field, relation, value):
            found = payload.get(field)
            return any(_stands(one, relation, value) for one in (found if isinstance(found, list) else [found]))


def _stands(found: Any, relation: str, value: Value) -> bool:
    if isinstance(value, str) != isinstance(found, str) or found is None:
        return False
    if isinstance(found, bool) != isinstance(value, bool):
        return False
    if relation == "=":
        return bool(found == value)
    if isinstance(value, str):
        try:
            found, value = moment(found).timestamp(), moment(value).timestamp()
        except InvalidInput:
            return False
    return bool({"<": found < value, "<=": found <= value, ">": found > value, ">=": found >= value}[relation])


def parse(text: str) -> Filter:
    """A filter from what a person wrote.

    Raises:
        InvalidInput: it cannot be understood, the message says where; or it is too long.
    """
    if len(text) > MAX_LENGTH:
        raise InvalidInput(f"The filter has {len(text):,} characters; at most {MAX_LENGTH:,} are taken.")
    if any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput("The filter is not valid Unicode.", "Write it in UTF-8.")
    return _Parser(unicodedata.normalize("NFC", text)).whole()  # as names are kept, however a keyboard writes them


def parse_optional(text: str) -> Filter | None:
    """``parse``, but None for a blank text, which lets everything through."""
    return parse(text) if text.strip() else None


def format_filter(where: Filter) -> str:
    """A filter as ``parse`` reads it."""
    match where:
        case And(parts):
            return f"({' and '.join(map(format_filter, parts))})"
        case Or(parts):
            return f"({' or '.join(map(format_filter, parts))})"
        case Not(part):
            return f"not {format_filter(part)}"
        case Exists(field):
            return f"exists {_quoted(field)}"
        case In(field, values):
            return f"{_quoted(field)} in ({', '.join(map(_value, values))})"
        case Compare(field, relation, value):
            return f"{_quoted(field)} {relation} {_value(value)}"


def _value(value: Value) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    return _quoted(value) if isinstance(value, str) else repr(value)


def _quoted(text: str) -> str:
    return '"' + re.sub(r'(["\\])', r"\\\1", text) + '"'


class _Parser:
    def __init__(self, text: str) -> None:
        self._text, self._place, self._depth, self._conditions = text.rstrip(), 0, 0, 0

    def whole(self) -> Filter:
        found = self._or()
        if self._place < len(self._text):
            raise self._fault("and, or, or the end")
        return found

    def _or(self) -> Filter:
        parts = [self._and()]
        while self._take("or"):
            parts.append(self._and())
        return Or(tuple(parts)) if len(parts) > 1 else parts[0]

    def _and(self) -> Filter:
        parts = [self._not()]
        while self._take("and"):
            parts.append(self._not())
        return And(tuple(parts)) if len(parts) > 1 else parts[0]

    def _not(self) -> Filter:
        self._depth += 1
        if self._depth > _DEEPEST:
            raise InvalidInput(f"The filter is nested more than {_DEEPEST} deep.")
        try:
            if self._take("not"):
                return Not(self._not())
            if self._take("("):
                found = self._or()
                self._need(")")
                return found
            if self._take("exists"):
                return Exists(self._name())
            return self._condition()
        finally:
            self._depth -= 1

    def _condition(self) -> Filter:
        name = self._name()
        if self._take("in"):
            self._need("(")
            values = [self._value()]
            while self._take(","):
                self._count()
                values.append(self._value())
            self._need(")")
            return In(name, tuple(values))
        self._count()
        relation = next((sign for sign in ("<=", ">=", "!=", "<", ">", "=") if self._take(sign)), None)
        if relation is None:
            raise self._fault("=, !=, <, <=, >, >= or in")
        value = self._value()
        if relation == "!=":
            return Not(Compare(name, "=", value))
        if relation != "=" and isinstance(value, str | bool):
            moment(value)
        return Compare(name, relation, value)

    def _name(self) -> str:
        found = self._next()
        if found is None or found["sign"]:
            raise self._fault("the name of a field")
        self._place = found.end()
        return found["word"] or _unquoted(found["string"])

    def _value(self) -> Value:
        found = self._next()
        if found is None or found["sign"]:
            raise self._fault("a value")
        self._place = found.end()
        if found["string"]:
            return _unquoted(found["string"])
        word: str = found["word"]
        if word.lower() in ("true", "false"):
            return word.lower() == "true"
        return _number(word) if _NUMBER.fullmatch(word) else word

    def _count(self) -> None:
        self._conditions += 1
        if self._conditions > MAX_CONDITIONS:
            raise InvalidInput(f"The filter has more than {MAX_CONDITIONS} conditions.", "Ask in several searches.")

    def _next(self) -> re.Match[str] | None:
        return _TOKEN.match(self._text, self._place)

    def _take(self, wanted: str) -> bool:
        found = self._next()
        if found is None or (found["sign"] or (found["word"] or "").lower()) != wanted:
            return False
        self._place = found.end()
        return True

    def _need(self, wanted: str) -> None:
        if not self._take(wanted):
            raise self._fault(wanted)

    def _fault(self, wanted: str) -> InvalidInput:
        found = self._text[self._place :].strip()
        where = f"before {found[:20]!r}" if found else "at its end"
        return InvalidInput(f"The filter {self._text[:200]!r} lacks {wanted} {where}.", _EXAMPLE)


def _number(word: str) -> int | float:
    """A number that every store can compare with.

    Raises:
        InvalidInput: it is beyond 64 bits, or beyond a float's range.
    """
    plain = not set(word) & set(".eE")
    found: int | float = math.inf if len(word) > _MAX_DIGITS else int(word) if plain else float(word)
    if abs(found) >= (2**63 if plain else math.inf):
        raise InvalidInput(f"The number {word[:_MAX_DIGITS]} is out of range.", "Integers have 64 bits.")
    return found


def _unquoted(text: str) -> str:
    return re.sub(r"\\(.)", r"\1", text[1:-1], flags=re.DOTALL)
