"""``kilonova config``: what the options are set to, and where."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from enum import Enum
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kilonova import _home
from kilonova.cli import configuration, options
from kilonova.cli.out import cell
from kilonova.errors import InvalidInput

__all__ = ["app", "mask"]

app = typer.Typer(no_args_is_help=True)

_SECRETS = ("KILONOVA_API_KEYS", "KILONOVA_CREDENTIALS")  # variables that no option has


@dataclass(frozen=True)
class Setting:
    """An option's value.

    Attributes:
        command: the words that call the command; empty for what concerns all.
        option: the option's name in kilonova.toml.
        value: what it is set to, without secrets.
        source: flag, variable, file or default.
        name: of the flag, the variable or the file.
    """

    command: str
    option: str
    value: Any
    source: str
    name: str = ""


@app.callback()
def _group() -> None:
    """Show what the options are set to, and where.

    A flag counts more than a variable, a variable more than kilonova.toml in the current folder (or the file of
    `--config`), this more than kilonova.toml in the folder of your credentials, and that more than the default.

    **Examples**

        kilonova config show

        kilonova config show serve

        KILONOVA_SERVE_PORT=9000 kilonova config show serve --json
    """


@app.command(context_settings={"allow_extra_args": True, "ignore_unknown_options": True})
def show(
    context: typer.Context,
    words: Annotated[
        list[str] | None,
        typer.Argument(metavar="[COMMAND]", help="The command, and flags of it; all by default."),
    ] = None,
    as_json: options.Json = False,
) -> None:
    """Print the value of each option, and whether a flag, a variable, a file or the default set it. Secrets are masked.

    **Examples**

        kilonova config show

        kilonova config show collections list

        kilonova config show serve --port 9000

        kilonova --config site.toml config show --json
    """
    root = context.find_root()
    assert isinstance(root.command, TyperGroup)
    flags = [*(words or []), *context.args]
    path, command = _find(root.command, flags)
    chosen = [(path, command)] if isinstance(command, TyperCommand) else list(options.commands(command, path))
    if isinstance(command, TyperGroup) and flags:
        raise typer.BadParameter(f"Flags need a command: {' '.join(flags)}.", param_hint="COMMAND")
    found = [*_general()] if command is root.command else []
    for place, one in chosen:
        found += _settings(root, place, one, flags)
    if as_json:
        print(json.dumps([asdict(setting) for setting in found], ensure_ascii=False, indent=2))
        return
    _print(found)


def _find(root: TyperGroup, words: list[str]) -> tuple[tuple[str, ...], TyperGroup | TyperCommand]:
    """The command that words name, which are taken off the list.

    Raises:
        InvalidInput: there is none of this name.
    """
    path: tuple[str, ...] = ()
    command: Any = root
    while isinstance(command, TyperGroup) and words and not words[0].startswith("-"):
        word = words.pop(0)
        if word not in command.commands:
            raise InvalidInput(
                f"There is no command {' '.join((*path, word))}.", f"Commands: {', '.join(sorted(command.commands))}."
            )
        path, command = (*path, word), command.commands[word]
    return path, command


def _general() -> Iterator[Setting]:
    """What only variables set."""
    home = os.environ.get("KILONOVA_HOME")
    yield Setting("", "home", str(_home.config()), "variable" if home else "default", "KILONOVA_HOME" if home else "")
    for name in _SECRETS:
        if os.environ.get(name):
            yield Setting("", name.removeprefix("KILONOVA_").lower().replace("_", "-"), "***", "variable", name)


def _settings(root: Any, path: tuple[str, ...], command: TyperCommand, flags: list[str]) -> Iterator[Setting]:
    """The settings of one command, called with these flags."""
    parent: Any = root
    for word in path[:-1]:
        parent = typer.Context(parent.command.commands[word], info_name=word, parent=parent)
    context = typer.Context(command, info_name=path[-1], parent=parent)
    given, _, _ = command.make_parser(context).parse_args(list(flags))
    sources = configuration.Configuration.of(root).sources
    for key, option in options.configurable(command).items():
        raw, source = option.consume_value(context, given)
        value = option.process_value(context, raw) if raw is not None else None
        if key == "data" and value is None:
            value = _home.data()
        kind, name = "default", ""
        match source.name:
            case "COMMANDLINE":
                kind, name = "flag", option.opts[0]
            case "ENVIRONMENT":
                kind, name = "variable", _variable(option)
            case "DEFAULT_MAP":
                kind, name = "file", str(sources[(*path, key)])
        yield Setting(" ".join(path), key, _plain(value), kind, name)


def _variable(option: TyperOption) -> str:
    """The variable that sets an option: the first of its own that is not empty."""
    names = [option.envvar] if isinstance(option.envvar, str) else option.envvar or []
    return next(name for name in names if os.environ.get(name))


def _plain(value: Any) -> Any:
    """A value as JSON has it, without secrets."""
    match value:
        case Enum():
            return value.value
        case list() | tuple():
            return [_plain(one) for one in value]
        case str() | Path():
            return mask(str(value))
    return value


def mask(text: str) -> str:
    """An address without the password, key or token in it."""
    text = re.sub(r"(\w://[^/?#@\s:]*):[^/?#\s]*@", r"\1:***@", text)
    return re.sub(r"(?i)((?:password|passwd|secret|token|key)[\w-]*=)[^&;\s]+", r"\1***", text)


def _print(found: list[Setting]) -> None:
    from itertools import groupby

    from rich.console import Console
    from rich.table import Table

    console = Console()
    for command, settings in groupby(found, lambda setting: setting.command):
        table = Table("option", "value", "from", box=None, title=command or "all commands", title_justify="left")
        for one in settings:
            values = one.value if isinstance(one.value, list) else [one.value] if one.value is not None else []
            table.add_row(one.option, cell(", ".join(map(str, values))), cell(f"{one.source} {one.name}".strip()))
        console.print(table, "")
