"""``kilonova embed-many``."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.cli import options
from kilonova.cli._common import check_dimension, progress_bar
from kilonova.cli.out import print_json, shown
from kilonova.errors import KilonovaError
from kilonova.models.card import Purpose

if TYPE_CHECKING:
    from rich.progress import Progress

    from kilonova.bulk.run import Tally

__all__ = ["embed_many"]

_SHOWN = 20  # failures that are listed without --json


class Engine(StrEnum):
    """Where it runs."""

    LOCAL = "local"
    RAY = "ray"


def embed_many(
    source: Annotated[str, typer.Argument(help="Everything under this prefix.", metavar="s3://BUCKET/PREFIX")],
    output: Annotated[str, typer.Option(help="Where the Parquet files go: s3://bucket/prefix.")],
    engine: Annotated[Engine, typer.Option(help="This machine, or a Ray cluster.")] = Engine.LOCAL,
    purpose: options.Purpose = Purpose.GENERIC_INDEX,
    dimension: options.Dimension = options.DIMENSION,
    seconds: Annotated[int, typer.Option(help="Length of segments of sound and film.", min=1, max=30)] = 5,
    characters: Annotated[int, typer.Option(help="Longest segment of a text.", min=800, max=50_000)] = 8_000,
    model: options.Model = options.MODEL,
    ray_address: Annotated[str | None, typer.Option(help="The cluster's; RAY_ADDRESS, or else this machine.")] = None,
    ray_cores: Annotated[int, typer.Option(help="Cores of each worker on the cluster.", min=1)] = 2,
    as_json: Annotated[bool, options.json("Print what was done as one JSON object.")] = False,
) -> None:
    """Embed millions of files from S3 to Parquet, one row a segment: id, uri, type, segment, times, vector.

    What is done is not done again: run the same command once more after a stop, a crash or when files were added.
    Files that cannot be embedded get a row with their error. docs/bulk.md describes the columns.

    **Examples**

        kilonova embed-many s3://films/ --output s3://vectors/films

        kilonova embed-many s3://archive/2026/ --output s3://vectors/2026 --dimension 384 --seconds 10

        kilonova embed-many s3://archive/ --output s3://vectors/all --engine ray --ray-address ray://head:10001
    """
    from kilonova.models import registry

    check_dimension(dimension)
    registry.card(model)  # a wrong name is told at once
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise KilonovaError("Parquet files need pyarrow.", "Install it with: pip install 'kilonova[bulk]'.") from None
    from kilonova.bulk.parts import Settings
    from kilonova.bulk.run import Tally, here, on_ray
    from kilonova.storage.s3 import split_prefix

    for uri in (source, output):
        split_prefix(uri)
    settings = Settings(output.rstrip("/"), model, purpose, dimension, seconds, characters)
    with _bar(as_json) as progress:
        task = progress.add_task("embedding", total=None, segments=0)

        def told(tally: Tally) -> None:
            left = tally.listed - tally.known - tally.other.total() - tally.skipped.total()
            progress.update(
                task, completed=tally.finished, total=left if tally.complete else None, segments=tally.segments
            )

        tally = Tally()
        try:
            if engine is Engine.RAY:
                on_ray(source, settings, told, ray_address, ray_cores, tally)
            else:
                asyncio.run(here(source, settings, told, tally))
        except KilonovaError as error:
            if as_json:
                _report(tally, settings.output, as_json, str(error))
            raise
    _report(tally, settings.output, as_json)
    if tally.failed:
        raise typer.Exit(1)


def _bar(hidden: bool) -> Progress:
    from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn

    segments = TextColumn("{task.fields[segments]:,} segments")
    return progress_bar(hidden, MofNCompleteColumn(), segments, TimeElapsedColumn())


def _report(tally: Tally, output: str, as_json: bool, error: str = "") -> None:
    if as_json:
        print_json(
            {
                "output": output,
                "listed": tally.listed,
                "alreadyThere": tally.known,
                "otherFiles": tally.other.total(),
                "otherEndings": dict(tally.other.most_common()),
                "skipped": dict(tally.skipped.most_common()),
                "embedded": tally.finished,
                "segments": tally.segments,
                "failed": [{"uri": uri, "error": reason} for uri, reason in tally.failed],
                **({"error": error} if error else {}),
            }
        )
        return
    from kilonova.segments.skipped import NAMES, listed

    for uri, reason in tally.failed[:_SHOWN]:
        print(f"kilonova: {shown(uri)}: {shown(reason)}", file=sys.stderr)
    if len(tally.failed) > _SHOWN:
        print(f"kilonova: and {len(tally.failed) - _SHOWN:,} more; --json lists all.", file=sys.stderr)
    other, skipped = tally.other.total(), {NAMES[kind]: count for kind, count in tally.skipped.items()}
    parts = [
        f"{tally.finished:,} files, {tally.segments:,} vectors in {output}",
        f"{tally.known:,} were there already" if tally.known else "",
        f"{other:,} of other kinds were passed over ({shown(listed(tally.other))})" if other else "",
        f"passed over: {listed(skipped)}" if skipped else "",
        f"{len(tally.failed):,} failed" if tally.failed else "",
    ]
    print("; ".join(part for part in parts if part) + ".")
