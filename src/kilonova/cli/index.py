"""``kilonova index``."""

from __future__ import annotations

import json
import sys
import time
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli import options
from kilonova.cli._common import check_dimension, progress_bar
from kilonova.cli.out import escape, print_json
from kilonova.errors import KilonovaError

if TYPE_CHECKING:
    from kilonova.segments.progress import Progress

__all__ = ["index"]

_SHOWN = 20  # bad files listed


def index(
    paths: Annotated[list[str], typer.Argument(help="Files, folders, or s3://bucket/prefix.")],
    collection: options.Collection = options.COLLECTION,
    model: options.NewModel = None,
    dimension: Annotated[
        int | None, typer.Option(help="Of a new collection: 256, 384, 1024 or 3072; 1024 if not given.")
    ] = None,
    seconds: Annotated[float, typer.Option(help="Length of a segment of audio or video.", min=1, max=30)] = 5.0,
    characters: Annotated[int, typer.Option(help="Length of a segment of text.", min=100, max=50_000)] = 800,
    facts: Annotated[
        list[str] | None, typer.Option("--set", help="NAME=VALUE for every file, to filter by; may be repeated.")
    ] = None,
    watch: Annotated[bool, typer.Option(help="Go on, and index what changes, until Ctrl-C.")] = False,
    remove_missing: Annotated[
        bool,
        typer.Option(
            "--remove-missing", help="Forget the files of folders that are not there, are empty or are not mounted."
        ),
    ] = False,
    data: options.Data = None,
    store: options.Store = "",
    as_json: Annotated[bool, options.json("The result as JSON.")] = False,
) -> None:
    """Index folders of texts, pages, images, audio and video, so that `kilonova search` finds them.

    Only what changed is embedded: run it again whenever you like. What is gone from a folder is removed; a folder that
    cannot be read, is empty all of a sudden or is not there keeps what is known of it. A JSON file beside a file
    (photo.jpg.json) says more of it. Ctrl-C keeps what is done. The exit status is 1 when files failed.

    **Examples**

        kilonova index ~/Pictures

        kilonova index ~/Videos ~/Music --collection media --set owner=me

        kilonova index s3://bucket/reports/ --collection reports

        kilonova index ~/Notes --watch
    """
    if dimension is not None:
        check_dimension(dimension)
    from kilonova.api.index import Index
    from kilonova.segments.progress import Progress

    last, noted = Progress(), dict(map(_fact, facts or []))
    with Index(collection, model=model, dimension=dimension, data=data, store=store) as opened:
        try:
            with progress_bar(as_json or watch) as bar:
                task = bar.add_task("indexing", total=None)

                def show(progress: Progress) -> None:
                    nonlocal last
                    last = progress
                    bar.update(task, total=progress.total, completed=progress.done)

                how: dict[str, Any] = {
                    "facts": noted,
                    "seconds": seconds,
                    "characters": characters,
                    "remove_missing": remove_missing,
                    "on_progress": show,
                }
                if watch:
                    for one in opened.watch(*paths, **how):
                        _tell(one)
                done = opened.add(*paths, **how)
        except KeyboardInterrupt:
            print("Stopped; what is done is kept. The same command goes on.", file=sys.stderr)
            if as_json:
                _report(last, collection, as_json, "Stopped by Ctrl-C.")
            raise typer.Exit(130) from None
        except KilonovaError as error:
            if as_json:
                _report(last, collection, as_json, str(error))
            raise
    _report(done, collection, as_json)
    if done.failed:
        raise typer.Exit(1)


def _fact(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not name or not equals:
        raise typer.BadParameter(f"{text!r} is not NAME=VALUE.", param_hint="--set")
    try:
        found = json.loads(value)
    except ValueError:
        found = value
    found = found if isinstance(found, str | int | float | bool | list) else value
    from kilonova.segments.facts import keepable

    kept, reasons = keepable({name: found})
    if reasons:
        raise typer.BadParameter(reasons[0], param_hint="--set")
    return next(iter(kept.items()))


def _tell(progress: Progress) -> None:
    """A line for each round of --watch in which something happened."""
    if progress.done > progress.unchanged or progress.removed or progress.failed:
        print(f"{time.strftime('%H:%M:%S')} {_summary(progress)}", file=sys.stderr, flush=True)
        for uri, reason in progress.failed:
            print(f"  {escape(uri)}: {escape(reason)}", file=sys.stderr, flush=True)


def _summary(progress: Progress) -> str:
    counts = [
        (progress.added, "added"), (progress.changed, "changed"), (progress.moved, "moved or copied"),
        (progress.unchanged, "unchanged"), (progress.removed, "removed"), (len(progress.failed), "failed"),
    ]  # fmt: skip
    return ", ".join(f"{count:,} {what}" for count, what in counts if count) or "nothing there"


def _report(progress: Progress, collection: str, as_json: bool, error: str = "") -> None:
    if as_json:
        print_json(
            {
                "collection": collection,
                "files": progress.total,
                **{name: getattr(progress, name) for name in ("added", "changed", "moved", "unchanged", "removed")},
                "parts": progress.segments,
                "failed": [{"uri": uri, "reason": reason} for uri, reason in progress.failed],
                "warnings": [{"uri": uri, "reason": reason} for uri, reason in progress.warnings],
                "otherFiles": progress.other.total(),
                "otherEndings": dict(progress.other.most_common()),
                "skipped": dict(progress.skipped.most_common()),
                "seconds": round(progress.seconds, 3),
                **({"error": error} if error else {}),
            }
        )
        return
    from kilonova.segments.files import HINTS
    from kilonova.segments.skipped import NAMES, summarize

    rate = (
        f" ({(progress.done - progress.unchanged) / progress.seconds:.1f} files a second)" if progress.seconds else ""
    )
    print(f"{collection}: {_summary(progress)} in {progress.seconds:.1f} s{rate}; {progress.segments:,} new vectors.")
    if other := progress.other.total():
        files = "1 file of a kind" if other == 1 else f"{other:,} files of kinds"
        print(f"  {files} that cannot be indexed: {escape(summarize(progress.other))}")
        for hint in sorted({HINTS[ending] for ending in progress.other if ending in HINTS}):
            print(f"  Of these {', '.join(one for one in HINTS if one in progress.other)} can be: {hint}")
    if progress.skipped:
        print(f"  Passed over: {summarize({NAMES[kind]: count for kind, count in progress.skipped.items()})}")
    _list(progress.failed)
    _list([(uri, f"warning: {reason}") for uri, reason in progress.warnings])


def _list(every: list[tuple[str, str]]) -> None:
    for uri, reason in every[:_SHOWN]:
        print(f"  {escape(uri)}: {escape(reason)}", file=sys.stderr)
    if len(every) > _SHOWN:
        print(f"  … and {len(every) - _SHOWN:,} more; --json lists all.", file=sys.stderr)
