"""The process that a model runs in."""

from __future__ import annotations

from kilonova._process.parent import Child

__all__ = ["worker_process"]


def worker_process(model: str, gpu: str = "") -> Child:
    """A process that loads that model of the registry and then embeds batches (``engine.worker``).

    Args:
        model: a name of the registry.
        gpu: the only one that it may use, as ``CUDA_VISIBLE_DEVICES`` names it; "" leaves it all.
    """
    return Child("kilonova.engine.worker:handler", model, environment={"CUDA_VISIBLE_DEVICES": gpu} if gpu else None)
