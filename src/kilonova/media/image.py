"""Image files to pixels."""

from __future__ import annotations

import io
import struct
import warnings

import numpy as np
import PIL.Image
import PIL.ImageOps

from kilonova.media import limits
from kilonova.media.content import Detail, Image
from kilonova.wire.errors import Validation

__all__ = ["decode", "flatten"]

_PILLOW_FORMATS = ("PNG", "JPEG", "GIF", "WEBP")
_SIDES = {Detail.STANDARD: limits.STANDARD_SIDE, Detail.DOCUMENT: limits.DOCUMENT_SIDE}

PIL.Image.MAX_IMAGE_PIXELS = None  # our own bound is checked below, before any pixel is decoded


def decode(data: bytes, detail: Detail) -> Image:
    """Decode one image (the first frame of an animation): upright, RGB, alpha on white, bounded in size.

    Raises:
        Validation: the bytes are no image, are damaged, or declare more pixels than the bound.
    """
    side = _SIDES[detail]
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which is not the caller's concern
            with PIL.Image.open(io.BytesIO(data), formats=_PILLOW_FORMATS) as file:
                _check_size(file)
                if file.format == "JPEG":
                    file.draft(None, (side, side))  # decodes at a reduced scale, never below what is asked
                # flattened first: Pillow resizes palette images by their nearest pixel
                upright = flatten(PIL.ImageOps.exif_transpose(_to_eight_bit(file)))
                upright.thumbnail((side, side), PIL.Image.Resampling.LANCZOS, reducing_gap=2.0)
                pixels = np.asarray(upright)
    except Validation:
        raise
    except (
        OSError,
        SyntaxError,
        ValueError,
        EOFError,
        IndexError,
        KeyError,
        TypeError,
        struct.error,
        OverflowError,
    ) as error:
        # Pillow has no common base for "damaged file"; these are what its parsers raise on mutated input
        raise Validation(f"The image cannot be decoded: {error}.") from error
    return Image(pixels, detail)


def _check_size(file: PIL.Image.Image) -> None:
    width, height = file.size
    if width * height > limits.MAX_IMAGE_PIXELS:
        raise Validation(
            f"The image has {width} x {height} pixels; at most {limits.MAX_IMAGE_PIXELS:,} are decoded.",
            "Send a smaller one.",
        )


def _to_eight_bit(image: PIL.Image.Image) -> PIL.Image.Image:
    """Modes that Pillow would clip when converting (16-bit and float grey) are scaled instead."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image.load()
        grey = (np.asarray(image).astype(np.float32) / 257.0).clip(0, 255).round().astype(np.uint8)
    elif image.mode == "F":
        values = np.asarray(image)
        top = float(values.max()) or 1.0
        grey = (values * (255.0 / top)).clip(0, 255).astype(np.uint8)
    else:
        return image
    scaled = PIL.Image.fromarray(grey)
    scaled.info = image.info
    return scaled


def flatten(image: PIL.Image.Image) -> PIL.Image.Image:
    """RGB, transparent parts on white."""
    if image.mode in ("RGBA", "LA", "PA", "RGBa", "La") or "transparency" in image.info:
        layer = image.convert("RGBA")
        ground = PIL.Image.new("RGBA", layer.size, "white")
        return PIL.Image.alpha_composite(ground, layer).convert("RGB")
    return image.convert("RGB")
