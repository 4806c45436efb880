"""Liveness and readiness, in the sense Kubernetes gives the words."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response

from kilonova.engine.engines import Engines
from kilonova.engine.supervisor import State
from kilonova.wire.errors import KilonovaError, Throttled

__all__ = ["livez", "readyz"]

_PROBE_SECONDS = 10.0


async def livez(request: Request) -> Response:
    """``GET /livez``: the event loop turns."""
    return Response(b'{"status":"ok"}', media_type="application/json")


def readyz(engines: Engines) -> Callable[[Request], Awaitable[Response]]:
    """``GET /readyz``: a probe goes through queue, model process and back, for each model that is not unloaded."""

    async def endpoint(request: Request) -> Response:
        status, reason = 200, ""
        try:
            async with asyncio.timeout(_PROBE_SECONDS):
                await asyncio.gather(*(one.probe() for one in engines if one.state is not State.IDLE))
        except Throttled:
            reason = "the queue is full"  # busy, and working: taking it out of service would not help
        except TimeoutError:
            status, reason = 503, f"a probe took more than {_PROBE_SECONDS:g} s"
        except KilonovaError as error:
            status, reason = 503, str(error)
        state = {
            "status": "ok" if status == 200 else "unready",
            "models": {engine.card.id: engine.state for engine in engines},
        }
        return Response(
            orjson.dumps(state | ({"reason": reason} if reason else {})), status, media_type="application/json"
        )

    return endpoint
