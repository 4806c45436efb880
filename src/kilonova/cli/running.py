"""How ``kilonova serve`` and ``kilonova up`` run the server."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer

from kilonova import _home
from kilonova._process.memory import return_large_blocks
from kilonova.credentials import configured as identity
from kilonova.engine.gpus import assign_gpus
from kilonova.engine.process import worker_process
from kilonova.errors import KilonovaError
from kilonova.models import registry
from kilonova.server import limits

if TYPE_CHECKING:
    import uvicorn

    from kilonova.engine.engines import Engines

__all__ = ["Options", "run", "stopped_by_signals"]

_GRACE_SECONDS = 10
# Threads of jobs hold Python's lock for so long at a time while the event loop, which answers callers, waits.
_SWITCH_SECONDS = 0.0005


@dataclass(frozen=True)
class Options:
    """The options of ``kilonova serve``, see there; ``others`` is what else must run, see ``Readiness``."""

    host: str = "127.0.0.1"
    port: int = 8000
    models: Sequence[str] = ("kilonova-mini",)
    credentials: Path | None = None
    region: str = ""
    queue: int = 256
    max_mb: int = 256
    cache_mb: int = 0
    idle_minutes: float = 0.0
    batch_seconds: float = 60.0
    data: Path | None = None
    store: str = ""
    database: str = ""
    jobs: int = 8
    tls_cert: Path | None = None
    tls_key: Path | None = None
    allow_host: Sequence[str] = ()
    log_level: str = "warning"
    others: Mapping[str, Callable[[], str]] = field(default_factory=dict)


@contextmanager
def stopped_by_signals() -> Iterator[None]:
    """Let SIGTERM and the end of the terminal (SIGHUP) do what Ctrl-C does, so that everything is cleaned up."""
    before = {signal.SIGTERM: signal.signal(signal.SIGTERM, signal.default_int_handler)}
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # as nohup leaves it
        before[signal.SIGHUP] = signal.signal(signal.SIGHUP, lambda *_: signal.raise_signal(signal.SIGTERM))
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def run(options: Options) -> None:
    """Serve until a signal comes.

    Raises:
        KilonovaError: it cannot be served so.
        typer.BadParameter: options do not fit together.
    """
    cards = [registry.card(model) for model in options.models]  # a wrong name is refused at once
    for model in options.models:
        registry.require(model)
    if len({card.id for card in cards}) < len(cards):
        raise typer.BadParameter("A model is named twice.", param_hint="--model")
    callers = identity.load(options.host, options.credentials)
    if options.log_level.upper() not in ("DEBUG", "INFO", "WARNING", "ERROR"):
        said = f"{options.log_level!r} is none of debug, info, warning, error."
        raise typer.BadParameter(said, param_hint="--log-level")
    if (options.tls_cert is None) != (options.tls_key is None):
        raise typer.BadParameter("A certificate and its key come together.", param_hint="--tls-cert and --tls-key")
    return_large_blocks()
    sys.setswitchinterval(_SWITCH_SECONDS)
    listener = _listen(options.host, options.port)
    gpu = assign_gpus(cards[0])[0]
    worker = worker_process(options.models[0], gpu)  # loads while this process imports what it needs

    import uvicorn

    from kilonova.jobs.service import JobSettings
    from kilonova.server import logs
    from kilonova.server.app import ServerSettings, create_app
    from kilonova.server.http2 import NegotiatingProtocol

    logs.configure(options.log_level)
    os.umask(0o077)  # what is written from here on is the user's alone
    app = create_app(
        ServerSettings(
            options.models,
            callers,
            JobSettings(_home.private(options.data or _home.data()), options.database, at_once=options.jobs),
            store=options.store,
            url=_url(listener, "https" if options.tls_cert else "http"),
            region=options.region,
            queue=options.queue,
            max_bytes=options.max_mb << 20,
            cache_bytes=options.cache_mb << 20,
            batch_seconds=options.batch_seconds,
            idle_seconds=options.idle_minutes * 60,
            hosts=_hosts(options),
            others=options.others,
        ),
        worker,
    )
    config = uvicorn.Config(
        app,
        http=NegotiatingProtocol,
        ws="none",
        log_config=None,
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=_GRACE_SECONDS,
        timeout_keep_alive=limits.KEEP_ALIVE_SECONDS,
        ssl_certfile=options.tls_cert,
        ssl_keyfile=options.tls_key,
    )
    config.load()
    if config.ssl is not None:
        config.ssl.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with asyncio.Runner(loop_factory=config.get_loop_factory()) as runner:
            runner.run(_run(uvicorn.Server(config), listener, app.state.engines))
    except KeyboardInterrupt:
        print("Stopped.", file=sys.stderr)  # uvicorn raises it again once everything is closed


def _hosts(options: Options) -> list[str] | None:
    if identity.is_loopback(options.host) or options.allow_host:
        return [options.host, *options.allow_host]
    return None


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
