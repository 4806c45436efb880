"""For long work, which rather waits than fails."""

from __future__ import annotations

import asyncio

from kilonova.engine.engine import Embedding, Engine
from kilonova.errors import Busy, ModelFailed, ModelTimeout, NotReady
from kilonova.media.content import Input
from kilonova.models.card import Purpose

__all__ = ["embed_patiently"]

# A full queue or a model that starts again is waited for, five minutes in all; what the model fails on, it gets twice.
_WAITS, _TRIES = 64, 2


async def embed_patiently(engine: Engine, content: Input, purpose: Purpose, dimension: int) -> Embedding:
    """As ``Engine.embed``; queues and restarts of the model are waited for.

    Raises:
        KilonovaError: as ``Engine.embed``, when waiting did not help.
    """
    waits = failures = 0
    while True:
        try:
            return await engine.embed(content, purpose, dimension)
        except (Busy, NotReady):
            waits += 1
            if waits == _WAITS:
                raise
            await asyncio.sleep(min(5.0, 0.25 * 2.0**waits))
        except (ModelFailed, ModelTimeout):
            failures += 1
            if failures == _TRIES:
                raise
            await engine.ready()
