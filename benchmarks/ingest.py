"""Indexing a folder of small images against only embedding them, and how busy the cores are.

    python -m benchmarks.ingest --count 2000

Images are 320 x 240 JPEG files of coloured noise, each a different one; both runs have the built-in model loaded and
their caches off. Embedding hands the engine the files' bytes, 64 at a time.
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import psutil
from PIL import Image

from kilonova.engine.engine import Engine
from kilonova.engine.patience import embed_patiently
from kilonova.media.content import Encoded, Modality
from kilonova.models.card import Purpose
from kilonova.search.ingest import ingest
from kilonova.segments.listing import look
from kilonova.segments.segment import Plan
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection

_DIMENSION, _AT_ONCE = 1_024, 64


def write(folder: Path, count: int) -> None:
    """Files that no encoder makes tiny and no cache knows."""
    rng = np.random.default_rng(1)
    for number in range(count):
        coarse = rng.integers(0, 256, (12, 16, 3), np.uint8)
        picture = Image.fromarray(coarse).resize((320, 240), Image.Resampling.BICUBIC)
        picture.save(folder / f"{number:05}.jpg", quality=85)


async def embedding(engine: Engine, paths: Sequence[Path]) -> float:
    """Seconds for embedding the files."""
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(path: Path) -> None:
        async with places:
            content = Encoded(Modality.IMAGE, await asyncio.to_thread(path.read_bytes), "jpeg")
            await embed_patiently(engine, content, Purpose.GENERIC_INDEX, _DIMENSION)

    begin = time.perf_counter()
    await asyncio.gather(*(one(path) for path in paths))
    return time.perf_counter() - begin


async def indexing(engine: Engine, folder: Path, store: QdrantEdge) -> float:
    """Seconds for indexing them."""
    made = Collection("bench", engine.card.id, _DIMENSION)
    store.create(made)
    begin = time.perf_counter()
    tally = await ingest(store, made, engine, look([str(folder)]), plan=Plan())
    assert not tally.failed
    return time.perf_counter() - begin


async def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=2_000)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as home:
        folder = Path(home) / "images"
        folder.mkdir()
        write(folder, options.count)
        paths = sorted(folder.iterdir())
        store = QdrantEdge(Path(home) / "collections")
        async with Engine("kilonova-mini") as engine:
            await engine.ready()
            seconds = []
            for name, work in (("embedding", embedding(engine, paths)), ("indexing", indexing(engine, folder, store))):
                psutil.cpu_percent()
                seconds.append(await work)
                busy = psutil.cpu_percent()
                rate = options.count / seconds[-1]
                print(f"{name}: {seconds[-1]:.1f} s, {rate:.1f} images a second, cores {busy:.0f} % busy", flush=True)
            print(f"indexing takes {seconds[1] / seconds[0]:.3f} times as long")
        store.close()


if __name__ == "__main__":
    asyncio.run(main())
