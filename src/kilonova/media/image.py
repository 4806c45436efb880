"""Image files to pixels: whatever viewers show, in memory that does not grow with the file's pixels."""

from __future__ import annotations

import io
import math
import os
import struct
import warnings
from collections.abc import Iterator
from contextlib import contextmanager

import numpy as np
import PIL.Image
import PIL.ImageFile
import PIL.ImageOps
from PIL.JpegImagePlugin import JpegImageFile

from kilonova.errors import InvalidInput
from kilonova.media import limits, repair
from kilonova.media.content import Detail, Image

__all__ = ["FORMATS", "decode", "flatten"]

#: Formats of image files that are read, as Pillow calls them.
FORMATS: tuple[str, ...] = ("PNG", "JPEG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000")
_SIDES = {Detail.STANDARD: limits.STANDARD_SIDE, Detail.DOCUMENT: limits.DOCUMENT_SIDE}
# Images of more pixels are made small while they are decoded; of JPEG files all are.
_LARGE = 1 << 24
_STRIP = 1 << 22  # pixels that are made small at once
_TURNED = 274  # Exif's orientation
_ANIMATIONS = ("GIF", "WEBP", "PNG", "AVIF")
_FRAMES, _FRAME_PIXELS = 12, 1 << 27  # of an animation that are looked at, and how many pixels that may decode
_BLANK = 6.0  # standard deviation, of 255: below it an image shows nothing

# Pillow has no common base for "damaged file"; these are what its parsers raise on mutated input
_FAULTS = (
    OSError,
    SyntaxError,
    ValueError,
    EOFError,
    IndexError,
    KeyError,
    TypeError,
    AttributeError,
    RuntimeError,
    struct.error,
    OverflowError,
    ZeroDivisionError,
)

PIL.Image.MAX_IMAGE_PIXELS = None  # our own bound is checked below, before any pixel is decoded


def decode(data: bytes, detail: Detail) -> Image:
    """Decode one image: upright, RGB, alpha on white, bounded in size.

    Of an animation it is the first frame, or, where that one is blank, the one with most to see among some of the
    others. A file that is cut short or damaged is decoded as far as it goes; what is wrong beside its pixels is
    passed over.

    Raises:
        InvalidInput: the bytes are no image, nothing of it can be decoded, or it declares more pixels than the bound.
    """
    side = _SIDES[detail]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # Pillow warns of odd metadata, which is not the caller's concern
        try:
            return Image(_pixels(data, side), detail)
        except _FAULTS as error:
            first = error
        with _tolerance():
            for mended in (data, repair.mend(bytes(data))):
                try:
                    return Image(_pixels(mended, side, cut=True), detail)
                except _FAULTS as error:
                    last = error
    why = first if isinstance(last, PIL.UnidentifiedImageError) else last
    if isinstance(why, PIL.UnidentifiedImageError):
        raise InvalidInput("The image cannot be decoded: its header is damaged or missing.") from None
    raise InvalidInput(f"The image cannot be decoded: {str(why).rstrip('.') or type(why).__name__}.") from first


@contextmanager
def _tolerance() -> Iterator[None]:
    """Has Pillow give what it got of a file that ends early or has wrong checksums."""
    before = PIL.ImageFile.LOAD_TRUNCATED_IMAGES
    PIL.ImageFile.LOAD_TRUNCATED_IMAGES = True
    try:
        yield
    finally:
        PIL.ImageFile.LOAD_TRUNCATED_IMAGES = before


def _pixels(data: bytes, side: int, cut: bool = False) -> np.ndarray:
    """Pixels uint8 [height, width, 3] of at most ``side`` on the longest side; of a cut file without the rows that are
    missing."""
    formats = FORMATS
    head = bytes(data[:64])
    if repair.is_heic(head):
        _learn_heic()
        formats = ("HEIF",)
    width, height = repair.webp_size(head)  # Pillow takes memory for all of a WebP file's pixels when it opens it
    _check_size(width, height)
    if width * height > _LARGE:
        return _small(data, side, cut)
    with PIL.Image.open(io.BytesIO(data), formats=formats) as file:
        width, height = file.size
        _check_size(width, height)
        if isinstance(file, JpegImageFile):
            file.draft(None, (side, side))  # decodes at a reduced scale, never below what is asked
        elif width * height > _LARGE and file.format in ("PNG", "WEBP", "TIFF", "AVIF"):
            return _small(data, side, cut)
        found = _frame(file, side, cut)
        if file.format in _ANIMATIONS and getattr(file, "n_frames", 1) > 1 and _contrast(found) < _BLANK:
            found = _telling(file, found, side)
    return np.asarray(found)


def _frame(file: PIL.Image.Image, side: int, cut: bool = False) -> PIL.Image.Image:
    """The current frame, upright and small."""
    file.load()
    turned = _orientation(file)  # Pillow turns TIFF itself when it loads it
    # flattened first: Pillow resizes palette images by their nearest pixel
    flat = _flat_and_small(file, side)
    if cut:
        flat = PIL.Image.fromarray(_without_missing_rows(np.asarray(flat)))
    if turned:
        flat.getexif()[_TURNED] = turned
        flat = PIL.ImageOps.exif_transpose(flat)
    flat.thumbnail((side, side), PIL.Image.Resampling.LANCZOS, reducing_gap=2.0)
    return flat


def _orientation(file: PIL.Image.Image) -> int:
    """How Exif says that the image is turned, 1 to 8; 0 where it says nothing that can be read."""
    try:
        found = file.getexif().get(_TURNED)
    except _FAULTS:  # broken metadata, which costs itself only
        return 0
    return found if isinstance(found, int) and 1 <= found <= 8 else 0


def _flat_and_small(image: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """As ``flatten``; large images strip by strip, each made small at once."""
    width, height = image.size
    factor = max(1, math.isqrt(width * height // _STRIP), max(width, height) // (4 * side))
    factor = min(factor, max(1, max(width, height) // (2 * side)))
    if width * height <= _LARGE or factor == 1:
        return flatten(_to_eight_bit(image))
    rows = max(1, _STRIP // width // factor) * factor
    made = PIL.Image.new("RGB", (-(-width // factor), -(-height // factor)))
    for top in range(0, height, rows):
        strip = image.crop((0, top, width, min(height, top + rows)))
        strip.info = image.info
        made.paste(flatten(_to_eight_bit(strip)).reduce(factor), (0, top // factor))
    return made


def _small(data: bytes, side: int, cut: bool) -> np.ndarray:
    """Pixels of a large image, made small by libvips, which decodes it row by row."""
    os.environ.setdefault("VIPS_CONCURRENCY", "1")  # each decoder has one core
    import pyvips

    pyvips.cache_set_max(0)
    try:
        if data[:4] == b"RIFF":  # libwebp itself makes it small
            found = pyvips.Image.thumbnail_buffer(data, side, height=side, size="down")
        else:
            whole = pyvips.Image.new_from_buffer(data, "", access="sequential", fail_on="none" if cut else "error")
            found = whole.thumbnail_image(side, height=side, size="down")
        if found.hasalpha():
            found = found.flatten(background=[255, 255, 255])
        found = found.colourspace("srgb").cast("uchar")
        pixels = np.ascontiguousarray(found.numpy()[:, :, :3])
    except pyvips.Error as error:
        raise OSError(next(iter(str(error).strip().splitlines()), "its data is damaged")) from None
    return _without_missing_rows(pixels) if cut else pixels


def _telling(file: PIL.Image.Image, first: PIL.Image.Image, side: int) -> PIL.Image.Image:
    """Of some frames of an animation the one with most to see; the first where none shows more."""
    count = min(getattr(file, "n_frames", 1), max(1, _FRAME_PIXELS // (file.width * file.height)))
    best, most = first, _contrast(first)
    for number in sorted({round(step * (count - 1) / _FRAMES) for step in range(1, _FRAMES + 1)} - {0}):
        try:
            file.seek(number)
            frame = _frame(file, side)
        except _FAULTS:  # it is cut short: the frames before are what there is
            break
        if (shown := _contrast(frame)) > most + 1.0:
            best, most = frame, shown
    return best


def _contrast(image: PIL.Image.Image) -> float:
    """Standard deviation of the grey values, of the colours where they say more."""
    return float(np.asarray(image).reshape(-1, 3).std(axis=0).max())


def _without_missing_rows(pixels: np.ndarray) -> np.ndarray:
    """Without the rows that nothing was decoded for: decoders leave them black, or grey, which is JPEG's zero.

    Raises:
        OSError: those are all.
    """
    for missing in (0, 128):
        there = np.flatnonzero((pixels != missing).any(axis=(1, 2)))
        if not len(there):
            raise OSError("its pixels are missing")
        pixels = pixels[there[0] : there[-1] + 1]
    return pixels


def _learn_heic() -> None:
    """Have Pillow open HEIC files.

    Raises:
        InvalidInput: what can is not installed.
    """
    try:
        import pillow_heif
    except ImportError:
        raise InvalidInput(
            "The image is HEIC, which needs a library that is not installed.", "pip install 'kilonova[heic]'"
        ) from None
    pillow_heif.register_heif_opener()


def _check_size(width: int, height: int) -> None:
    if width * height > limits.MAX_IMAGE_PIXELS:
        raise InvalidInput(
            f"The image has {width} x {height} pixels; at most {limits.MAX_IMAGE_PIXELS:,} are decoded.",
            "Send a smaller one.",
        )


def _to_eight_bit(image: PIL.Image.Image) -> PIL.Image.Image:
    """Modes that Pillow would clip when converting (16-bit and float grey) are scaled instead."""
    if image.mode.startswith("I;16") or image.mode == "I":
        image.load()
        grey = (np.asarray(image).astype(np.float32) / 257.0).clip(0, 255).round().astype(np.uint8)
    elif image.mode == "F":
        values = np.nan_to_num(np.asarray(image), nan=0.0, posinf=0.0, neginf=0.0)
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
