"""``kilonova``: puts the commands together and turns errors into one clear line."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer
import typer.main
from typer.core import TyperGroup

from kilonova import __version__
from kilonova.cli import (
    classify,
    collections,
    config,
    configuration,
    copy,
    doctor,
    embed,
    embed_many,
    env,
    evaluate,
    index,
    jobs,
    models,
    options,
    plugins,
    pull,
    search,
    serve,
    up,
)
from kilonova.errors import KilonovaError

__all__ = ["app", "command", "main"]

app = typer.Typer(
    no_args_is_help=True,
    add_completion=True,
    rich_markup_mode="markdown",
    pretty_exceptions_enable=False,
    help="Text, images, audio and video as vectors of one space, behind Amazon Nova's API, on your own machine.",
)
for function in (
    up.up, serve.serve, env.env, embed.embed, index.index, search.search, classify.classify, copy.copy, models.models,
    pull.pull, doctor.doctor, plugins.plugins,
):  # fmt: skip
    app.command()(function)
app.command("embed-many")(embed_many.embed_many)
app.command("eval")(evaluate.evaluate)
app.add_typer(collections.app, name="collections")
app.add_typer(jobs.app, name="jobs")
app.add_typer(config.app, name="config")


def _version(wanted: bool) -> None:
    if wanted:
        print(__version__)
        raise typer.Exit


@app.callback()
def _root(
    context: typer.Context,
    configuration_file: Annotated[
        Path | None,
        typer.Option(
            "--config",
            envvar="KILONOVA_CONFIG",
            metavar="FILE",
            help="Read this file instead of kilonova.toml in the current folder.",
        ),
    ] = None,
    version: bool = typer.Option(False, "--version", callback=_version, is_eager=True, help="Print the version."),
) -> None:
    """Options that stand before a command."""
    configuration.apply(context, configuration_file)


def command() -> TyperGroup:
    """The whole command line, with a variable for each option."""
    root = typer.main.get_command(app)
    assert isinstance(root, TyperGroup)
    options.name_variables(root)
    return root


def main() -> None:
    """The console script. Exit status: 0 done, 1 failed, 2 wrong usage, 130 interrupted."""
    if isinstance(sys.stdout, io.TextIOWrapper):  # a terminal that lacks a character shows its number
        sys.stdout.reconfigure(errors="backslashreplace")
    try:
        command()()
    except KilonovaError as error:
        print(f"kilonova: {error}", file=sys.stderr)
        sys.exit(1)
    except BrokenPipeError:  # `kilonova … | head`
        sys.stderr.close()
        sys.exit(0)
