"""``kilonova embed-many``."""

from __future__ import annotations

import asyncio
import sys
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.cli import options
from kilonova.cli._common import check_dimension, progress_bar
from kilonova.cli.out import escape, print_json
from kilonova.errors import KilonovaError
from kilonova.models.card import Purpose

if TYPE_CHECKING:
    from rich.progress import Progress as ProgressBar

    from kilonova.segments.progress import Progress

__all__ = ["embed_many"]

_SHOWN = 20  # failures that are listed without --json


class Runner(StrEnum):
    """Where it runs."""

    LOCAL = "local"
    RAY = "ray"


def embed_many(
    source: Annotated[str, typer.Argument(help="Everything under this prefix.", metavar="s3://BUCKET/PREFIX")],
    output: Annotated[str, typer.Option(help="Where the Parquet files go: s3://bucket/prefix.")],
    engine: Annotated[Runner, typer.Option(help="This machine, or a Ray cluster.")] = Runner.LOCAL,
    purpose: options.Purpose = Purpose.GENERIC_INDEX,
    dimension: options.Dimension = options.DIMENSION,
    seconds: Annotated[int, typer.Option(help="Length of segments of audio and video.", min=1, max=30)] = 5,
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

        kilonova embed-many s3://videos/ --output s3://vectors/videos

        kilonova embed-many s3://archive/2026/ --output s3://vectors/2026 --dimension 384 --seconds 10

        kilonova embed-many s3://archive/ --output s3://vectors/all --engine ray --ray-address ray://head:10001
    """
    from kilonova.models import registry

    check_dimension(dimension)
    registry.card(model)  # a wrong name is refused at once
    try:
        import pyarrow  # noqa: F401
    except ImportError:
        raise KilonovaError("Parquet files need pyarrow.", "Install it with: pip install 'kilonova[bulk]'.") from None
    from kilonova.bulk.parts import BulkSettings
    from kilonova.bulk.run import here, on_ray
    from kilonova.segments.progress import Progress
    from kilonova.storage.s3 import split_prefix

    for uri in (source, output):
        split_prefix(uri)
    settings = BulkSettings(output.rstrip("/"), model, purpose, dimension, seconds, characters)
    with _bar(as_json) as bar:
        task = bar.add_task("embedding", total=None, segments=0)

        def show(progress: Progress) -> None:
            total = progress.total - progress.unchanged if progress.complete else None
            bar.update(task, completed=_count(progress), total=total, segments=progress.segments)

        progress = Progress()
        try:
            if engine is Runner.RAY:
                on_ray(source, settings, show, ray_address, ray_cores, progress)
            else:
                asyncio.run(here(source, settings, show, progress))
        except KilonovaError as error:
            if as_json:
                _report(progress, settings.output, as_json, str(error))
            raise
    _report(progress, settings.output, as_json)
    if progress.failed:
        raise typer.Exit(1)


def _bar(hidden: bool) -> ProgressBar:
    from rich.progress import MofNCompleteColumn, TextColumn, TimeElapsedColumn

    segments = TextColumn("{task.fields[segments]:,} segments")
    return progress_bar(hidden, MofNCompleteColumn(), segments, TimeElapsedColumn())


def _count(progress: Progress) -> int:
    """Files embedded now, with or without errors."""
    return progress.added + len(progress.failed)


def _report(progress: Progress, output: str, as_json: bool, error: str = "") -> None:
    if as_json:
        print_json(
            {
                "output": output,
                "listed": progress.total + progress.other.total() + progress.skipped.total(),
                "alreadyThere": progress.unchanged,
                "otherFiles": progress.other.total(),
                "otherEndings": dict(progress.other.most_common()),
                "skipped": dict(progress.skipped.most_common()),
                "embedded": _count(progress),
                "segments": progress.segments,
                "failed": [{"uri": uri, "error": reason} for uri, reason in progress.failed],
                **({"error": error} if error else {}),
            }
        )
        return
    from kilonova.segments.skipped import NAMES, summarize

    for uri, reason in progress.failed[:_SHOWN]:
        print(f"kilonova: {escape(uri)}: {escape(reason)}", file=sys.stderr)
    if len(progress.failed) > _SHOWN:
        print(f"kilonova: and {len(progress.failed) - _SHOWN:,} more; --json lists all.", file=sys.stderr)
    other, skipped = progress.other.total(), {NAMES[kind]: count for kind, count in progress.skipped.items()}
    parts = [
        f"{_count(progress):,} files, {progress.segments:,} vectors in {output}",
        f"{progress.unchanged:,} were there already" if progress.unchanged else "",
        f"{other:,} of other kinds were passed over ({escape(summarize(progress.other))})" if other else "",
        f"passed over: {summarize(skipped)}" if skipped else "",
        f"{len(progress.failed):,} failed" if progress.failed else "",
    ]
    print("; ".join(part for part in parts if part) + ".")
