"""Features of the frozen towers, computed once and kept in the work folder: float16 arrays beside their keys."""

from __future__ import annotations

import hashlib
import zlib
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
from PIL import Image, ImageOps
from rich.progress import track

from kilonova.media.image import flatten
from kilonova.models.mini.audio import AudioTower, hear
from kilonova.models.mini.image import ImageTower, Squares, squares
from kilonova.models.mini.text import WIDTH, TextTower, add_spaces, open_tokenizer
from training.audio_data import RATE

__all__ = ["Change", "Features", "cached", "cropped", "image_features", "mirrored", "sound_features", "text_features"]

Features = dict[str, np.ndarray]
Change = Callable[[Image.Image, Path], Image.Image]


def mirrored(image: Image.Image, path: Path) -> Image.Image:
    """The image, left and right exchanged."""
    return ImageOps.mirror(image)


def cropped(image: Image.Image, path: Path) -> Image.Image:
    """A part of 45 to 90 % of the image, every second time mirrored; which, the file's name decides."""
    rng = np.random.default_rng([1, zlib.crc32(path.name.encode())])
    if rng.random() < 0.5:
        image = ImageOps.mirror(image)
    area, shape = rng.uniform(0.45, 0.9), np.exp(rng.uniform(-0.25, 0.25))
    width = min(image.width, int(image.width * np.sqrt(area) * shape))
    height = min(image.height, int(image.height * np.sqrt(area) / shape))
    left, top = rng.integers(image.width - width + 1), rng.integers(image.height - height + 1)
    return image.crop((int(left), int(top), int(left) + width, int(top) + height))


def image_features(weights: Path, paths: Sequence[Path], change: Change | None = None) -> Features:
    """``pooled`` [n, 2048], ``tokens`` [n, 36, 384] and ``classes`` [n, 1000] of image files, changed if wanted."""
    tower = ImageTower(weights)

    def load(path: Path) -> Squares:
        with Image.open(path) as image:
            whole = flatten(image)
            return squares(np.asarray(change(whole, path) if change is not None else whole))

    with ThreadPoolExecutor(2) as pool:
        starts = track(range(0, len(paths), 16), "images")
        parts = [tower(list(pool.map(load, paths[first : first + 16]))) for first in starts]
    names = ("pooled", "tokens", "classes")
    return {name: np.concatenate([getattr(part, name) for part in parts]).astype(np.float16) for name in names}


def text_features(weights: Path, texts: Sequence[str], prompt: str) -> Features:
    """``pooled`` [n, 384] of texts after a prompt, as the text tower reads them."""
    tokenizer, tower = open_tokenizer(weights), TextTower(weights)
    ids = [tokenizer.encode(prompt + add_spaces(text)) for text in texts]
    order = sorted(range(len(ids)), key=lambda index: len(ids[index]))
    vectors = np.zeros((len(ids), WIDTH), np.float16)
    for first in track(range(0, len(order), 256), f"texts ({prompt.strip()})"):
        rows = order[first : first + 256]
        vectors[rows] = tower([ids[row] for row in rows])
    return {"pooled": vectors}


def sound_features(weights: Path, sounds: Sequence[np.ndarray], seed: int) -> Features:
    """``pooled``, ``texture`` and ``classes`` [n, 2, …] of two cuts of five seconds of sounds int16 [samples].

    Sounds shorter than that are read whole, the second time louder or quieter.
    """
    tower, rng, size = AudioTower(weights), np.random.default_rng(seed), 5 * RATE
    parts = []
    for whole in track(sounds, "sounds"):
        sound, cuts = whole.astype(np.float32) / 32768, []
        for _ in range(2):
            start = int(rng.integers(max(1, len(sound) - size)))
            cuts.append(hear(sound[start : start + size] * np.float32(10 ** rng.uniform(-0.5, 0.2))))
        parts.append(tower(cuts))
    names = ("pooled", "texture", "classes")
    return {name: np.stack([getattr(part, name) for part in parts]) for name in names}


def cached(folder: Path, name: str, keys: Iterable[str], make: Callable[[], Features]) -> Features:
    """What ``make`` gives, kept as ``name-<hash of the keys>`` in the folder."""
    digest = hashlib.blake2b("\n".join(keys).encode(), digest_size=6).hexdigest()
    place = folder / f"{name}-{digest}.npz"
    if not place.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        part = place.with_suffix(".part.npz")
        np.savez(part, **make())  # type: ignore[arg-type]
        part.rename(place)
    with np.load(place) as found:
        return dict(found)
