"""The options of all commands: how each is called in the environment and in kilonova.toml, and the declarations of
those that more than one command has."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer
from typer.core import TyperCommand, TyperGroup, TyperOption

from kilonova.media.content import Detail as _Detail
from kilonova.models.card import Purpose as _Purpose

__all__ = [
    "COLLECTION", "DIMENSION", "HOST", "LOG_LEVEL", "MODEL", "PORT", "SHARED", "Collection", "Data", "Detail",
    "Dimension", "Json", "LogLevel", "Model", "Models", "NewModel", "Purpose", "Store", "commands", "configurable",
    "host", "json", "key", "limit", "name_variables", "port",
]  # fmt: skip

COLLECTION = "files"
DIMENSION = 1024
HOST = "127.0.0.1"
LOG_LEVEL = "warning"
MODEL = "kilonova-mini"
PORT = 8000

#: Options that kilonova.toml may set once for all commands, and the variables that do the same. The port has none,
#: because Kubernetes sets KILONOVA_PORT itself where a service is called "kilonova".
SHARED = {
    "collection": "KILONOVA_COLLECTION",
    "data": "KILONOVA_DATA",
    "model": "KILONOVA_MODEL",
    "port": None,
    "store": "KILONOVA_STORE",
}


def host(help: str) -> Any:
    """``--host``; ``help`` says whether it is listened on or asked."""
    return typer.Option("--host", help=help)


def port(help: str, smallest: int = 1) -> Any:
    """``--port``; ``smallest`` is 0 where a free one can be taken."""
    return typer.Option("--port", help=help, min=smallest, max=65535)


def limit(help: str, most: int | None = None) -> Any:
    """``--limit``, or ``-k``: how many at most."""
    return typer.Option("--limit", "-k", help=help, min=1, max=most)


def json(help: str) -> Any:
    """``--json`` of a command whose JSON needs a word of explanation."""
    return typer.Option("--json", help=help)


Data = Annotated[
    Path | None,
    typer.Option("--data", help="Folder of collections, jobs and local objects; by default the user's data folder."),
]
Store = Annotated[
    str,
    typer.Option("--store", help="Address of another vector store, see `kilonova copy --help`."),
]
Collection = Annotated[
    str, typer.Option("--collection", "-c", help="Name of the collection; `kilonova index` makes a new one.")
]
Model = Annotated[str, typer.Option("--model", help="The model, see `kilonova models`.")]
Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model, by default kilonova-mini (see `kilonova models`). Several times for several; Nova's model ids "
        "mean the first.",
        show_default=False,
    ),
]
NewModel = Annotated[
    str | None,
    typer.Option("--model", help="Model of a new collection, see `kilonova models`; kilonova-mini if not given."),
]
Purpose = Annotated[_Purpose, typer.Option("--purpose", help="What the vectors are for.")]
Dimension = Annotated[int, typer.Option("--dimension", help="256, 384, 1024 or 3072.")]
Detail = Annotated[_Detail, typer.Option("--detail", help="How finely images are looked at.")]
LogLevel = Annotated[
    str, typer.Option("--log-level", help="debug, info, warning or error; logs are JSON on standard error.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON, for scripts.")]


def commands(group: TyperGroup, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], TyperCommand]]:
    """Every command below a group, with the words that call it."""
    for name, command in group.commands.items():
        if isinstance(command, TyperGroup):
            yield from commands(command, (*path, name))
        elif isinstance(command, TyperCommand):
            yield (*path, name), command


def configurable(command: TyperCommand) -> dict[str, TyperOption]:
    """The options of a command, by the names that they have in kilonova.toml."""
    return {key(option): option for option in command.params if isinstance(option, TyperOption)}


def key(option: TyperOption) -> str:
    """The name of an option in kilonova.toml: its long flag without the dashes before it."""
    return max(option.opts, key=len).removeprefix("--")


def name_variables(root: TyperGroup) -> None:
    """Give each option its variable, ``KILONOVA_COMMAND_OPTION``, and a shared option the shared one after it."""
    for path, command in commands(root):
        for name, option in configurable(command).items():
            own = "_".join(("kilonova", *path, name)).replace("-", "_").upper()
            shared = SHARED.get(name)
            option.envvar = [own, shared] if shared else own
