"""``kilonova serve``."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kilonova.cli import options
from kilonova.cli.running import Options, run, stopped_by_signals

__all__ = ["serve"]


def serve(
    host: Annotated[str, options.host("Address to listen on.")] = options.HOST,
    port: Annotated[int, options.port("Port to listen on; 0 takes a free one.", 0)] = options.PORT,
    models: options.Models = None,
    credentials: Annotated[
        Path | None, typer.Option(help="TOML file of who may call, instead of credentials.toml (docs/credentials.md).")
    ] = None,
    region: Annotated[str, typer.Option(help="Serve this AWS region only; by default each.")] = "",
    queue: Annotated[int, typer.Option(help="Inputs that may wait for the model.", min=1)] = 256,
    max_mb: Annotated[int, typer.Option(help="Megabytes of request bodies under way at once.", min=25)] = 256,
    cache_mb: Annotated[int, typer.Option(help="Megabytes of vectors to keep for inputs seen again.", min=0)] = 0,
    idle_minutes: Annotated[
        float, typer.Option(help="Unload a model that nobody wanted for so long; it comes back. 0 keeps it.", min=0)
    ] = 0.0,
    batch_seconds: Annotated[float, typer.Option(help="How long the model may take for one batch.", min=0.1)] = 60.0,
    data: options.Data = None,
    store: options.Store = "",
    database: Annotated[
        str, typer.Option(help="Keep jobs in this database, shared by several servers: postgresql://…")
    ] = "",
    jobs: Annotated[int, typer.Option(help="How many asynchronous invocations run at once.", min=1)] = 8,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate: serve HTTPS. Needs --tls-key.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key of --tls-cert.")] = None,
    allow_host: Annotated[
        list[str] | None,
        typer.Option(
            help="A name under which a server of this machine alone may be asked for, behind a proxy; may be repeated.",
            show_default=False,
        ),
    ] = None,
    log_level: options.LogLevel = options.LOG_LEVEL,
) -> None:
    """Serve Amazon Nova's API (and OpenAI's `/v1/embeddings`) until Ctrl-C.

    **Examples**

        kilonova serve

        kilonova serve --port 8000 --cache-mb 256

        kilonova serve --model embeddinggemma-2 --model kilonova-mini --idle-minutes 30

        kilonova serve --model embeddinggemma-2:text,image

        kilonova serve --database postgresql://kilonova@db.example/kilonova

        kilonova serve --host 0.0.0.0 --credentials credentials.toml --log-level info
    """
    settings = Options(
        host, port, models or [options.MODEL], credentials, region, queue, max_mb, cache_mb, idle_minutes,
        batch_seconds, data, store, database, jobs, tls_cert, tls_key, allow_host or [], log_level,
    )  # fmt: skip
    with stopped_by_signals():
        run(settings)
