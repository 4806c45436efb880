"""Liveness and readiness, in the sense Kubernetes gives the words."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping

import orjson
from starlette.requests import Request
from starlette.responses import Response

from kilonova.engine.engine import Engine
from kilonova.engine.engines import Engines
from kilonova.engine.supervisor import State
from kilonova.errors import Busy, KilonovaError
from kilonova.server.bucket import Bucket

__all__ = ["Readiness", "livez"]

_PROBE_SECONDS = 10.0
_FRESH = (5, 1.0)  # probes: at once, and each second
_WORKING = (State.READY, State.IDLE)


async def livez(request: Request) -> Response:
    """``GET /livez``: the event loop turns."""
    return Response(b'{"status":"ok"}', media_type="application/json")


class Readiness:
    """``GET /readyz``: a probe goes through queue, model process and back, for each model that is not unloaded.

    Nobody has to say who asks, so there is one probe at a time, and who asks too often gets the last result: it costs
    the callers nothing.

    Args:
        engines: the models.
        others: what else must run, by name: a function that says "ready" or what is wrong.
    """

    def __init__(self, engines: Engines, others: Mapping[str, Callable[[], str]]) -> None:
        self._engines, self._others = engines, others
        self._probe: asyncio.Task[dict[str, str]] | None = None
        self._fresh = Bucket(*_FRESH)

    async def page(self, request: Request) -> Response:
        """The endpoint."""
        states = {engine.card.id: str(engine.state) for engine in self._engines}
        others = {name: state() for name, state in self._others.items()}
        reasons = [f"{name} is {state}" for name, state in others.items() if state != "ready"]
        reasons += [f"{name} is {state}" for name, state in states.items() if state not in _WORKING]
        if not reasons:
            faults = await asyncio.shield(self._current_probe())
            reasons = list(faults.values())
            states |= {name: "not answering" for name, fault in faults.items() if fault}
        reasons = [reason for reason in reasons if reason]
        state = {"status": "unready" if reasons else "ok", "models": states, **others}
        if reasons:
            state["reason"] = " ".join(reasons)
        return Response(orjson.dumps(state), 503 if reasons else 200, media_type="application/json")

    def _current_probe(self) -> asyncio.Task[dict[str, str]]:
        """The probe that is under way, or was not long ago."""
        if self._probe is None or (self._probe.done() and self._fresh.take()):
            self._probe = asyncio.create_task(self._ask_all())
        return self._probe

    async def _ask_all(self) -> dict[str, str]:
        asked = [engine for engine in self._engines if engine.state is not State.IDLE]
        faults = await asyncio.gather(*map(_ask, asked))
        return {engine.card.id: fault for engine, fault in zip(asked, faults, strict=True)}


async def _ask(engine: Engine) -> str:
    """What is wrong with a model, or nothing."""
    try:
        async with asyncio.timeout(_PROBE_SECONDS):
            await engine.probe()
    except Busy:
        return ""  # busy, and working: taking it out of service would not help
    except TimeoutError:
        return f"a probe took more than {_PROBE_SECONDS:g} s"
    except KilonovaError as error:
        return str(error)
    return ""
