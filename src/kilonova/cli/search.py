"""``kilonova search``."""

from __future__ import annotations

import json
from enum import StrEnum
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova.api.contents import Document
from kilonova.cli import options
from kilonova.cli.out import cell

if TYPE_CHECKING:
    from kilonova.search.query import Hit

__all__ = ["search"]


def search(
    text: Annotated[list[str] | None, typer.Argument(help="What is looked for, in words of any language.")] = None,
    image: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this image.")] = None,
    audio: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this audio, at most 30 s.")] = None,
    video: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this video, at most 30 s.")] = None,
    document: Annotated[
        list[str] | None,
        typer.Option(metavar="FILE[#PAGE]", help="Like this page of a document, the first by default."),
    ] = None,
    unlike: Annotated[list[str] | None, typer.Option("--not", help="Not like this: words.")] = None,
    within: Annotated[str, typer.Option("--in", help="Kinds: text, document, image, audio, video.")] = "",
    where: Annotated[str, typer.Option(help="A filter: 'year >= 2020 and camera = \"X100\"'.")] = "",
    limit: Annotated[int, options.limit("Hits at most.", 1_000)] = 10,
    mode: Annotated[str, typer.Option(help="hybrid, vector, or keyword (BM25).")] = "hybrid",
    fusion: Annotated[str, typer.Option(help="How hybrid puts both together: weights, or ranks (RRF).")] = "weights",
    min_similarity: Annotated[float | None, typer.Option(help="Leave out hits less similar than this.")] = None,
    rerank: Annotated[
        str, typer.Option(metavar="MODEL", help="A cross-encoder that reads the first 30 hits again; folder or name.")
    ] = "",
    diversity: Annotated[float, typer.Option(help="0 to 1: how unlike each other hits shall be.", min=0, max=1)] = 0.0,
    relevant: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="More like this hit; --json shows ids. May be repeated.")
    ] = None,
    irrelevant: Annotated[
        list[str] | None, typer.Option(metavar="ID", help="Less like this hit. May be repeated.")
    ] = None,
    every: Annotated[bool, typer.Option("--segments", help="Each segment by itself, not one hit for a file.")] = False,
    exact: Annotated[bool, typer.Option(help="Compare with every vector instead of asking the index.")] = False,
    collection: options.Collection = options.COLLECTION,
    data: options.Data = None,
    store: options.Store = "",
    as_json: Annotated[bool, options.json("The hits as JSON, with ids and all that is known.")] = False,
) -> None:
    """Search what `kilonova index` has indexed, by words, images, audio, video, pages, or several at once.

    **Examples**

        kilonova search "日落海滩"

        kilonova search --image cat.jpg --not people --in image,video

        kilonova search "annual revenue" --in document --where 'year >= 2020' -k 5

        kilonova search "harbour" --audio gulls.wav --json
    """
    from kilonova.api import contents
    from kilonova.api.index import Index
    from kilonova.search.query import Fusion, Mode

    words = " ".join(text or [])
    wanted: list[contents.Content] = [words] if words else []
    wanted += map(contents.Image, image or [])
    wanted += map(contents.Audio, audio or [])
    wanted += map(contents.Video, video or [])
    wanted += map(_page, document or [])
    if not wanted:
        raise typer.BadParameter("Nothing is looked for.", param_hint="TEXT, --image, --audio, --video or --document")
    with Index(collection, data=data, store=store) as index:
        hits = index.search(
            *wanted,
            unlike=unlike or (),
            kinds=_kinds(within),
            where=where,
            limit=limit,
            mode=_one_of(mode, Mode, "--mode"),
            fusion=_one_of(fusion, Fusion, "--fusion"),
            min_similarity=min_similarity,
            diversity=diversity,
            group_by_file=not every,
            relevant=relevant or (),
            irrelevant=irrelevant or (),
            exact=exact,
            rerank=rerank,
        )
    if as_json:
        print(json.dumps([hit.as_dict() for hit in hits], ensure_ascii=False, indent=1))
    else:
        _table(hits)
    if not hits:
        raise typer.Exit(1)


def _page(name: str) -> Document:
    path, _, number = name.rpartition("#")
    return Document(path, int(number)) if path and number.isdigit() else Document(name)


def _kinds(text: str) -> list[str]:
    from kilonova.segments.files import Kind

    return [_one_of(part.strip(), Kind, "--in") for part in text.split(",") if part.strip()]


def _one_of(value: str, choices: type[StrEnum], option: str) -> str:
    if value not in list(choices):
        raise typer.BadParameter(f"{value!r} is none of {', '.join(choices)}.", param_hint=option)
    return value


def _table(hits: list[Hit]) -> None:
    from rich.console import Console
    from rich.table import Table

    from kilonova.search.show import place_of

    marked = any(hit.before is not None for hit in hits)
    table = Table("", *(["before"] if marked else []), "score", "similarity", "kind", "file", "where", "words")
    for rank, hit in enumerate(hits, 1):
        payload = hit.payload
        places = dict.fromkeys(place_of({"kind": payload.get("kind", ""), **one}) for one in (payload, *hit.moments))
        value = hit.similarity if hit.similarity is not None else hit.distance
        table.add_row(
            str(rank),
            *([str(hit.before or "new")] if marked else []),
            f"{hit.score:.4f}",
            f"{value:.3f}" if value is not None else "",
            cell(payload.get("kind", "")),
            cell(payload.get("name", hit.id)),
            ", ".join(one for one in places if one),
            cell(str(payload.get("snippet") or payload.get("description") or payload.get("title") or "")[:60]),
        )
    Console().print(table if hits else "Nothing was found.")
