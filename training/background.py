"""Vectors of usual texts, photographs and sounds by the finished model (``kilonova.models.background``).

python -m training.background --shared ../shared/data --work /tmp/kilonova-training
"""

from __future__ import annotations

import argparse
import asyncio
import io
from pathlib import Path
from typing import TypeVar

import numpy as np
from PIL import Image

from kilonova.engine.engine import Engine
from kilonova.engine.patience import embed_patiently
from kilonova.media.content import Audio, Content, Encoded, Modality, Text
from kilonova.models.card import Purpose
from training import audio_data, questions, sources

_SEED, _DIMENSION, _RATE, _SECONDS = 1, 3072, 32_000, 5.0
_LANGUAGES = ("en", "zh-cn", "de", "fr", "it", "ja", "ko", "nl")

T = TypeVar("T")


def contents(work: Path, shared: Path) -> dict[str, list[Content | Encoded]]:
    """Captions and answers of the Debian FAQ; photographs and stamps; sounds of kitchens. None is measured with,
    the answers excepted, which searching for texts alone does not compare with this."""
    rng = np.random.default_rng(_SEED)

    def some(items: list[T], count: int) -> list[T]:
        return [items[index] for index in rng.permutation(len(items))[:count]]

    photographs = [picture for picture in sources.flickr8k(shared) if picture.split != "test"]
    stamps = [picture for picture in sources.stamps(work) if picture.split != "test"]
    texts = [captions[0] for picture in some(photographs, 20) for captions in picture.captions.values()]
    for language in _LANGUAGES:
        texts += [answer[:800] for _, answer in some(questions.faq(work, language), 20)]
    images = [picture.path for picture in some(photographs, 130) + some(stamps, 62)]
    clips = [path for path, _ in some(list(audio_data.kitchen20(shared, (1, 2, 3))), 70)]
    return {
        "text": [Text(text) for text in texts],
        "image": [_encoded(path) for path in images],
        "audio": [Audio(audio_data.read(path, _SECONDS).astype(np.float32), _RATE) for path in clips],
    }


def _encoded(path: Path) -> Encoded:
    buffer = io.BytesIO()
    with Image.open(path) as image:
        image.convert("RGB").save(buffer, "jpeg", quality=95)
    return Encoded(Modality.IMAGE, buffer.getvalue())


async def vectors(found: dict[str, list[Content | Encoded]]) -> dict[str, np.ndarray]:
    """float16 [n, 3072] by modality."""
    async with Engine("kilonova-mini", queue=600) as engine:
        await engine.ready()
        return {
            name: np.stack(
                [
                    one.vector
                    for one in await asyncio.gather(
                        *(embed_patiently(engine, item, Purpose.GENERIC_INDEX, _DIMENSION) for item in items)
                    )
                ]
            ).astype(np.float16)
            for name, items in found.items()
        }


def main() -> None:
    """Write background.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="Folder of the data, see training/README.md.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--out", type=Path, default=Path("weights/kilonova-mini/kilonova_mini"))
    options = parser.parse_args()
    made = asyncio.run(vectors(contents(options.work, options.shared)))
    np.savez(options.out / "background.npz", **made)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
