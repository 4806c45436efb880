"""kilonova.toml: where it is, what it may hold, and how it becomes the defaults of the options."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_origin

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kilonova import _home
from kilonova.cli import options
from kilonova.errors import InvalidInput

__all__ = ["NAME", "Configuration", "apply", "files", "read"]

NAME = "kilonova.toml"
_KEY = "kilonova.configuration"  # in the context's ``meta``
_WORDS = {
    bool: "true or false",
    int: "a whole number",
    float: "a number",
    str: "a string",
    list: "a list",
    dict: "a table",
}


@dataclass
class Configuration:
    """What the files say.

    Attributes:
        defaults: values by command and parameter, as ``Context.default_map`` takes them.
        sources: the file of each value, by the words of the command and the option's name.
        data: the data folder for all commands, also those that have no ``--data``.
    """

    defaults: dict[str, Any] = field(default_factory=dict)
    sources: dict[tuple[str, ...], Path] = field(default_factory=dict)
    data: Path | None = None

    def add(self, place: tuple[str, ...], option: TyperOption, value: Any, source: Path) -> None:
        """Take a value, unless there is one already, from a file that counts more or from the command's own table."""
        if place in self.sources:
            return
        values = self.defaults
        for word in place[:-1]:
            values = values.setdefault(word, {})
        values[option.name] = value
        self.sources[place] = source

    @classmethod
    def of(cls, context: typer.Context) -> Configuration:
        """The configuration of this run; an empty one when there is no file."""
        found = context.meta.get(_KEY)
        return found if isinstance(found, cls) else cls()


def files(given: Path | None) -> list[Path]:
    """The files that are there, the one that counts most first.

    Args:
        given: the file of ``--config``, which is read instead of the one in the current folder.

    Raises:
        InvalidInput: the file in the current folder belongs to another user.
    """
    here, users = Path(NAME), _home.config() / NAME
    if given is None and here.is_file():
        owner = here.stat().st_uid
        if hasattr(os, "getuid") and owner not in (os.getuid(), 0):
            raise InvalidInput(
                f"{here.absolute()} belongs to another user.", f"If you trust it, say so: kilonova --config {NAME} …"
            )
        given = here
    found = [given.absolute()] if given is not None else []
    if users.is_file() and not (found and found[0].exists() and users.samefile(found[0])):
        found.append(users.absolute())
    return found


def apply(context: typer.Context, given: Path | None) -> None:
    """Make what the files say the defaults of the command that follows.

    Raises:
        InvalidInput: a file cannot be read, or holds something that no option can take.
    """
    paths = files(given)
    if not paths:
        return
    root = context.command
    assert isinstance(root, TyperGroup)
    try:
        found = read(paths, root)
    except InvalidInput:
        if "--help" in sys.argv:  # help is there above all when something is wrong
            return
        raise
    context.default_map = found.defaults
    context.meta[_KEY] = found
    if found.data is not None:
        _home.set_default_data(found.data)


def read(paths: list[Path], root: TyperGroup) -> Configuration:
    """Read files into one configuration; what an earlier one says counts more.

    Raises:
        InvalidInput: see ``apply``.
    """
    found = Configuration()
    for path in paths:
        table = _load(path)
        entries, shared = list(_entries(table, root, path, ())), {}
        for path_of, command in options.commands(root):
            for name, option in options.configurable(command).items():
                if name in options.SHARED and name in table:
                    value = shared[name] = _value(table[name], option, path, (name,))
                    entries.append(((*path_of, name), option, value))
        for place, option, value in entries:
            found.add(place, option, value, path)
        if found.data is None and "data" in shared:
            found.data = shared["data"]
    return found


def _load(path: Path) -> dict[str, Any]:
    import tomllib

    try:
        return tomllib.loads(path.read_text("utf-8-sig"))  # Notepad puts a mark before the text
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}.") from None
    except UnicodeDecodeError:
        raise InvalidInput(f"{path} is not UTF-8.", "Save it in UTF-8.") from None
    except tomllib.TOMLDecodeError as error:
        raise InvalidInput(f"{path} is not TOML: {error}.", "docs/reference/configuration.md shows one.") from None


_Entry = tuple[tuple[str, ...], TyperOption, Any]


def _entries(
    table: dict[str, Any], command: TyperGroup | TyperCommand, path: Path, place: tuple[str, ...]
) -> Iterator[_Entry]:
    """The values in the tables of commands: where each belongs, its option, and itself.

    Raises:
        InvalidInput: there is no such command or option, or it cannot have this value.
    """
    known = dict(command.commands if isinstance(command, TyperGroup) else options.configurable(command))
    for name, value in table.items():
        inner = known.get(name)
        if isinstance(inner, TyperOption):
            yield (*place, name), inner, _value(value, inner, path, (*place, name))
        elif isinstance(inner, TyperGroup | TyperCommand):
            if not isinstance(value, dict):
                raise InvalidInput(
                    f"{path}: {_dotted(*place, name)} must be a table, not {_called(value)}.",
                    f"Write [{_dotted(*place, name)}] above the options of `kilonova {' '.join((*place, name))}`.",
                )
            yield from _entries(value, inner, path, (*place, name))
        elif place or name not in options.SHARED:
            raise InvalidInput(
                f"{path}: there is no option {_dotted(*place, name)}.",
                _nearest(name, [*known, *(() if place else options.SHARED)]),
            )


def _nearest(name: str, known: list[str]) -> str:
    from difflib import get_close_matches

    if found := get_close_matches(name.lower().replace("_", "-"), known, 1):
        return f"Did you mean {found[0]}?"
    return f"Possible here: {', '.join(sorted(known))}."


def _value(value: Any, option: TyperOption, path: Path, place: tuple[str, ...]) -> Any:
    """A value of a file as its option takes it; paths count from the file's folder.

    Raises:
        InvalidInput: it is of another type, or out of the option's range.
    """
    kind: Any = option.type_descriptor.annotation
    if get_origin(kind) is list:
        (inner,) = get_args(kind)
        return [_one(one, inner, option, path, place) for one in (value if isinstance(value, list) else [value])]
    return _one(value, kind, option, path, place)


def _one(value: Any, kind: Any, option: TyperOption, path: Path, place: tuple[str, ...]) -> Any:
    if kind is Path and isinstance(value, str) and value:
        return path.parent / Path(value).expanduser()
    expected = kind if kind in (bool, int, float) else str
    fits = type(value) is expected or (expected is float and type(value) is int)
    if not fits:
        raise _wrong(path, place, _WORDS[expected], value)
    if isinstance(kind, type) and issubclass(kind, Enum) and value not in [one.value for one in kind]:
        raise InvalidInput(
            f"{path}: {_dotted(*place)} cannot be {value!r}.", f"Possible: {', '.join(str(one.value) for one in kind)}."
        )
    smallest, largest = option.min, option.max
    if smallest is not None and not value >= smallest:
        raise InvalidInput(f"{path}: {_dotted(*place)} must be at least {smallest}, not {value}.")
    if largest is not None and not value <= largest:
        raise InvalidInput(f"{path}: {_dotted(*place)} must be at most {largest}, not {value}.")
    return value


def _wrong(path: Path, place: tuple[str, ...], expected: str, value: Any) -> InvalidInput:
    return InvalidInput(f"{path}: {_dotted(*place)} must be {expected}, not {_called(value)}.")


def _called(value: Any) -> str:
    """What a value of TOML is; the value itself, which may be a secret, is not shown."""
    return _WORDS.get(type(value), "a date or time")


def _dotted(*words: str) -> str:
    return ".".join(words)
