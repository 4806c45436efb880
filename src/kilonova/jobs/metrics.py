"""What is counted of asynchronous invocations."""

from __future__ import annotations

from prometheus_client import Counter, Gauge

from kilonova.engine.metrics import REGISTRY

__all__ = ["ENDED", "JOBS", "OLDEST", "SEGMENTS"]

JOBS = Gauge("kilonova_jobs", "Asynchronous invocations by state", ["state"], registry=REGISTRY)
OLDEST = Gauge("kilonova_jobs_oldest_waiting_seconds", "Age of the oldest one that waits", registry=REGISTRY)
SEGMENTS = Counter("kilonova_job_segments", "Segments embedded", ["type", "result"], registry=REGISTRY)
ENDED = Counter("kilonova_jobs_ended", "Invocations ended by this server", ["status"], registry=REGISTRY)
