"""Hits as HTML, for notebooks: an image as a thumbnail, a page drawn, audio and video from the second on.

What belongs to a file of this machine is shown; of other hits their names and words are.
"""

from __future__ import annotations

import base64
import html
import io
import mimetypes
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kilonova.errors import KilonovaError
from kilonova.search.query import Hit
from kilonova.segments.files import Kind
from kilonova.storage.files import path_of

__all__ = ["hit_html", "hits_html", "place_of"]

_SIDE = 240  # pixels of a thumbnail
_EMBEDDED_BYTES = 8 << 20  # of a video that is put into the page whole
_PLAYABLE = ("video/mp4", "video/webm")  # by browsers
_RATE = 16_000  # Hz of audio that is put into the page
_SECONDS = 30.0  # of it at most


def hits_html(hits: Sequence[Hit]) -> str:
    """A table with a row for each hit."""
    if not hits:
        return "<p>Nothing was found.</p>"
    return f"<table>{''.join(map(_row, hits))}</table>"


def hit_html(hit: Hit) -> str:
    """A table with one row."""
    return f"<table>{_row(hit)}</table>"


def place_of(payload: Any) -> str:
    """Where in a file: page 3, 0:01:05, character 800, or nothing. Points that others wrote may say it in any form."""
    page, start = payload.get("page"), payload.get("start")
    if isinstance(page, int):
        return f"page {page}"
    if not isinstance(start, int | float):
        return ""
    if payload.get("kind", "") == "text":
        return f"character {start:,}" if start else ""
    minutes, seconds = divmod(int(start), 60)
    return f"{minutes // 60}:{minutes % 60:02}:{seconds:02}" if minutes >= 60 else f"{minutes}:{seconds:02}"


def _row(hit: Hit) -> str:
    payload = hit.payload
    value = hit.similarity if hit.similarity is not None else hit.distance
    facts = [
        f"<b>{html.escape(str(payload.get('name', hit.id)))}</b>",
        html.escape(" ".join(part for part in (hit.kind, place_of(payload)) if part)),
        f"score {hit.score:.4f}" + (f", similarity {value:.3f}" if value is not None else ""),
        html.escape(str(payload.get("snippet") or payload.get("description") or payload.get("title") or "")),
    ]
    words = "<br>".join(fact for fact in facts if fact)
    return f'<tr><td>{_look(hit)}</td><td style="text-align:left">{words}</td></tr>'


def _look(hit: Hit) -> str:
    """What a hit looks or sounds like; nothing where its file is not here or cannot be shown."""
    show = {
        Kind.IMAGE: _image,
        Kind.AUDIO: _audio,
        Kind.VIDEO: _video,
        Kind.DOCUMENT: _page,
    }.get(Kind(hit.kind) if hit.kind in list(Kind) else Kind.TEXT)
    if show is None or not hit.local or not hit.uri or hit.uri.startswith("s3://"):
        return ""
    path = path_of(hit.uri)
    try:
        return show(path, hit.payload) if path.is_file() else ""
    except (KilonovaError, OSError, KeyError, TypeError, ValueError):  # changed since, or a point that others wrote
        return ""


def _image(path: Path, _: Any) -> str:
    from kilonova.media.content import Detail
    from kilonova.media.image import decode

    return _thumbnail(decode(path.read_bytes(), Detail.STANDARD).pixels)


def _page(path: Path, payload: Any) -> str:
    from kilonova.media import document

    if path.suffix.lower() != ".pdf":
        return ""
    number = int(payload["page"]) - 1
    (page,) = document.pages(path, range(number, number + 1))
    return _thumbnail(page.pixels)


def _audio(path: Path, payload: Any) -> str:
    from kilonova.media.peek import audio_at
    from kilonova.media.wav import encode_wav

    start = float(payload["start"])
    content = audio_at(path, start, min(float(payload["end"]), start + _SECONDS), _RATE)
    return f'<audio controls src="{_data("audio/wav", encode_wav(content))}"></audio>'


def _video(path: Path, payload: Any) -> str:
    from kilonova.media.peek import frame_at

    start = float(payload["start"])
    kind = mimetypes.guess_type(path.name)[0]
    if path.stat().st_size > _EMBEDDED_BYTES or kind not in _PLAYABLE:
        return _thumbnail(frame_at(path, start))
    source = _data(kind, path.read_bytes())
    return f'<video controls width="{_SIDE}" onloadedmetadata="this.currentTime={start}" src="{source}"></video>'


def _thumbnail(pixels: np.ndarray) -> str:
    from PIL import Image

    image = Image.fromarray(pixels)
    image.thumbnail((_SIDE, _SIDE))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=80)
    return f'<img src="{_data("image/jpeg", buffer.getvalue())}">'


def _data(kind: str, content: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"
