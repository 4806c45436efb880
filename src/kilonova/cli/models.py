"""``kilonova models``."""

from __future__ import annotations

import asyncio
import json
import sys
from typing import Annotated

import typer

from kilonova.cli import options
from kilonova.media.content import Modality
from kilonova.models import registry
from kilonova.models.card import ModelCard

__all__ = ["models"]


def models(
    given: Annotated[list[str] | None, typer.Argument(help="Names, or folders, as `--model` takes them.")] = None,
    measure: Annotated[bool, typer.Option(help="Load each that is here, and measure its speed; it is kept.")] = False,
    as_json: options.Json = False,
) -> None:
    """List the models and what each is for.

    **Examples**

        kilonova models

        kilonova models ~/models/multilingual-e5-large

        kilonova models --json

        kilonova models kilonova-mini --measure
    """
    from kilonova.engine.matryoshka import DIMENSIONS
    from kilonova.evaluation import speed

    known = {name: registry.card(name) for name in given or registry.names()}
    here = {card.id: registry.is_here(name) for name, card in known.items()}
    if measure:
        for name in (name for name, card in known.items() if given or here[card.id]):
            registry.require(name)
            print(f"measuring {name} …", file=sys.stderr, flush=True)
            speed.keep(known[name].id, asyncio.run(speed.measure(name)))
    cards, fast = list(known.values()), speed.read_speeds()
    if as_json:
        entries = [
            {**_entry(card, DIMENSIONS), "here": here[card.id], "speed": fast.get(card.id, {})} for card in cards
        ]
        print(json.dumps(entries, ensure_ascii=False, indent=2))
        return
    from rich.console import Console
    from rich.table import Table

    console = Console()
    for card in cards:
        table = Table(box=None, show_header=False, title=f"[bold]{card.id}[/] ({card.title})", title_justify="left")
        table.add_column(style="dim", no_wrap=True)
        table.add_column(overflow="fold")
        for name, text in (
            ("best for", card.best_for),
            ("embeds", _embeds(card)),
            ("languages", card.languages),
            ("dimensions", "; ".join(f"{one} {card.dimension_note(one)}" for one in DIMENSIONS)),
            ("native", f"{card.native_dimension} dimensions, {card.max_tokens:,} tokens"),
            ("quality", card.quality),
            ("memory", card.memory),
            ("speed", _speed(fast.get(card.id, {}))),
            ("licence", card.licence),
            ("source", card.source),
            ("here", "" if here[card.id] else f"no: kilonova pull {card.id}"),
        ):
            if text:
                table.add_row(name, text)
        console.print(table, "")


def _speed(measured: dict[str, float | str]) -> str:
    rates = ", ".join(f"{value:g} {name}" for name, value in measured.items() if isinstance(value, float | int))
    return f"{rates} (measured here, {measured['date']})" if rates else ""


def _embeds(card: ModelCard) -> str:
    alone = ", ".join(modality for modality in Modality if modality in card.modalities)
    return f"{alone}, and several of them together" if card.mixes else alone


def _entry(card: ModelCard, dimensions: tuple[int, ...]) -> dict[str, object]:
    return {
        "id": card.id,
        "title": card.title,
        "modalities": sorted(card.modalities),
        "mixes": card.mixes,
        "native_dimension": card.native_dimension,
        "dimensions": {str(dimension): card.dimension_note(dimension) for dimension in dimensions},
        "max_tokens": card.max_tokens,
        "languages": card.languages,
        "licence": card.licence,
        "source": card.source,
        "quality": card.quality,
        "memory": card.memory,
        "best_for": card.best_for,
        "prompts": dict(card.prompts),
    }
