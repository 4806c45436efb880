"""``kilonova collections``."""

from __future__ import annotations

import json
import sys
from contextlib import closing
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova import _home
from kilonova.cli import options
from kilonova.errors import KilonovaError, NotFound

if TYPE_CHECKING:
    from kilonova.stores.base import VectorStore

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="What `kilonova index` made: list it, delete it.")


@app.command("list")
def show(
    data: options.Data = None,
    store: options.Store = "",
    as_json: options.Json = False,
) -> None:
    """List collections: their vectors, model and dimension.

    **Examples**

        kilonova collections list

        kilonova collections list --json
    """
    from rich.console import Console
    from rich.table import Table

    from kilonova.api.index import choose_store

    with closing(choose_store(data or _home.data(), store)) as opened:
        found, faults = opened.counts()
    if as_json:
        rows: list[dict[str, object]] = [{**one.facts, "vectors": count} for one, count in found if count is not None]
        rows += [{"name": name, "fault": fault} for name, fault in faults.items()]
        print(json.dumps(rows, ensure_ascii=False))
        return
    for fault in faults.values():
        print(f"kilonova: {fault}", file=sys.stderr)
    if not found and not faults:
        print("There is no collection. Make one: kilonova index FOLDER")
        return
    table = Table("collection", "vectors", "model", "dimension", "compared by")
    for one, count in found:
        table.add_row(
            one.name, f"{count:,}" if count is not None else "?", one.model, f"{one.dimension:,}", str(one.metric)
        )
    Console().print(table)


@app.command()
def drop(
    name: Annotated[str, typer.Argument(help="Which collection.")],
    data: options.Data = None,
    store: options.Store = "",
    yes: Annotated[bool, typer.Option("--yes", help="Do not ask.")] = False,
) -> None:
    """Delete a collection. The files it was made from are not touched.

    **Examples**

        kilonova collections drop photos
    """
    from kilonova.api.index import choose_store
    from kilonova.search import indexed

    with closing(choose_store(data or _home.data(), store)) as opened:
        if not yes:
            typer.confirm(f"Delete {name} with {_size(opened, name)}?", abort=True)
        opened.drop(name)
    indexed.forget(data or _home.data(), name)
    print(f"{name} is deleted.")


def _size(store: VectorStore, name: str) -> str:
    """What a question about deleting a collection says of its size."""
    try:
        return f"{store.count(name):,} vectors"
    except NotFound:
        raise
    except KilonovaError as fault:  # it can be deleted all the same
        return f"everything in it, which cannot be read ({fault.message})"
