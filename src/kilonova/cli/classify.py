"""``kilonova classify``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli import options
from kilonova.cli.inputs import read_file
from kilonova.cli.out import cell
from kilonova.media.content import Detail

if TYPE_CHECKING:
    from kilonova.search.query import Hit

__all__ = ["classify"]


def classify(
    inputs: Annotated[list[str], typer.Argument(help="Files, or texts.")],
    collection: options.Collection = options.COLLECTION,
    label: Annotated[str, typer.Option(help="The field that holds the label.")] = "label",
    limit: Annotated[int, options.limit("Neighbours that vote.", 1_000)] = 7,
    majority: Annotated[bool, typer.Option(help="One neighbour, one vote; by default near ones count more.")] = False,
    data: options.Data = None,
    store: options.Store = "",
    as_json: Annotated[bool, options.json("One JSON object a line.")] = False,
) -> None:
    """Say what files are by their nearest neighbours in a labelled collection, and show these.

    Labels come from `kilonova index --set label=…` or a JSON file beside each file.

    **Examples**

        kilonova index cats/ -c animals --set label=cat

        kilonova index dogs/ -c animals --set label=dog

        kilonova classify photo.jpg -c animals
    """
    from rich.console import Console
    from rich.table import Table

    from kilonova.search import local
    from kilonova.search.vote import vote

    contents = [read_file(name, Detail.STANDARD) for name in inputs]
    with local.store(data, store) as opened:
        found = asyncio.run(local.neighbours(opened, opened.find(collection), contents, label, limit))
    rows = [(name, vote(hits, label, majority=majority), hits) for name, hits in zip(inputs, found, strict=True)]
    if as_json:
        for name, shares, hits in rows:
            print(json.dumps(_plain(name, shares, hits, label), ensure_ascii=False))
        return
    table = Table("input", label, "share", "neighbours")
    for name, shares, hits in rows:
        (best, share), *_ = shares.items()
        near = ", ".join(f"{hit.payload.get('name', hit.id)} ({hit.similarity or 0:.2f})" for hit in hits[:3])
        table.add_row(cell(Path(name).name), cell(best), f"{share:.0%}", cell(near))
    Console().print(table)


def _plain(name: str, shares: dict[str, float], hits: list[Hit], label: str) -> dict[str, Any]:
    return {
        "input": name,
        "label": next(iter(shares)),
        "shares": {one: round(share, 6) for one, share in shares.items()},
        "neighbours": [
            {"id": hit.id, "similarity": round(hit.similarity or 0.0, 6), "label": hit.payload[label]} for hit in hits
        ],
    }
