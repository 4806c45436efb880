"""What the server counts, beside the engine's own metrics, and the page that shows both."""

from __future__ import annotations

import asyncio

from prometheus_client import Counter, Histogram, disable_created_metrics
from prometheus_client.exposition import CONTENT_TYPE_LATEST, generate_latest
from starlette.requests import Request
from starlette.responses import Response

from kilonova.engine.metrics import REGISTRY
from kilonova.jobs.service import Jobs
from kilonova.server.bucket import Bucket

__all__ = ["ERRORS", "REQUESTS", "SECONDS", "MetricsPage"]

_FRESH = (20, 5.0)  # pages that are made anew: at once, and each second

disable_created_metrics()  # type: ignore[no-untyped-call]  # a second series for each counter that nobody reads

REQUESTS = Counter("kilonova_requests", "Requests answered", ["operation", "modality", "status"], registry=REGISTRY)
ERRORS = Counter("kilonova_errors", "Error answers by name", ["operation", "modality", "error"], registry=REGISTRY)
SECONDS = Histogram(
    "kilonova_request_seconds",
    "Time from the first header to the last byte of the answer's body",
    ["operation", "modality"],
    buckets=(0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30),
    registry=REGISTRY,
)


class MetricsPage:
    """The endpoint ``GET /metrics`` in Prometheus' text form. Who asks too often gets it as it was.

    Args:
        jobs: counted anew for each page.
    """

    def __init__(self, jobs: Jobs) -> None:
        self._jobs = jobs
        self._lock = asyncio.Lock()
        self._fresh = Bucket(*_FRESH)
        self._made = b""

    async def endpoint(self, request: Request) -> Response:
        async with self._lock:
            if self._fresh.take():
                await self._jobs.count()
                self._made = generate_latest(REGISTRY)
        return Response(self._made, media_type=CONTENT_TYPE_LATEST)
