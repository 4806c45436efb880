"""``kilonova serve``."""

from __future__ import annotations

import asyncio
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kilonova import _home
from kilonova._process.memory import return_large_blocks
from kilonova._process.parent import worker_process
from kilonova.cli.collections import Store
from kilonova.engine.gpus import assigned
from kilonova.models import registry
from kilonova.server import identity
from kilonova.wire.errors import KilonovaError

if TYPE_CHECKING:
    import uvicorn

    from kilonova.engine.engines import Engines

__all__ = ["Models", "serve"]

_GRACE_SECONDS = 10
_KEEP_ALIVE_SECONDS = 75  # longer than clients keep idle connections, so that theirs is the side that closes


Models = Annotated[
    list[str] | None,
    typer.Option(
        "--model",
        help="A model, by default kilonova-mini (see `kilonova models`). Several times for several; the first stands "
        "for Nova's ids.",
        show_default=False,
    ),
]


def serve(
    host: Annotated[str, typer.Option(help="Address to listen on.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(help="Port to listen on; 0 takes a free one.", min=0, max=65535)] = 8000,
    models: Models = None,
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
    data: Annotated[
        Path | None, typer.Option(help="Folder for what is kept: jobs, collections. By default the user's data folder.")
    ] = None,
    store: Store = "",
    database: Annotated[
        str, typer.Option(help="Keep jobs in this database, shared by several servers: postgresql://…")
    ] = "",
    jobs: Annotated[int, typer.Option(help="Asynchronous invocations that run at once.", min=1)] = 8,
    tls_cert: Annotated[Path | None, typer.Option(help="PEM certificate: serve HTTPS. Needs --tls-key.")] = None,
    tls_key: Annotated[Path | None, typer.Option(help="PEM private key of --tls-cert.")] = None,
    log_level: Annotated[str, typer.Option(help="debug, info, warning or error; logs are JSON on stderr.")] = "warning",
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
    models = models or ["kilonova-mini"]
    cards = [registry.card(model) for model in models]  # a wrong name is told at once
    for model in models:
        registry.require(model)
    if len({card.id for card in cards}) < len(cards):
        raise typer.BadParameter("A model is named twice.", param_hint="--model")
    callers = identity.load(host, credentials)
    if log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        raise typer.BadParameter(f"{log_level!r} is none of debug, info, warning, error.", param_hint="--log-level")
    if (tls_cert is None) != (tls_key is None):
        raise typer.BadParameter("A certificate and its key come together.", param_hint="--tls-cert and --tls-key")
    return_large_blocks()
    listener = _listen(host, port)
    worker = worker_process(models[0], assigned(cards[0])[0])  # loads while this process imports what it needs itself

    import uvicorn

    from kilonova.jobs.service import JobSettings
    from kilonova.server import logs
    from kilonova.server.app import Settings, create_app
    from kilonova.server.http2 import NegotiatingProtocol

    logs.configure(log_level)
    app = create_app(
        Settings(
            models,
            callers,
            JobSettings(data or _home.data(), database, at_once=jobs),
            store=store,
            url=_url(listener, "https" if tls_cert else "http"),
            region=region,
            queue=queue,
            max_bytes=max_mb << 20,
            cache_bytes=cache_mb << 20,
            batch_seconds=batch_seconds,
            idle_seconds=idle_minutes * 60,
        ),
        worker,
    )
    config = uvicorn.Config(
        app,
        http=NegotiatingProtocol,
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=_KEEP_ALIVE_SECONDS,
        ssl_certfile=tls_cert,
        ssl_keyfile=tls_key,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(uvicorn.Server(config), listener, app.state.engines))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)  # uvicorn raises it again once everything is closed


def _listen(host: str, port: int) -> socket.socket:
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.socket(family, socket.SOCK_STREAM)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((host, port))
        listener.listen(2048)  # uvicorn's backlog; from here on who connects waits, before anything was announced
    except OSError as error:
        raise KilonovaError(
            f"Cannot listen on {host}:{port}: {error.strerror}.", "Is a server there already? Choose another --port."
        ) from error
    return listener


def _url(listener: socket.socket, scheme: str) -> str:
    host, port = listener.getsockname()[:2]
    return f"{scheme}://[{host}]:{port}" if ":" in host else f"{scheme}://{host}:{port}"


async def _run(server: uvicorn.Server, listener: socket.socket, engines: Engines) -> None:
    announcement = asyncio.create_task(_announce(listener, engines, "https" if server.config.is_ssl else "http"))
    try:
        await server.serve(sockets=[listener])
    finally:
        announcement.cancel()


async def _announce(listener: socket.socket, engines: Engines, scheme: str) -> None:
    names = ", ".join(engine.card.id for engine in engines)
    print(f"Kilonova loads {names} at {_url(listener, scheme)}", file=sys.stderr, flush=True)
    try:
        await asyncio.gather(*(engine.ready() for engine in engines))
    except KilonovaError as error:
        print(f"kilonova: {error}", file=sys.stderr, flush=True)
        return
    options = f"--port {listener.getsockname()[1]}" + (" --https" if scheme == "https" else "")
    print(f'Ready. Point AWS clients here with: eval "$(kilonova env {options})"', file=sys.stderr, flush=True)
