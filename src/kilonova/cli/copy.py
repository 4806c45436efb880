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
    called: Annotated[str, typer.Option("--as", help="Name of the copy; by default the same.")] = "",
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
    from kilonova.search import local
    from kilonova.search.copy import copy as copied
    from kilonova.stores import registry

    if not to and not called:
        raise typer.BadParameter("Say where to, or another name.", param_hint="--to or --as")
    with local.store(data, store) as source:
        target = registry.opened(to) if to else source
        try:
            with progress_bar(quiet) as progress:
                task = progress.add_task("copying", total=source.count(collection))
                made = copied(source, collection, target, called, lambda done: progress.update(task, completed=done))
            count = target.count(made.name)
        except KeyboardInterrupt:
            print("Stopped; nothing is left of the copy.", file=sys.stderr)
            raise typer.Exit(130) from None
        finally:
            if target is not source:
                target.close()
    print(f"{made.name}: {count:,} vectors are copied.")
