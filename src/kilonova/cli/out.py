"""What commands print: JSON that every terminal can take, names that cannot steer it."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rich.text import Text

__all__ = ["cell", "escape", "print_json"]


def print_json(value: Any) -> None:
    """Print a JSON value on one line; in ASCII where standard output has no room for its characters."""
    text = json.dumps(value, ensure_ascii=False)
    try:
        text.encode(sys.stdout.encoding or "utf-8")
    except UnicodeEncodeError:
        text = json.dumps(value)
    print(text)


def escape(text: str) -> str:
    """A text of somebody's file on one line, without characters that a terminal obeys."""
    return "".join(one if one.isprintable() else repr(one)[1:-1] for one in text)


def cell(text: object) -> Text:
    """The same for a table of Rich, which would take [brackets] in a name for its markup."""
    from rich.text import Text

    return Text(escape(str(text)))
