"""What is said of files, as a store can keep it: JSON values whose numbers and texts every store can write."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

from kilonova.media.words import printable

__all__ = ["keepable", "of_file"]

_DEEPEST = 30  # levels of lists and objects
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
    for name, value in facts.items():
        try:
            kept[_name(name)] = _kept(value, _DEEPEST)
        except _Unkeepable as error:
            reasons.append(f"{printable(name)[:80]!r} is left out: {error}.")
    return kept, reasons


def of_file(facts: Mapping[str, Any]) -> dict[str, Any]:
    """What a file says of itself, without what is empty or cannot be kept: cameras write many things."""
    kept, _ = keepable(facts)
    return {name: value for name, value in kept.items() if value not in ("", None)}


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
