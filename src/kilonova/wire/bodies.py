"""Bounds on a JSON body that hold before it is parsed, and on what is said of one that breaks its schema.

Parsing a few megabytes of unknown keys takes seconds and gigabytes, and no valid request has so many.
"""

from __future__ import annotations

from typing import Any

from pydantic import ValidationError

from kilonova.errors import InvalidInput

__all__ = ["check_body", "too_many", "without_nulls"]

_SMALL = 64 << 10  # bytes that cannot hold enough to matter
#: Violations that are listed; making a million of them takes seconds.
_MAX_VIOLATIONS = 1_000


def check_body(body: bytes, strings: int, values: int) -> None:
    """Refuse a body with more in it than a valid request can have.

    Args:
        body: JSON, not parsed yet.
        strings: keys and texts that a request may have.
        values: values that it may have, and commas in its texts.

    Raises:
        InvalidInput: it has more.
    """
    if len(body) < _SMALL:
        return
    # Of a string's two quotes at least the first is not preceded by a backslash.
    if body.count(b'"') - body.count(b'\\"') > 2 * strings or body.count(b",") > values:
        raise InvalidInput(
            f"Malformed input request: more than {strings:,} keys and texts or {values:,} values,"
            " please reformat your input and try again.",
            "Send it in several requests; a vector may be sent as base64.",
        )


def without_nulls(given: Any) -> Any:
    """An object without its fields that are null, which count as left out; anything else as it is."""
    return {name: value for name, value in given.items() if value is not None} if isinstance(given, dict) else given


def too_many(error: ValidationError) -> InvalidInput | None:
    """What is said where there are too many violations to list, None where there are not."""
    count = error.error_count()
    if count <= _MAX_VIOLATIONS:
        return None
    return InvalidInput(
        f"Malformed input request: {count:,} schema violations found, please reformat your input and try again."
    )
