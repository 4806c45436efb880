"""``kilonova collections``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from kilonova import _home

__all__ = ["Data", "Store", "app"]

app = typer.Typer(no_args_is_help=True, help="What `kilonova index` made: list it, delete it.")
Data = Annotated[Path | None, typer.Option(help="Folder of the collections; by default the user's.")]
Store = Annotated[
    str, typer.Option(envvar="KILONOVA_STORE", help="Address of another store of vectors, see `kilonova copy --help`.")
]


@app.command("list")
def show(
    data: Data = None,
    store: Store = "",
    as_json: Annotated[bool, typer.Option("--json", help="As JSON.")] = False,
) -> None:
    """List collections: their vectors, model and dimension.

    **Examples**

        kilonova collections list

        kilonova collections list --json
    """
    from rich.console import Console
    from rich.table import Table

    from kilonova.search import local

    with local.store(data, store) as opened:
        found = [(one, opened.count(one.name)) for one in opened.collections()]
    if as_json:
        rows = [{**one.facts, "vectors": count} for one, count in found]
        print(json.dumps(rows, ensure_ascii=False))
        return
    if not found:
        print("There is no collection. Make one: kilonova index FOLDER")
        return
    table = Table("collection", "vectors", "model", "dimension", "compared by")
    for one, count in found:
        table.add_row(one.name, f"{count:,}", one.model, f"{one.dimension:,}", str(one.metric))
    Console().print(table)


@app.command()
def drop(
    name: Annotated[str, typer.Argument(help="Which collection.")],
    data: Data = None,
    store: Store = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a collection. The files it was made from are not touched.

    **Examples**

        kilonova collections drop photos
    """
    from kilonova.search import indexed, local

    with local.store(data, store) as opened:
        opened.find(name)
        if not yes:
            typer.confirm(f"Delete {name} with {opened.count(name):,} vectors?", abort=True)
        opened.drop(name)
    indexed.forget(data or _home.data(), name)
    print(f"{name} is deleted.")
