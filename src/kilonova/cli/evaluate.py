"""``kilonova eval``."""

from __future__ import annotations

import asyncio
import json
import re
import sys
from collections.abc import Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli import options
from kilonova.media.content import Detail, Encoded, Image, Text

if TYPE_CHECKING:
    from kilonova.evaluation.run import Report

__all__ = ["evaluate"]


def evaluate(
    folder: Annotated[
        Path, typer.Argument(help="A folder with media and a TSV of pairs.", file_okay=False, exists=True)
    ],
    pairs: Annotated[Path | None, typer.Option(help="The pairs; FOLDER/pairs.tsv if not given.")] = None,
    dimension: Annotated[list[int] | None, typer.Option(help="256, 384, 1024 or 3072; may be repeated.")] = None,
    detail: options.Detail = Detail.STANDARD,
    model: options.Model = options.MODEL,
    as_json: Annotated[bool, options.json("The report as one JSON object.")] = False,
) -> None:
    """Measure how well a model finds the right thing: recall@1, @5 and @10, NDCG@10 and MRR.

    The pairs are lines of a query, a tab and what it should find; each is a text or the name of a file in the
    folder, of a PDF with its page: report.pdf#page=3. Every pair is measured both ways, each pair of modalities by
    itself. A query with several right answers has several lines.

    **Examples**

        kilonova eval photos                       # photos/pairs.tsv: a dog in the snow ⇥ img_017.jpg

        kilonova eval photos --dimension 256 --dimension 1024 --json > report.json

        kilonova eval scans --detail DOCUMENT_IMAGE --pairs questions.tsv
    """
    from kilonova.engine.engine import Engine
    from kilonova.engine.matryoshka import DIMENSIONS
    from kilonova.evaluation.run import evaluate as measure
    from kilonova.evaluation.run import read_pairs

    dimensions = sorted(set(dimension or [1024]))
    if not set(dimensions) <= set(DIMENSIONS):
        raise typer.BadParameter(f"{dimensions} are not all among {DIMENSIONS}.", param_hint="--dimension")
    lines = read_pairs(pairs or folder / "pairs.tsv")

    async def run() -> Report:
        async with Engine(model) as engine:
            await engine.ready()
            read = partial(_read, folder, detail)
            return await measure(lines, read, engine, dimensions, detail, track=_track(as_json))

    report = asyncio.run(run())
    if as_json:
        print(json.dumps(report.as_dict(), ensure_ascii=False, indent=1))
    else:
        _table(report)
    for cell, reason in report.failed.items():
        print(f"kilonova: {cell[:80]}: {reason}", file=sys.stderr)
    if report.failed:
        print(f"kilonova: {len(report.failed)} inputs failed; their pairs are left out.", file=sys.stderr)
        raise typer.Exit(1)


def _read(folder: Path, detail: Detail, cell: str) -> Text | Encoded | Image:
    from kilonova.cli.inputs import read_file

    if page := re.fullmatch(r"(.+\.pdf)#page=(\d+)", cell, re.IGNORECASE):
        from kilonova.media.document import pages

        number = int(page[2]) - 1
        return next(pages(folder / page[1], range(number, number + 1)))
    try:
        is_file = (folder / cell).is_file()
    except OSError:  # a text too long for a file name
        is_file = False
    return read_file(str(folder / cell) if is_file else cell, detail, guess=False)


def _track(hidden: bool) -> Any:
    from kilonova.cli._common import progress_bar

    def track(tasks: Sequence[Any]) -> Iterator[Any]:
        with progress_bar(hidden) as progress:
            yield from progress.track(tasks, description="embedding")

    return track


def _table(report: Report) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("query", "target", *(f"{name}" for name in _COLUMNS))
    for row in report.rows:
        scores = row.scores
        numbers = (scores.recall_at_1, scores.recall_at_5, scores.recall_at_10, scores.ndcg_at_10, scores.mrr)
        counts = (str(row.dimension), str(scores.queries), str(scores.gallery))
        table.add_row(row.query, row.target, *counts, *(f"{number:.3f}" for number in numbers))
    Console().print(table)


_COLUMNS = ("dimension", "queries", "gallery", "recall@1", "recall@5", "recall@10", "NDCG@10", "MRR")
