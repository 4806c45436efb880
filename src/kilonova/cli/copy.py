"""``kilonova copy``."""

from __future__ import annotations

import sys
from typing import Annotated

import typer

from kilonova.cli import options
from kilonova.cli._common import progress_bar

__all__ = ["copy"]


def copy(
    collection: Annotated[str, typer.Argument(help="Which collection.")],
    to: Annotated[str, typer.Option(help="Address of the store to copy to; by default the one it is in.")] = "",
    name: Annotated[str, typer.Option("--as", help="Name of the copy; by default the same.")] = "",
    store: options.Store = "",
    data: options.Data = None,
    quiet: Annotated[bool, typer.Option("--quiet", help="No progress bar.")] = False,
) -> None:
    """Copy a collection to another store, with vectors, payloads and words, and check the counts.

    Stores: the embedded one (edge:FOLDER), faiss:FOLDER?index=flat|ivf|hnsw, chroma:FOLDER, chroma+http://HOST:8000,
    qdrant+http://HOST:6333, opensearch+https://HOST:9200, s3vectors:BUCKET.

    **Examples**

        kilonova copy files --to faiss:/data/faiss

        kilonova copy files --to qdrant+http://localhost:6333 --as photos

        kilonova copy photos --store qdrant+http://localhost:6333 --to edge:/data/collections
    """
    from kilonova.api.index import Index

    if not to and not name:
        raise typer.BadParameter("Say where to, or another name.", param_hint="--to or --as")
    with Index(collection, data=data, store=store) as index, progress_bar(quiet) as bar:
        task = bar.add_task("copying", total=index.count())
        try:
            count = index.copy(to, name, lambda done: bar.update(task, completed=done))
        except KeyboardInterrupt:
            print("Stopped; nothing is left of the copy.", file=sys.stderr)
            raise typer.Exit(130) from None
    print(f"{name or collection}: {count:,} vectors are copied.")
