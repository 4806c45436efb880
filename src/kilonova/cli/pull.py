"""``kilonova pull``."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Annotated

import typer

from kilonova import _home
from kilonova.cli import options
from kilonova.cli._common import progress_bar

__all__ = ["pull"]


def pull(
    name: Annotated[str, typer.Argument(help="A model of `kilonova models`, or OWNER/NAME of the Hugging Face hub.")],
    to: Annotated[
        Path | None, typer.Option(help="Put the model's folder into this one, to carry it to another machine.")
    ] = None,
    revision: Annotated[str, typer.Option(help="A branch, tag or commit.")] = "main",
    onnx: Annotated[
        str | None, typer.Option(metavar="FILE", help="This ONNX file of a text model: on CPUs, without torch.")
    ] = None,
    as_json: Annotated[bool, options.json("One JSON object at the end, no progress bars.")] = False,
) -> None:
    """Download a model, checked and resumable. Nothing else of Kilonova ever downloads.

    `HF_ENDPOINT` names a mirror, `HF_TOKEN` opens what needs an account.

    **Examples**

        kilonova pull embeddinggemma-2

        kilonova serve --model embeddinggemma-2

        kilonova pull intfloat/multilingual-e5-large

    A text model without torch, with weights of 8 bits where it has such a file:

        kilonova pull intfloat/multilingual-e5-small --onnx onnx/model_qint8_avx512_vnni.onnx

    For a machine without a network:

        kilonova pull embeddinggemma-2 --to /media/usb

        kilonova serve --model /media/usb/embeddinggemma-2
    """
    from rich.filesize import decimal
    from rich.progress import DownloadColumn, TransferSpeedColumn

    from kilonova.models import pull as pulling

    listing = pulling.fetch_listing(name, revision, onnx)
    folder = (to or _home.models()) / listing.name
    if not as_json:
        print(
            f"{listing.repository}, version {listing.commit[:12]}, {decimal(listing.size)}, licence {listing.licence}",
            file=sys.stderr,
        )
    with progress_bar(as_json, DownloadColumn(), TransferSpeedColumn()) as progress:
        task = progress.add_task(listing.name, total=listing.size)
        pulling.fetch(listing, folder, lambda here: progress.update(task, completed=here))
    use = str(folder) if to else listing.name
    if as_json:
        found = {
            "model": use,
            "folder": str(folder),
            "repository": listing.repository,
            "commit": listing.commit,
            "licence": listing.licence,
            "bytes": listing.size,
        }
        print(json.dumps(found, ensure_ascii=False))
    else:
        print(f"Here. Use it with: kilonova serve --model {use}", file=sys.stderr)
