"""What is said of files, as a store can keep it: JSON values whose numbers and texts every store can write."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from kilonova.media.words import printable

__all__ = ["date_facts", "keepable", "of_file", "plain"]

# Within what ``stores.checks`` lets into a payload, together with what else is in it.
_DEEPEST = 30  # levels of lists and objects
_VALUES = 4_000
_LONGEST = 10_000  # characters of a text that a file says of itself
_LONGEST_TAG = 1_000
_INTEGERS = range(-(1 << 63), 1 << 63)


class _Unkeepable(Exception):
    """A value that no store keeps, and why."""


def keepable(facts: Mapping[str, Any]) -> tuple[dict[str, Any], list[str]]:
    """Facts without those that no store keeps.

    Texts lose what is no character (``media.words.printable``).

    Args:
        facts: JSON values by name.

    Returns:
        The facts, and for each of the others a sentence that says why it is left out.
    """
    kept: dict[str, Any] = {}
    reasons = []
    left = _VALUES
    for name, value in facts.items():
        try:
            found = _kept(value, _DEEPEST)
            size = _size(found)
            if size > left:
                raise _Unkeepable(f"more than {_VALUES:,} values would be kept")
            kept[_name(name)] = found
            left -= size
        except _Unkeepable as error:
            reasons.append(f"{printable(name)[:80]!r} is left out: {error}.")
    return kept, reasons


def of_file(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of itself, without what is empty or cannot be kept, and of long texts the beginning: cameras and
    tags write many things."""
    kept, _ = keepable(facts)
    shown = {name: value[:_LONGEST] if isinstance(value, str) else value for name, value in kept.items()}
    return {name: value for name, value in shown.items() if value not in ("", None)}


def date_facts(text: str, offset: str = "") -> dict[str, Any]:
    """``date`` as ISO 8601 and ``year``, from Exif's 2024:05:01 10:00:00, ISO dates or a year."""
    text = re.sub(r"^(\d{4}):(\d\d):(\d\d)", r"\1-\2-\3", text.strip())
    if re.fullmatch(r"(1[89]|20)\d\d", text):
        return {"year": int(text)}
    try:
        found = datetime.fromisoformat(text + offset)
    except ValueError:
        return {}
    return {"date": found.isoformat(), "year": found.year}


def plain(value: object) -> str:
    """A tag as text, its beginning where it is long."""
    text = value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value or "")
    return text.replace("\0", "").strip()[:_LONGEST_TAG]


def _size(value: Any) -> int:
    """How many values there are, those within others with them."""
    if isinstance(value, dict):
        return 1 + sum(map(_size, value.values()))
    return 1 + sum(map(_size, value)) if isinstance(value, list) else 1


def _name(name: str) -> str:
    found = printable(name)
    if not found:
        raise _Unkeepable("it has no name")
    return found


def _kept(value: Any, levels: int) -> Any:
    match value:
        case None | bool():
            return value
        case int():
            if value not in _INTEGERS:
                raise _Unkeepable("its number has more than 64 bits")
            return value
        case float():
            if not math.isfinite(value):
                raise _Unkeepable("it is NaN or infinite, which JSON does not have")
            return value
        case str():
            return printable(value)
    if not levels:
        raise _Unkeepable(f"it is nested more than {_DEEPEST} deep")
    if isinstance(value, Mapping):
        return {_name(name): _kept(one, levels - 1) for name, one in value.items()}
    if isinstance(value, list | tuple):
        return [_kept(one, levels - 1) for one in value]
    raise _Unkeepable(f"{type(value).__name__} is no kind of value that JSON has")
