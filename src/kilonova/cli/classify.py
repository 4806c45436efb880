"""``kilonova classify``."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli import options
from kilonova.cli.inputs import Argument
from kilonova.cli.out import cell

if TYPE_CHECKING:
    from kilonova.api.hits import Classification

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

    from kilonova.api.index import Index

    with Index(collection, data=data, store=store) as index:
        found = index.classify(*map(Argument, inputs), label=label, limit=limit, majority=majority)
    if as_json:
        for name, one in zip(inputs, found, strict=True):
            print(json.dumps(_plain(name, one, label), ensure_ascii=False))
        return
    table = Table("input", label, "share", "neighbours")
    for name, one in zip(inputs, found, strict=True):
        near = ", ".join(f"{hit.payload.get('name', hit.id)} ({hit.similarity or 0:.2f})" for hit in one.neighbours[:3])
        table.add_row(cell(Path(name).name), cell(one.label), f"{one.shares[one.label]:.0%}", cell(near))
    Console().print(table)


def _plain(name: str, found: Classification, label: str) -> dict[str, Any]:
    return {
        "input": name,
        "label": found.label,
        "shares": {one: round(share, 6) for one, share in found.shares.items()},
        "neighbours": [
            {"id": hit.id, "similarity": round(hit.similarity or 0.0, 6), "label": hit.payload[label]}
            for hit in found.neighbours
        ],
    }
