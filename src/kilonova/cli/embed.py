"""``kilonova embed``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.api.contents import Text
from kilonova.cli import options
from kilonova.cli._common import check_dimension, progress_bar
from kilonova.cli.inputs import Argument
from kilonova.cli.out import cell
from kilonova.errors import KilonovaError
from kilonova.media.content import Detail
from kilonova.models.card import Purpose

if TYPE_CHECKING:
    from kilonova.engine.engine import Embedding

__all__ = ["embed"]

_TABLE = 20  # inputs that a table of their cosines can show
_BAR = 8  # inputs from which on a progress bar is shown


def _contents(arguments: list[str], texts: list[str], detail: Detail) -> Iterator[tuple[str, Argument | Text]]:
    for one in arguments:
        if one == "-":
            for line in sys.stdin:
                yield line.rstrip("\n"), Argument(line.rstrip("\n"), detail, guess=False)
        else:
            yield one, Argument(one, detail)
    yield from ((one, Text(one)) for one in texts)


def embed(
    inputs: Annotated[
        list[str] | None, typer.Argument(help="Texts, files or s3:// objects; - reads a text a line.")
    ] = None,
    text: Annotated[
        list[str] | None, typer.Option("--text", help="A text, even if it looks like a path. May be repeated.")
    ] = None,
    purpose: options.Purpose = Purpose.GENERIC_INDEX,
    dimension: options.Dimension = options.DIMENSION,
    detail: options.Detail = Detail.STANDARD,
    model: options.Model = options.MODEL,
    as_json: Annotated[bool, options.json("One JSON object a line, with the whole vector.")] = False,
    npy: Annotated[Path | None, typer.Option(help="Write all vectors as float32 [n, dimension] to this file.")] = None,
) -> None:
    """Embed texts and files on this machine, without a server.

    An argument that names a file is read as one; a .txt file is a text. What looks like a path and names no file is
    refused. With no option for the
    output the inputs are compared with each other.

    **Examples**

        kilonova embed "日落海滩" "a beach at sunset" "annual report"

        kilonova embed --purpose TEXT_RETRIEVAL --dimension 384 --json "how tall is the tower?"

        kilonova embed --npy notes.npy notes/*.txt

        cut -f2 captions.tsv | kilonova embed --json -
    """
    check_dimension(dimension)
    named = [(name, content) for name, content in _contents(inputs or [], text or [], detail) if name]
    if not named:
        raise typer.BadParameter("Nothing to embed.", param_hint="INPUTS")
    if len(named) > _TABLE and not as_json and npy is None:
        raise typer.BadParameter(f"{len(named)} inputs are too many for a table.", param_hint="--json or --npy")
    failed: list[tuple[str, KilonovaError]] = []
    done: list[tuple[str, Embedding]] = []
    from kilonova.api.embedder import Embedder

    with Embedder(model) as embedder, progress_bar(as_json or len(named) < _BAR) as bar:
        results = embedder.embed_each((one for _, one in named), purpose=purpose, dimension=dimension)
        for (name, _), result in zip(named, bar.track(results, len(named), description="embedding"), strict=True):
            if isinstance(result, KilonovaError):
                failed.append((name, result))
                continue
            if as_json:
                _print_json(name, result)
            if npy is not None or not as_json:
                done.append((name, result))
    if npy is not None and not failed:  # rows must stay in step with the arguments
        _write(npy, [result for _, result in done])
    elif npy is None and done:
        _compare(done)
    for name, error in failed:
        print(f"kilonova: {name[:80]}: {error}", file=sys.stderr)
    if failed:
        missing = f"; {npy} is not written" if npy is not None else ""
        print(f"kilonova: {len(failed)} of {len(named)} inputs failed{missing}.", file=sys.stderr)
        raise typer.Exit(1)


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
    print(f"Wrote {vectors.shape[0]} x {vectors.shape[1]} dimensions to {path}.", file=sys.stderr)


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
