"""The GPUs of this machine, without the libraries that use them."""

from __future__ import annotations

import os
from pathlib import Path

from kilonova.models.card import ModelCard

__all__ = ["assign_gpus"]

_DRIVER = Path("/proc/driver/nvidia/gpus")  # a folder for each, made by NVIDIA's driver


def assign_gpus(card: ModelCard) -> list[str]:
    """One GPU for each process of a model, "" for a process that takes what there is; at least one process."""
    several = _visible() if card.gpu else []
    return several if len(several) > 1 else [""]


def _visible() -> list[str]:
    """As ``CUDA_VISIBLE_DEVICES`` names them; an empty list where there are none, or none may be used."""
    given = os.environ.get("CUDA_VISIBLE_DEVICES")
    if given is not None:
        return [one.strip() for one in given.split(",") if one.strip() not in ("", "-1", "NoDevFiles")]
    return [str(number) for number, _ in enumerate(_DRIVER.iterdir())] if _DRIVER.is_dir() else []
