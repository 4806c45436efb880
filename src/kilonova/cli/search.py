"""``kilonova search``."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli.collections import Data, Store
from kilonova.cli.inputs import read_file
from kilonova.cli.out import cell
from kilonova.errors import InvalidInput
from kilonova.media.content import Detail, Encoded, Modality, Text

if TYPE_CHECKING:
    from kilonova.search.query import Hit, Query

__all__ = ["search"]


def search(
    text: Annotated[list[str] | None, typer.Argument(help="What is looked for, in words of any language.")] = None,
    image: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this image.")] = None,
    audio: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this sound, at most 30 s.")] = None,
    video: Annotated[list[str] | None, typer.Option(metavar="FILE", help="Like this film, at most 30 s.")] = None,
    document: Annotated[
        list[str] | None, typer.Option(metavar="FILE[#PAGE]", help="Like this page of a PDF, the first by default.")
    ] = None,
    unlike: Annotated[list[str] | None, typer.Option("--not", help="Not like this: words.")] = None,
    within: Annotated[str, typer.Option("--in", help="Kinds: text, document, image, audio, video.")] = "",
    where: Annotated[str, typer.Option(help="A filter: 'year >= 2020 and camera = \"X100\"'.")] = "",
    k: Annotated[int, typer.Option("-k", help="Hits at most.", min=1, max=1_000)] = 10,
    mode: Annotated[str, typer.Option(help="hybrid, dense (by vectors) or words (BM25).")] = "hybrid",
    fusion: Annotated[str, typer.Option(help="How hybrid puts both together: weights, or ranks (RRF).")] = "weights",
    least: Annotated[float | None, typer.Option("--min-score", help="Similarity that a hit must have.")] = None,
    rerank: Annotated[
        str, typer.Option(metavar="MODEL", help="A cross-encoder that reads the first 30 hits again; folder or name.")
    ] = "",
    diversity: Annotated[float, typer.Option(help="0 to 1: how unlike each other hits shall be.", min=0, max=1)] = 0.0,
    good: Annotated[
        list[str] | None,
        typer.Option(metavar="ID", help="More like this hit; ids: --json."),
    ] = None,
    bad: Annotated[list[str] | None, typer.Option(metavar="ID", help="Less like this hit.")] = None,
    every: Annotated[bool, typer.Option("--segments", help="Each segment by itself, not one hit for a file.")] = False,
    exact: Annotated[bool, typer.Option(help="Compare with every vector instead of asking the index.")] = False,
    collection: Annotated[str, typer.Option("--collection", "-c", help="Where.")] = "files",
    data: Data = None,
    store: Store = "",
    as_json: Annotated[bool, typer.Option("--json", help="The hits as JSON, with ids and all that is known.")] = False,
) -> None:
    """Search what `kilonova index` has indexed, by words, images, sounds, films, pages, or several at once.

    **Examples**

        kilonova search "日落海滩"

        kilonova search --image cat.jpg --not people --in image,video

        kilonova search "annual revenue" --in document --where 'year >= 2020' -k 5

        kilonova search "harbour" --audio gulls.wav --json
    """
    from kilonova.search import local
    from kilonova.search.query import UNLIKE, Fusion, Mode, Query
    from kilonova.search.rerank import open_reranker
    from kilonova.stores.filters.tree import parse

    if mode not in list(Mode):
        raise typer.BadParameter(f"{mode!r} is none of {', '.join(Mode)}.", param_hint="--mode")
    if fusion not in list(Fusion):
        raise typer.BadParameter(f"{fusion!r} is none of {', '.join(Fusion)}.", param_hint="--fusion")
    words = " ".join(text or [])
    wanted: list[tuple[Any, float]] = [(Text(words), 1.0)] if words else []
    for names, modality in ((image, Modality.IMAGE), (audio, Modality.AUDIO), (video, Modality.VIDEO)):
        wanted += [(_media(name, modality), 1.0) for name in names or []]
    wanted += [(_page(name), 1.0) for name in document or []]
    wanted += [(Text(one), UNLIKE) for one in unlike or []]
    if not any(weight > 0 for _, weight in wanted):
        raise typer.BadParameter("Nothing is looked for.", param_hint="TEXT, --image, --audio, --video or --document")
    query = Query(
        wanted,
        kinds=_kinds(within),
        where=parse(where) if where else None,
        k=k,
        mode=Mode(mode),
        fusion=Fusion(fusion),
        least=least,
        diversity=diversity,
        grouped=not every,
        good=good or (),
        bad=bad or (),
        exact=exact,
    )
    reranker = open_reranker(rerank) if rerank else None
    with local.store(data, store) as opened:
        hits = asyncio.run(local.search(opened, opened.find(collection), query, reranker))
        if as_json:
            print(json.dumps([hit.as_dict() for hit in hits], ensure_ascii=False, indent=1))
        else:
            _table(hits, query)
    if not hits:
        raise typer.Exit(1)


def _kinds(text: str) -> tuple[Any, ...]:
    from kilonova.segments.files import Kind

    found = tuple(part.strip() for part in text.split(",") if part.strip())
    if strange := [name for name in found if name not in list(Kind)]:
        raise typer.BadParameter(f"{strange[0]!r} is none of {', '.join(Kind)}.", param_hint="--in")
    return tuple(map(Kind, found))


def _media(name: str, modality: Modality) -> Encoded:
    if not Path(name).is_file():
        raise InvalidInput(f"There is no file {name}.")
    found = read_file(name, Detail.STANDARD)
    if not isinstance(found, Encoded) or found.modality is not modality:
        said = found.modality if isinstance(found, Encoded) else Modality.TEXT
        raise InvalidInput(f"{name} is no {modality}; it is {said}.")
    return found


def _page(name: str) -> Any:
    from kilonova.search import local

    path, _, number = name.partition("#")
    found = asyncio.run(local.page(path, int(number) if number.isdigit() else 1))
    return Text(found) if isinstance(found, str) else found


def _place(found: Any) -> str:
    """Where in a file: page 3, 0:01:05, character 800, or nothing. Points that others wrote may say it in any form."""
    page, start = found.get("page"), found.get("start")
    if isinstance(page, int):
        return f"page {page}"
    if not isinstance(start, int | float):
        return ""
    if found.get("kind", "") == "text":
        return f"character {start:,}" if start else ""
    minutes, seconds = divmod(int(start), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _table(hits: list[Hit], query: Query) -> None:
    from rich.console import Console
    from rich.table import Table

    marked = any(hit.before is not None for hit in hits)
    table = Table("", *(["before"] if marked else []), "score", "similarity", "kind", "file", "where", "words")
    for rank, hit in enumerate(hits, 1):
        payload = hit.payload
        places = dict.fromkeys(_place({"kind": payload.get("kind", ""), **one}) for one in (payload, *hit.moments))
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
