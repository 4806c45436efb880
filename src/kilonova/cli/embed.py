"""``kilonova embed``."""

from __future__ import annotations

import asyncio
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Modality, Text, Truncation
from kilonova.media.sniff import FORMATS, format_of_name, modality_of_name, sniff
from kilonova.media.text import decode
from kilonova.models.card import Purpose
from kilonova.storage.s3 import S3Reader
from kilonova.wire.errors import KilonovaError, Validation

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

    from kilonova.engine.engine import Embedding

__all__ = ["check_dimension", "embed", "progress_bar", "read_file"]

_TABLE = 20  # inputs that a table of their cosines can show
_AT_ONCE = 64  # inputs under way: enough for full batches, few enough for little memory


def embed(
    inputs: Annotated[list[str], typer.Argument(help="Texts, files or s3:// objects; - reads a text a line.")],
    purpose: Annotated[Purpose, typer.Option(help="What the vectors are for.")] = Purpose.GENERIC_INDEX,
    dimension: Annotated[int, typer.Option(help="256, 384, 1024 or 3072.")] = 1024,
    detail: Annotated[Detail, typer.Option(help="How finely images are looked at.")] = Detail.STANDARD,
    model: Annotated[str, typer.Option(help="The model, see `kilonova models`.")] = "kilonova-mini",
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line, with the whole vector.")] = False,
    npy: Annotated[Path | None, typer.Option(help="Write all vectors as float32 [n, dimension] to this file.")] = None,
) -> None:
    """Embed texts and files on this machine, without a server.

    An argument that names a file is read as one; a .txt file is a text. With no option for the output the
    inputs are compared with each other.

    **Examples**

        kilonova embed "日落海滩" "a beach at sunset" "annual report"

        kilonova embed --purpose TEXT_RETRIEVAL --dimension 384 --json "how tall is the tower?"

        kilonova embed --npy notes.npy notes/*.txt

        cut -f2 captions.tsv | kilonova embed --json -
    """
    check_dimension(dimension)
    names = [line.rstrip("\n") for one in inputs for line in (sys.stdin if one == "-" else [one])]
    names = [name for name in names if name]
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
    names: list[str],
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

    async def one(engine: Engine, name: str) -> Embedding | KilonovaError:
        async with places:
            try:
                found = await engine.embed(await _read(name, detail, s3), purpose, dimension)
            except KilonovaError as error:
                return error
        assert found is not None  # only the sound of a film can be missing, which is not asked for here
        return found

    async with Engine(model, queue=_AT_ONCE) as engine:
        await engine.ready()
        with progress_bar(quiet or len(names) < 8) as progress:
            tasks = [asyncio.create_task(one(engine, name)) for name in names]
            try:
                for name, task in zip(names, progress.track(tasks, description="embedding"), strict=True):
                    take(name, await task)
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


async def _read(name: str, detail: Detail, s3: S3Reader) -> Text | Encoded:
    """An argument as what it names: an S3 object, a file, or the text itself."""
    if name.startswith("s3://"):
        modality = modality_of_name(name) or Modality.TEXT
        data = await s3.read(name, limits.S3_BYTES[modality])
        return _content(name, data, modality, detail)
    return await asyncio.to_thread(read_file, name, detail)


def read_file(name: str, detail: Detail) -> Text | Encoded:
    """A file as what its bytes are, or the name itself as a text when there is no such file.

    Raises:
        Validation: the file cannot be embedded; or the name looks like a file's and there is none.
    """
    path = Path(name)
    try:
        is_file = path.is_file()
    except OSError:  # a text too long for a file name
        is_file = False
    if not is_file:
        if modality_of_name(name) and " " not in name:
            raise Validation(f"There is no file {name}.")
        return Text(name, Truncation.END)
    with path.open("rb") as file:
        found, modalities = sniff(file.read(512))
    if not modalities and found != "unknown":
        raise Validation(f"{name} is {found}, which cannot be embedded.", f"Files: txt, {_formats()}.")
    named = modality_of_name(name)
    modality = named if named and named in modalities else max(modalities, default=Modality.TEXT)  # film before sound
    size, limit = path.stat().st_size, limits.S3_BYTES[modality]
    if size > limit:
        raise Validation(f"{name} has {size:,} bytes; at most {limit:,} are taken.")
    return _content(name, path.read_bytes(), modality, detail)


def _content(name: str, data: bytes, modality: Modality, detail: Detail) -> Text | Encoded:
    if modality is not Modality.TEXT:
        return Encoded(modality, data, format_of_name(name), detail)
    return Text(decode(data, name), Truncation.END)


def _formats() -> str:
    return ", ".join(form for forms in FORMATS.values() for form in forms if form != "three_gp")


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
        table.add_row(f"{row} {short}", *cosines)
    Console().print(table)
