"""What several commands share besides their options."""

from __future__ import annotations

from typing import TYPE_CHECKING

import typer

if TYPE_CHECKING:
    from rich.progress import Progress, ProgressColumn

__all__ = ["check_dimension", "progress_bar"]


def check_dimension(dimension: int) -> None:
    """Refuse a ``--dimension`` that Nova does not have."""
    from kilonova.engine.matryoshka import DIMENSIONS

    if dimension not in DIMENSIONS:
        raise typer.BadParameter(f"{dimension} is none of {DIMENSIONS}.", param_hint="--dimension")


def progress_bar(hidden: bool, *columns: ProgressColumn) -> Progress:
    """A progress bar on standard error, with the time left; it disappears when the work is done.

    Args:
        hidden: show nothing.
        columns: what stands between the bar and the time left; "how many of how many" if none is given.
    """
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn

    middle = columns or (MofNCompleteColumn(),)
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        *middle,
        TimeRemainingColumn(),
        console=Console(stderr=True),
        disable=hidden,
        transient=True,
    )
