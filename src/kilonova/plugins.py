"""Plug-ins: what other distributions register as entry points of the groups below.

Kilonova's own are registered in the same groups, but each registry looks at a table in code first and asks here only
for what it does not know: reading the entry points of an environment takes longer than starting Kilonova.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING, Any, TypeGuard, TypeVar

from kilonova.errors import Unavailable

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

__all__ = ["GROUPS", "Plugin", "find", "installed", "load", "names", "resolve"]

#: The groups of entry points. The name of an entry is that of the model family, the scheme of the store's addresses, …
GROUPS = ("kilonova.models", "kilonova.stores", "kilonova.readers", "kilonova.rerankers")

_OURS = "kilonova"
T = TypeVar("T")


@dataclass(frozen=True)
class Plugin:
    """An entry point of an installed distribution.

    Attributes:
        group: one of ``GROUPS``.
        name: of the entry point.
        distribution: that brings it.
        version: of the distribution.
        built_in: it is Kilonova's own.
        fault: why it cannot be used; "" where it can.
    """

    group: str
    name: str
    distribution: str
    version: str
    built_in: bool
    fault: str = ""


def resolve(where: str) -> Any:
    """The object at ``module:attribute``, for the tables of built-ins."""
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def find(group: str, name: str, is_right: Callable[[object], TypeGuard[T]]) -> T | None:
    """The plug-in of that name; None where no other distribution has one.

    Args:
        group: one of ``GROUPS``.
        name: of the entry point; where two distributions have it, the first on ``sys.path`` counts.
        is_right: whether an object is what the group holds.

    Raises:
        Unavailable: it cannot be imported, or is not what the group holds.
    """
    entry = next((one for one in _entries(group, tuple(sys.path)) if one.name == name and not _is_ours(one)), None)
    return None if entry is None else _load(entry, is_right)


def load(group: str, is_right: Callable[[object], TypeGuard[T]]) -> tuple[dict[str, T], list[Unavailable]]:
    """All plug-ins of a group by name, and the faults of those that cannot be used; arguments as of ``find``."""
    found: dict[str, T] = {}
    faults = []
    for entry in _entries(group, tuple(sys.path)):
        if _is_ours(entry) or entry.name in found:
            continue
        try:
            found[entry.name] = _load(entry, is_right)
        except Unavailable as fault:
            faults.append(fault)
    return found, faults


def names(group: str) -> frozenset[str]:
    """The names of a group's plug-ins; none is imported."""
    return frozenset(entry.name for entry in _entries(group, tuple(sys.path)) if not _is_ours(entry))


def installed(checks: Mapping[str, Callable[[object], bool]] | None = None) -> list[Plugin]:
    """Every entry point of every group, Kilonova's own first; all are imported, to say which cannot be used.

    Args:
        checks: by group, whether an object is what the group holds.
    """
    return [
        _describe(entry, (checks or {}).get(group, lambda _: True))
        for group in GROUPS
        for entry in sorted(_entries(group, tuple(sys.path)), key=lambda one: not _is_ours(one))
    ]


@cache
def _entries(group: str, path: tuple[str, ...]) -> tuple[EntryPoint, ...]:
    """The entry points of a group; ``path`` is what they were looked for on."""
    from importlib.metadata import entry_points

    return tuple(entry_points(group=group))


def _is_ours(entry: EntryPoint) -> bool:
    return _distribution(entry)[0] == _OURS


def _distribution(entry: EntryPoint) -> tuple[str, str]:
    return (entry.dist.name, entry.dist.version) if entry.dist is not None else ("unknown", "")


def _load(entry: EntryPoint, is_right: Callable[[object], TypeGuard[T]]) -> T:
    name = f"The plug-in {entry.name!r} ({entry.group}) of the distribution {_distribution(entry)[0]}"
    hint = f"Update it, or remove it: pip uninstall {_distribution(entry)[0]}"
    try:
        found = entry.load()
    except (Exception, SystemExit) as error:  # code of strangers: whatever it raises must not break other plug-ins
        raise Unavailable(f"{name} cannot be imported: {type(error).__name__}: {error}.", hint) from error
    if not is_right(found):
        raise Unavailable(f"{name} is not what that group holds: {entry.value}.", hint)
    return found


def _describe(entry: EntryPoint, is_right: Callable[[object], bool]) -> Plugin:
    distribution, version = _distribution(entry)
    fault = ""
    try:
        if not is_right(entry.load()):
            fault = f"{entry.value} is not what {entry.group} holds."
    except (Exception, SystemExit) as error:  # as above; a built-in's fault is an extra that is not installed
        fault = f"{type(error).__name__}: {error}"
    return Plugin(entry.group, entry.name, distribution, version, _is_ours(entry), fault)
