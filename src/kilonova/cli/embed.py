"""``kilonova embed``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.cli.inputs import content, read_file
from kilonova.cli.out import cell
from kilonova.errors import KilonovaError
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Modality, Text, Truncation
from kilonova.media.sniff import modality_of_name
from kilonova.models.card import Purpose
from kilonova.storage.s3 import S3Reader

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from kilonova.engine.engine import Embedding

__all__ = ["check_dimension", "embed", "progress_bar"]

_TABLE = 20  # inputs that a table of their cosines can show
_AT_ONCE = 64  # inputs under way: enough for full batches, few enough for little memory


class _Kind(StrEnum):
    """Where an input comes from: what may look like a path, a line of standard input, words for certain."""

    ARGUMENT = "argument"
    LINE = "line"
    TEXT = "text"


@dataclass(frozen=True)
class _Input:
    value: str
    kind: _Kind


def _inputs(arguments: list[str]) -> Iterator[_Input]:
    for one in arguments:
        if one == "-":
            yield from (_Input(line.rstrip("\n"), _Kind.LINE) for line in sys.stdin)
        else:
            yield _Input(one, _Kind.ARGUMENT)


def embed(
    inputs: Annotated[
        list[str] | None, typer.Argument(help="Texts, files or s3:// objects; - reads a text a line.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A text, even if it looks like a path. May be repeated.")
    ] = None,
    purpose: Annotated[Purpose, typer.Option(help="What the vectors are for.")] = Purpose.GENERIC_INDEX,
    dimension: Annotated[int, typer.Option(help="256, 384, 1024 or 3072.")] = 1024,
    detail: Annotated[Detail, typer.Option(help="How finely images are looked at.")] = Detail.STANDARD,
    model: Annotated[str, typer.Option(help="The model, see `kilonova models`.")] = "kilonova-mini",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the whole vector.")] = False,
    npy: Annotated[Path | None, typer.Option(help="Write all vectors as float32 [n, dimension] to this file.")] = None,
) -> None:
    """Embed texts and files on this machine, without a server.

    An argument that names a file is read as one; a .txt file is a text. What looks like a path and names no file is
    refused. With no option for the output the
    inputs are compared with each other.

    **Examples**

        kilonova embed "日落海滩" "a beach at sunset" "annual report"

        kilonova embed --purpose TEXT_RETRIEVAL --dimension 384 --json "how tall is the tower?"

        kilonova embed --npy notes.npy notes/*.txt

        cut -f2 captions.tsv | kilonova embed --json -
    """
    check_dimension(dimension)
    names = [*_inputs(inputs or []), *(_Input(one, _Kind.TEXT) for one in text or [])]
    names = [name for name in names if name.value]
    if not names:
        raise typer.BadParameter("Nothing to embed.", param_hint="INPUTS")
    if len(names) > _TABLE and not as_json and npy is None:
        raise typer.BadParameter(f"{len(names)} inputs are too many for a table.", param_hint="--json or --npy")
    failed: list[tuple[str, KilonovaError]] = []
    done: list[tuple[str, Embedding]] = []

    def take(name: str, result: Embedding | KilonovaError) -> None:
        if isinstance(result, KilonovaError):
            failed.append((name, result))
            return
        if as_json:
            _print_json(name, result)
        if npy is not None or not as_json:
            done.append((name, result))

    asyncio.run(_embed(names, purpose, dimension, detail, model, take, quiet=as_json))
    if npy is not None and not failed:  # rows must stay in step with the arguments
        _write(npy, [result for _, result in done])
    elif npy is None and done:
        _compare(done)
    for name, error in failed:
        print(f"kilonova: {name[:80]}: {error}", file=sys.stderr)
    if failed:
        missing = f"; {npy} is not written" if npy is not None else ""
        print(f"kilonova: {len(failed)} of {len(names)} inputs failed{missing}.", file=sys.stderr)
        raise typer.Exit(1)


async def _embed(
    names: list[_Input],
    purpose: Purpose,
    dimension: int,
    detail: Detail,
    model: str,
    take: Callable[[str, Embedding | KilonovaError], None],
    quiet: bool,
) -> None:
    """Embed everything and hand over each result, in the order of ``names``, as soon as it is its turn."""
    from kilonova.engine.engine import Engine

    places = asyncio.Semaphore(_AT_ONCE)
    s3 = S3Reader()  # one for all inputs: its client takes a fifth of a second to make

    async def one(engine: Engine, name: _Input) -> Embedding | KilonovaError:
        async with places:
            try:
                return await engine.embed(await _read(name, detail, s3), purpose, dimension)
            except KilonovaError as error:
                return error

    async with Engine(model, queue=_AT_ONCE) as engine:
        await engine.ready()
        with progress_bar(quiet or len(names) < 8) as progress:
            tasks = [asyncio.create_task(one(engine, name)) for name in names]
            try:
                for name, task in zip(names, progress.track(tasks, description="embedding"), strict=True):
                    take(name.value, await task)
            finally:
                for task in tasks:
                    task.cancel()


def _print_json(name: str, result: Embedding) -> None:
    entry = {"input": name, "tokens": result.tokens, "embedding": result.vector.tolist()}
    if result.kept_characters is not None:
        entry["truncatedCharLength"] = result.kept_characters
    print(json.dumps(entry, ensure_ascii=False), flush=True)


def _write(path: Path, results: list[Embedding]) -> None:
    import numpy as np

    vectors = np.stack([result.vector for result in results])
    try:
        with path.open("wb") as file:
            np.save(file, vectors)
    except OSError as error:
        raise KilonovaError(f"{path} cannot be written: {error.strerror}.") from error
    print(f"Wrote {vectors.shape[0]} x {vectors.shape[1]} numbers to {path}.", file=sys.stderr)


async def _read(name: _Input, detail: Detail, s3: S3Reader) -> Text | Encoded:
    """An argument as what it names: an S3 object, a file, or the text itself."""
    if name.kind is _Kind.TEXT:
        return Text(name.value, Truncation.END)
    if name.value.startswith("s3://"):
        modality = modality_of_name(name.value) or Modality.TEXT
        data = await s3.read(name.value, limits.S3_BYTES[modality])
        return content(name.value, data, modality, detail)
    return await asyncio.to_thread(read_file, name.value, detail, name.kind is _Kind.ARGUMENT)


def check_dimension(dimension: int) -> None:
    """Refuse a ``--dimension`` that Nova does not have."""
    from kilonova.engine.matryoshka import DIMENSIONS

    if dimension not in DIMENSIONS:
        raise typer.BadParameter(f"{dimension} is none of {DIMENSIONS}.", param_hint="--dimension")


def progress_bar(hidden: bool, *told: ProgressColumn) -> Progress:
    """A progress bar on standard error, with the time left; gone when it is done. What stands between, how many of how
    many by default, may be given."""
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    columns = (TextColumn("{task.description}"), BarColumn(), *(told or (MofNCompleteColumn(),)), TimeRemainingColumn())
    return Progress(*columns, console=Console(stderr=True), disable=hidden, transient=True)


def _compare(done: list[tuple[str, Embedding]]) -> None:
    """A table of cosines between the inputs."""
    from rich.console import Console
    from rich.table import Table

    table = Table("", *(str(column) for column in range(1, len(done) + 1)))
    for row, (name, result) in enumerate(done, 1):
        short = name if len(name) <= 40 else f"{name[:37]}..."
        if result.kept_characters is not None:
            short += f" (cut to {result.kept_characters:,} characters)"
        cosines = (f"{float(result.vector @ other.vector):.3f}" for _, other in done)
        table.add_row(cell(f"{row} {short}"), *cosines)
    Console().print(table)
