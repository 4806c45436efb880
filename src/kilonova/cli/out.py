"""What commands print: JSON that every terminal can take, names that cannot steer it."""

from __future__ import annotations

import json
import sys
from typing import Any

__all__ = ["print_json", "shown"]


def print_json(value: Any) -> None:
    """Print a JSON value on one line; in ASCII where standard output has no room for its characters."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text)


def shown(text: str) -> str:
    """A text of somebody's file on one line, without characters that a terminal obeys."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)
