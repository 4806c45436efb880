"""How fast a model is on this machine: measured when asked for, and kept in ``speeds.json`` of the data folder.

The file is a JSON object: the model's id, to what was measured and ``date``.
"""

from __future__ import annotations

import asyncio
import datetime
import io
import json
from collections.abc import Sequence
from time import perf_counter

import numpy as np

from kilonova import _home
from kilonova.engine.engine import Engine
from kilonova.media.content import Audio, Encoded, Modality, Text
from kilonova.media.wav import encode_wav
from kilonova.models.card import Purpose

__all__ = ["keep", "measure", "read_speeds"]

_TEXT = "日落时分的海滩，一只狗在叫。A dog barks on the beach at sunset."
_TEXTS, _IMAGES, _CLIPS, _CLIP_SECONDS = 64, 8, 4, 10
_NAMES = {
    Modality.TEXT: "short texts a second",
    Modality.IMAGE: "images of 768 x 512 a second",
    Modality.AUDIO: "seconds of audio a second",
}


async def measure(model: str) -> dict[str, float | str]:
    """Load a model, embed short texts, photographs and audio, all of a kind at once, files as they come.

    Raises:
        kilonova.errors.KilonovaError: it cannot be loaded, or fails.
    """
    random = np.random.default_rng(0)
    found: dict[str, float | str] = {}
    async with Engine(model, queue=_TEXTS, batch_seconds=600) as engine:
        await engine.ready()
        inputs: dict[Modality, Sequence[Text | Encoded]] = {
            Modality.TEXT: [Text(f"{number} {_TEXT}") for number in range(_TEXTS)],
            Modality.IMAGE: [Encoded(Modality.IMAGE, _image(random)) for _ in range(_IMAGES)],
            Modality.AUDIO: [Encoded(Modality.AUDIO, _clip(random)) for _ in range(_CLIPS)],
        }
        for modality, items in inputs.items():
            if modality not in engine.card.modalities:
                continue
            await engine.embed(items[0], Purpose.GENERIC_INDEX, 256)
            begin = perf_counter()
            await asyncio.gather(*(engine.embed(one, Purpose.GENERIC_INDEX, 256) for one in items))
            took = perf_counter() - begin
            amount = len(items) * (_CLIP_SECONDS if modality is Modality.AUDIO else 1)
            found[_NAMES[modality]] = float(f"{amount / took:.3g}")
    return {**found, "date": datetime.date.today().isoformat()}


def read_speeds() -> dict[str, dict[str, float | str]]:
    """What was measured on this machine, by model."""
    path = _home.data() / "speeds.json"
    found: dict[str, dict[str, float | str]] = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    return found


def keep(model: str, speed: dict[str, float | str]) -> None:
    """Note what was measured; what was known of that model before is replaced."""
    path = _home.data() / "speeds.json"
    path.parent.mkdir(parents=True, exist_ok=True)
    _home.replace_file(path, json.dumps({**read_speeds(), model: speed}, ensure_ascii=False, indent=2))


def _image(random: np.random.Generator) -> bytes:
    from PIL import Image

    small = Image.fromarray(random.integers(0, 256, (16, 24, 3), np.uint8))
    out = io.BytesIO()
    small.resize((768, 512), Image.Resampling.BICUBIC).save(out, "jpeg", quality=90)
    return out.getvalue()


def _clip(random: np.random.Generator) -> bytes:
    return encode_wav(Audio(random.uniform(-0.1, 0.1, 32_000 * _CLIP_SECONDS).astype(np.float32), 32_000))
