"""What a test reaches: whether it, a fixture of it or a helper that they call starts a server or another program.

`make test-fast` leaves such tests out. Nobody has to mark them: this looks at the names that their code uses.
"""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Iterator
from types import CodeType, FunctionType
from typing import Any

import pytest

from tests import servers

__all__ = ["reaches", "starts_programs"]

_STARTERS: tuple[Any, ...] = (subprocess, subprocess.run, subprocess.Popen, servers.BIN)
_known: dict[int, bool] = {}


def starts_programs(item: pytest.Item) -> bool:
    """Whether a test starts a program: a server, the command line, a shell."""
    fixtures: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - pytest has no public name
    functions = [getattr(item, "function", None), *(one[-1].func for one in fixtures.values())]
    return any(reaches(function) for function in functions)


def reaches(thing: Any) -> bool:
    """Whether a function or class of the tests uses a starter, itself or by what it calls."""
    thing = inspect.unwrap(thing) if callable(thing) else thing
    if any(thing is starter for starter in _STARTERS):
        return True
    if not str(getattr(thing, "__module__", "")).startswith("tests."):
        return False
    if id(thing) not in _known:
        _known[id(thing)] = False  # while it is looked at, for those that call each other
        _known[id(thing)] = any(reaches(one) for one in _used(thing))
    return _known[id(thing)]


def _used(thing: Any) -> Iterator[Any]:
    """The things that the code of a function or class names."""
    if inspect.isclass(thing):
        for base in thing.__mro__[:-1]:
            yield from (value for value in vars(base).values() if isinstance(value, FunctionType))
    elif isinstance(thing, FunctionType):
        for name in _names(thing.__code__):
            if name in thing.__globals__:
                yield thing.__globals__[name]


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
