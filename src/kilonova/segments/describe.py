"""What image, audio and video files say of themselves: Exif, tags, sizes, durations."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, BinaryIO

from kilonova.segments.facts import date_facts, plain

__all__ = ["describe_image", "describe_media"]

# Exif 2.32, tags of the main, the Exif and the GPS directory
_MAKE, _MODEL, _DESCRIPTION, _CHANGED = 271, 272, 270, 306
_EXIF, _GPS, _TAKEN, _OFFSET = 0x8769, 0x8825, 36867, 36881
_TAGS = ("title", "artist", "album", "genre", "comment", "description", "date", "language")


def describe_image(file: BinaryIO) -> dict[str, Any]:
    """The size of an image, and its Exif.

    Raises:
        Exception: any that Pillow has for broken files.
    """
    from PIL import Image as Pillow

    from kilonova.media.image import FORMATS

    with Pillow.open(file, formats=FORMATS) as image:
        found: dict[str, Any] = {"width": image.size[0], "height": image.size[1]}
        try:
            return found | _exif(image.getexif())
        except Exception:  # Exif that cameras and editors spoilt; the image has its size all the same
            return found


def describe_media(file: BinaryIO) -> dict[str, Any]:
    """Tags, duration in seconds and size in pixels of audio or video.

    Raises:
        Exception: any that FFmpeg has for broken files.
    """
    import av

    from kilonova.media import audio

    av.logging.set_level(av.logging.PANIC)
    with audio.open_file(file) as container:
        tags = {name.lower(): value for name, value in container.metadata.items()}
        for stream in container.streams:  # Ogg has them there
            tags = {name.lower(): value for name, value in stream.metadata.items()} | tags
        found: dict[str, Any] = {name: plain(tags.get(name)) for name in _TAGS}
        if container.duration:
            found["duration"] = round(container.duration / av.time_base, 3)
        if container.streams.video:
            found |= {"width": container.streams.video[0].width, "height": container.streams.video[0].height}
    return found | date_facts(tags.get("creation_time") or tags.get("date", ""))


def _exif(exif: Any) -> dict[str, Any]:
    shot, gps = exif.get_ifd(_EXIF), exif.get_ifd(_GPS)
    return {
        **date_facts(str(shot.get(_TAKEN) or exif.get(_CHANGED) or ""), str(shot.get(_OFFSET) or "")),
        "camera": plain(exif.get(_MODEL)),
        "maker": plain(exif.get(_MAKE)),
        "description": plain(exif.get(_DESCRIPTION)),
        **_position(gps),
    }


def _position(gps: Mapping[int, Any]) -> dict[str, Any]:
    """Latitude and longitude; nothing where a camera had no fix and wrote 0/0, or what is no place on earth."""
    latitude, longitude = _degrees(gps.get(2), gps.get(1), 90.0), _degrees(gps.get(4), gps.get(3), 180.0)
    if latitude is None or longitude is None:
        return {}
    return {"latitude": latitude, "longitude": longitude}


def _degrees(parts: Any, half: Any, most: float) -> float | None:
    """Degrees, minutes and seconds as degrees, south and west below zero."""
    try:
        whole, minutes, seconds = (float(part) for part in parts)
    except (TypeError, ValueError, ArithmeticError):
        return None
    found = round(whole + minutes / 60 + seconds / 3600, 6) if math.isfinite(whole + minutes + seconds) else math.inf
    if not 0 <= found <= most or min(whole, minutes, seconds) < 0:
        return None
    return -found if plain(half) in ("S", "W") else found
