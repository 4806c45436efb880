"""Which frames of a video are worth the image tower's time."""

from __future__ import annotations

import numpy as np
from PIL import Image as Pillow

__all__ = ["distinct"]

_SIDE = 8
# Mean difference of two frames' 8 x 8 thumbnails, of 1. Below it they show the same: recall of photographs in a video
# of 300 of them was the same with half as many frames (benchmarks/README.md).
_ALIKE = 0.1


def distinct(frames: np.ndarray) -> tuple[list[int], np.ndarray]:
    """The frames that differ, and for how many each stands.

    Args:
        frames: uint8 [n, height, width, 3].

    Returns:
        Rows of frames, at least one, and weights float32 [rows] whose sum is the number of frames.
    """
    rows: list[int] = []
    weights: list[int] = []
    kept: list[np.ndarray] = []
    for row, frame in enumerate(frames):
        small = Pillow.fromarray(frame).resize((_SIDE, _SIDE), Pillow.Resampling.BOX)
        thumbnail = np.asarray(small, np.float32) / 255
        apart = [float(np.abs(thumbnail - other).mean()) for other in kept]
        if apart and min(apart) <= _ALIKE:
            weights[apart.index(min(apart))] += 1
        else:
            rows.append(row)
            weights.append(1)
            kept.append(thumbnail)
    return rows, np.array(weights, np.float32)
