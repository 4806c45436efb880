"""What the engine counts, in Prometheus' terms (https://prometheus.io/docs/practices/naming/)."""

from __future__ import annotations

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram

__all__ = [
    "BATCH_SIZE",
    "CACHE",
    "DECODE_SECONDS",
    "MODEL_SECONDS",
    "QUEUE_DEPTH",
    "QUEUE_SECONDS",
    "REGISTRY",
    "WORKER_RESTARTS",
]

REGISTRY = CollectorRegistry()

_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)

QUEUE_DEPTH = Gauge("kilonova_queue_depth", "Inputs that wait for the model", ["model", "modality"], registry=REGISTRY)
QUEUE_SECONDS = Histogram(
    "kilonova_queue_seconds",
    "Time an input waited for its batch",
    ["model", "modality"],
    buckets=_SECONDS,
    registry=REGISTRY,
)
BATCH_SIZE = Histogram(
    "kilonova_batch_size", "Inputs in one batch", ["model", "modality"], buckets=(1, 2, 4, 8, 16, 32), registry=REGISTRY
)
DECODE_SECONDS = Histogram(
    "kilonova_decode_seconds", "Time to decode a media file", ["modality"], buckets=_SECONDS, registry=REGISTRY
)
MODEL_SECONDS = Histogram(
    "kilonova_model_seconds", "Time of a batch in the model", ["model", "modality"], buckets=_SECONDS, registry=REGISTRY
)
CACHE = Counter("kilonova_cache_requests", "Look-ups in the vector cache", ["model", "result"], registry=REGISTRY)
WORKER_RESTARTS = Counter("kilonova_worker_restarts", "Ends of the model process", ["model"], registry=REGISTRY)
