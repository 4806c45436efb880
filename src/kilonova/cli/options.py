"""The options that more than one command has. Each is declared here once, with its flags, help text and default."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

import typer

from kilonova.media.content import Detail as _Detail
from kilonova.models.card import Purpose as _Purpose

__all__ = [
    "COLLECTION", "DIMENSION", "HOST", "LOG_LEVEL", "MODEL", "PORT", "Collection", "Data", "Detail", "Dimension",
    "Json", "LogLevel", "Model", "Models", "NewModel", "Purpose", "Store", "host", "json", "limit", "port",
]  # fmt: skip

COLLECTION = "files"
DIMENSION = 1024
HOST = "127.0.0.1"
LOG_LEVEL = "warning"
MODEL = "kilonova-mini"
PORT = 8000


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
    typer.Option(
        "--store", envvar="KILONOVA_STORE", help="Address of another vector store, see `kilonova copy --help`."
    ),
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
