"""What every store refuses, wherever it keeps its points: names, vectors and payloads that cannot be read back."""

from __future__ import annotations

import math
import re
from collections.abc import Collection as Several
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from kilonova.errors import InvalidInput
from kilonova.stores.points import Collection, Metric, Point

__all__ = [
    "MAX_CHARACTERS",
    "MAX_DEPTH",
    "MAX_ID",
    "MAX_TEXT",
    "MAX_VALUES",
    "NAME_BYTES",
    "NAME_CHARACTERS",
    "as_float32",
    "check_metric",
    "check_name",
    "check_payload",
    "check_point",
    "check_points",
    "check_query",
    "clean_point",
    "is_name",
    "valid_ids",
]

#: Characters of a collection's name, and its bytes in UTF-8: file systems take 255, and stores add their own.
NAME_CHARACTERS, NAME_BYTES = 64, 200
_NAME = re.compile(rf"[^\W_][\w-]{{0,{NAME_CHARACTERS - 1}}}")
#: Characters of an id and of a point's text.
MAX_ID, MAX_TEXT = 4_096, 1_000_000
#: How deep a payload may be nested, the values and the characters it may have. Qdrant's readers end at a depth of 127.
MAX_DEPTH, MAX_VALUES, MAX_CHARACTERS = 32, 10_000, 1_000_000
_METRICS = {Metric.COSINE: "cosine", Metric.DOT: "dot product", Metric.EUCLID: "Euclidean distance"}


def is_name(name: str) -> bool:
    """Whether a collection can have that name in every store."""
    return bool(_NAME.fullmatch(name)) and len(name.encode("utf-8", "surrogatepass")) <= NAME_BYTES and _encodable(name)


def check_name(name: str) -> None:
    """Refuse names that a collection cannot have in every store.

    Raises:
        InvalidInput: the name is not valid.
    """
    if not is_name(name):
        raise InvalidInput(
            f"Invalid collection name {name!r}.",
            f"Use at most {NAME_CHARACTERS} letters, digits, - and _ ({NAME_BYTES} bytes), a letter or digit first.",
        )


def check_metric(collection: Collection, metrics: Iterable[Metric]) -> None:
    """Refuse a metric that a store has not.

    Args:
        collection: to be made.
        metrics: of the store.

    Raises:
        InvalidInput: the message names those that it has.
    """
    there = [_METRICS[one] for one in Metric if one in set(metrics)]
    if collection.metric not in set(metrics):
        raise InvalidInput(f"This store cannot compare by {_METRICS[collection.metric]}.", f"Use {' or '.join(there)}.")


def check_points(collection: Collection, points: Sequence[Point]) -> None:
    """Refuse points that do not fit into a collection, or that could not be read back.

    Raises:
        InvalidInput: the message names the point and what is wrong with it.
    """
    for point in points:
        if point.vector.shape != (collection.dimension,):
            raise InvalidInput(
                f"The vector of {point.id[:200]} is {point.vector.shape}; "
                f"{collection.name} holds vectors of {collection.dimension}."
            )
        check_point(point)


def check_point(point: Point) -> None:
    """Refuse a point that could not be read back.

    Raises:
        InvalidInput: the message names the point and what is wrong with it.
    """
    shown = point.id[:200]
    if not _is_id(point.id):
        raise InvalidInput(f"{shown!r} is no id of a point.", f"Use 1 to {MAX_ID:,} characters of valid Unicode.")
    if not np.isfinite(point.vector).all():
        raise InvalidInput(f"The vector of {shown} has values that are not finite.")
    if len(point.text) > MAX_TEXT or not _encodable(point.text):
        raise InvalidInput(
            f"The text of {shown} cannot be kept.", f"Send at most {MAX_TEXT:,} characters of valid Unicode."
        )
    check_payload(point.payload, f"The payload of {shown}")


def clean_point(point: Point) -> Point:
    """The same point with a vector of contiguous float32."""
    vector = as_float32(point.vector)
    return point if vector is point.vector else replace(point, vector=vector)


def as_float32(vector: np.ndarray) -> np.ndarray:
    """A vector as contiguous float32, itself where it is; numbers beyond float32 become infinite."""
    if vector.dtype == np.float32 and vector.flags.c_contiguous:
        return vector
    with np.errstate(over="ignore"):
        return np.ascontiguousarray(vector, np.float32)


def valid_ids(ids: Iterable[str]) -> list[str]:
    """Each id once, without those that no point can have."""
    return [one for one in dict.fromkeys(ids) if _is_id(one)]


def check_query(collection: Collection, vector: np.ndarray) -> None:
    """Refuse a query that does not fit into a collection.

    Raises:
        InvalidInput: its length is not the collection's dimension, or it has values that are not finite.
    """
    if vector.shape != (collection.dimension,):
        raise InvalidInput(
            f"The query is a vector of dimension {vector.size}; "
            f"{collection.name} holds vectors of {collection.dimension}."
        )
    if not np.isfinite(vector).all():
        raise InvalidInput("The query is a vector with values that are not finite.")


def check_payload(payload: Any, where: str) -> None:
    """Refuse a payload that a store could not give back as it was.

    Args:
        payload: JSON values.
        where: what the message calls it.

    Raises:
        InvalidInput: it is nested more than 32 deep, has more than 10,000 values or 1,000,000 characters, or a value
            that is not JSON: NaN, an infinity, an integer beyond 64 bits, a string that is not valid Unicode.
    """
    values = characters = 0
    level: Several[Any] = (payload,)
    for _ in range(MAX_DEPTH + 1):
        below: list[Any] = []
        for value in level:
            values += 1
            if isinstance(value, dict):
                below += value.values()
                characters += sum(_length(name, where) for name in value)
            elif isinstance(value, list | tuple):
                below += value
            else:
                characters += _length(value, where)
            if values + len(below) > MAX_VALUES or characters > MAX_CHARACTERS:
                raise InvalidInput(
                    f"{where} has more than {MAX_VALUES:,} values or {MAX_CHARACTERS:,} characters.",
                    "Keep what is searched for in it, and the rest elsewhere.",
                )
        if not below:
            return
        level = below
    raise InvalidInput(f"{where} is nested more than {MAX_DEPTH} deep.", "Flatten it.")


def _length(value: Any, where: str) -> int:
    """Characters of a value that holds no others; refuses those that JSON has not."""
    if isinstance(value, str):
        if not _encodable(value):
            raise InvalidInput(f"{where} has a string that is not valid Unicode: {value[:50]!r}.", "Repair or drop it.")
        return len(value)
    if isinstance(value, bool) or value is None:
        return 0
    if isinstance(value, int) and -(2**63) <= value < 2**63:
        return 0
    if isinstance(value, float) and math.isfinite(value):
        return 0
    shown = str(value)[:50] if not isinstance(value, int) else "an integer beyond 64 bits"
    raise InvalidInput(f"{where} has a value that cannot be kept: {shown}.", "Use JSON's values, with finite numbers.")


def _is_id(name: str) -> bool:
    return 0 < len(name) <= MAX_ID and _encodable(name)


def _encodable(text: str) -> bool:
    """Whether a string has no lone surrogates, which UTF-8 has no form for."""
    if text.isascii():
        return True
    try:
        text.encode()
    except UnicodeEncodeError:
        return False
    return True
