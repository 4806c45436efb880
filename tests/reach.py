"""What a test reaches: whether it, a fixture of it or anything that they call starts a server or another program.

`make test-fast` leaves such tests out. Nobody has to mark them: this follows the names that their code uses, through
the tests and through Kilonova, whose models and decoders run in processes of their own.
"""

from __future__ import annotations

import inspect
import subprocess
from collections.abc import Iterator
from types import CodeType, FunctionType, ModuleType
from typing import Any

import pytest

from tests import servers

__all__ = ["reaches", "starts_programs"]

_STARTERS = frozenset(map(id, (subprocess.run, subprocess.Popen, subprocess.check_output, servers.BIN)))
_OURS = ("tests.", "kilonova.")
_known: dict[int, bool] = {}


def starts_programs(item: pytest.Item) -> bool:
    """Whether a test starts a program: a server, the command line, a worker of a model, a decoder."""
    fixtures: dict[str, Any] = getattr(item, "_fixtureinfo").name2fixturedefs  # noqa: B009 - pytest has no public name
    functions = [getattr(item, "function", None), *(one[-1].func for one in fixtures.values())]
    return any(map(reaches, functions))


def reaches(thing: Any) -> bool:
    """Whether a function or class starts a program, itself or by what it calls."""
    if id(thing) in _STARTERS:
        return True
    try:
        thing = inspect.unwrap(thing)
    except (TypeError, ValueError):
        return False
    if not isinstance(thing, FunctionType | type) or not f"{thing.__module__}.".startswith(_OURS):
        return False
    if id(thing) not in _known:
        _known[id(thing)] = False  # while it is looked at, for those that call each other
        _known[id(thing)] = any(map(reaches, _used(thing)))
    return _known[id(thing)]


def _used(thing: FunctionType | type) -> Iterator[Any]:
    """The things that the code of a function, or of the methods of a class, names."""
    if isinstance(thing, type):
        for base in thing.__mro__[:-1]:
            yield from (value for value in vars(base).values() if isinstance(value, FunctionType))
        return
    names = set(_names(thing.__code__))
    for found in (thing.__globals__[name] for name in names if name in thing.__globals__):
        yield found
        if isinstance(found, ModuleType):
            public = getattr(found, "__all__", ())  # some of it is loaded when it is first used
            yield from (getattr(found, name) for name in names if name in vars(found) or name in public)


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)
