"""``kilonova index``."""

from __future__ import annotations

import asyncio
import contextlib
import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova import _home
from kilonova.cli.collections import Data, Store
from kilonova.cli.embed import check_dimension, progress_bar

if TYPE_CHECKING:
    from kilonova.search.ingest import Tally

__all__ = ["index"]

_SHOWN = 20  # bad files listed
_LOOK_SECONDS = 2.0  # between two looks of --watch


def index(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or s3://bucket/prefix.")],
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where to; made when there is none.")] = "files",
    model: Annotated[
        str | None,
        typer.Option(help="The model of a new collection, see `kilonova models`; kilonova-mini if not given."),
    ] = None,
    dimension: Annotated[
        int | None, typer.Option(help="Of a new collection: 256, 384, 1024 or 3072; 1024 if not given.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of a segment of sound or film.", min=1, max=30)] = 5.0,
    characters: Annotated[int, typer.Option(help="Length of a segment of text.", min=100, max=50_000)] = 800,
    facts: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for every file, to filter by; may be repeated.")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Go on, and index what changes, until Ctrl-C.")] = False,
    data: Data = None,
    store: Store = "",
    as_json: Annotated[bool, typer.Option("--json", help="The result as JSON.")] = False,
) -> None:
    """Index folders of texts, pages, images, sounds and films, so that `kilonova search` finds them.

    Only what changed is embedded: run it again whenever you like. What is gone from a folder is removed. A JSON file
    beside a file (photo.jpg.json) says more of it. Ctrl-C keeps what is done. The exit status is 1 when files failed.

    **Examples**

        kilonova index ~/Pictures

        kilonova index ~/Films ~/Music --collection media --set owner=me

        kilonova index s3://bucket/reports/ --collection reports

        kilonova index ~/Notes --watch
    """
    if dimension is not None:
        check_dimension(dimension)
    said = dict(map(_fact, facts or []))
    from kilonova.search import files, local
    from kilonova.search.items import Settings

    roots = files.resolve(paths)
    settings = Settings(characters, seconds)
    folder = _home.private(data or _home.data())
    with local.store(folder, store) as opened:
        made = local.collection(opened, collection, model, dimension)
        try:
            with progress_bar(as_json or watch) as progress:
                task = progress.add_task("indexing", total=None)

                def told(tally: Tally) -> None:
                    progress.update(task, total=tally.total, completed=tally.done)

                async def run() -> Tally:
                    every = _LOOK_SECONDS if watch else None
                    rounds = local.rounds(opened, made, roots, settings, said, told, every, model or "", folder)
                    async with contextlib.aclosing(rounds):
                        async for tally in rounds:
                            if watch:
                                _tell(tally)
                    return tally

                tally = asyncio.run(run())
        except KeyboardInterrupt:
            print("Stopped; what is done is kept. The same command goes on.", file=sys.stderr)
            raise typer.Exit(130) from None
    _report(tally, collection, as_json)
    if tally.failed:
        raise typer.Exit(1)


def _fact(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--set")
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    return name, found if isinstance(found, str | int | float | bool | list) else value


def _tell(tally: Tally) -> None:
    """A line for each round of --watch in which something happened."""
    if tally.done > tally.unchanged or tally.removed:
        print(f"{time.strftime('%H:%M:%S')} {_summary(tally)}", file=sys.stderr, flush=True)
        for uri, reason in tally.failed:
            print(f"  {uri}: {reason}", file=sys.stderr, flush=True)


def _summary(tally: Tally) -> str:
    counts = [
        (tally.added, "added"), (tally.changed, "changed"), (tally.moved, "moved or copied"),
        (tally.unchanged, "unchanged"), (tally.removed, "removed"), (len(tally.failed), "failed"),
        (len(tally.strange), "of kinds that cannot be indexed"),
    ]  # fmt: skip
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing there"


def _report(tally: Tally, collection: str, as_json: bool) -> None:
    if as_json:
        said = {
            "collection": collection,
            "files": tally.total,
            **{name: getattr(tally, name) for name in ("added", "changed", "moved", "unchanged", "removed", "parts")},
            "failed": [{"uri": uri, "reason": reason} for uri, reason in tally.failed],
            "otherFiles": len(tally.strange),
            "seconds": round(tally.seconds, 3),
        }
        print(json.dumps(said, ensure_ascii=False))
        return
    rate = f" ({(tally.done - tally.unchanged) / tally.seconds:.1f} files a second)" if tally.seconds else ""
    print(f"{collection}: {_summary(tally)} in {tally.seconds:.1f} s{rate}; {tally.parts:,} new vectors.")
    for uri, reason in tally.failed[:_SHOWN]:
        print(f"  {uri}: {reason}", file=sys.stderr)
    if len(tally.failed) > _SHOWN:
        print(f"  … and {len(tally.failed) - _SHOWN} more; --json lists all.", file=sys.stderr)
