"""The image tower: EfficientNet-Lite2 and DINOv2 ViT-S/14 side by side."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from kilonova.models.mini.session import open_session

__all__ = ["ImageFeatures", "ImageTower", "Squares", "squares"]

_LARGE, _SMALL = 260, 168  # the sides that the towers read (training/image_towers.py)
_BATCH = 16

Squares = tuple[np.ndarray, np.ndarray]


@dataclass(frozen=True)
class ImageFeatures:
    """What the tower says of n images, float32.

    Attributes:
        pooled: [n, 2048]: DINOv2's class token and mean patch, Lite2's pooled features.
        tokens: [n, 36, 384]: DINOv2's patches on a 6 x 6 grid.
        classes: [n, 1000]: Lite2's ImageNet logits.
    """

    pooled: np.ndarray
    tokens: np.ndarray
    classes: np.ndarray


def squares(pixels: np.ndarray) -> Squares:
    """The tower's two inputs, uint8 [260, 260, 3] and [168, 168, 3]: the whole image, not a crop of it."""
    image = Pillow.fromarray(pixels)
    large, small = (
        np.asarray(image.resize((side, side), Pillow.Resampling.BICUBIC, reducing_gap=2.0)) for side in (_LARGE, _SMALL)
    )
    return large, small


class ImageTower:
    """Images to features; an image's features do not depend on what else is in the batch."""

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights / "image.onnx")

    def __call__(self, images: Sequence[Squares]) -> ImageFeatures:
        """The features of images made by ``squares``."""
        parts = []
        for first in range(0, len(images), _BATCH):
            large, small = zip(*images[first : first + _BATCH], strict=True)
            inputs = {"large": np.stack(large), "small": np.stack(small)}
            parts.append(self._session.run(["pooled", "tokens", "classes"], inputs))
        return ImageFeatures(*(np.concatenate(part) for part in zip(*parts, strict=True)))
