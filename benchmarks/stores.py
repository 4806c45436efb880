"""Speed and recall of the embedded store.

    python -m benchmarks.stores --count 50000 --dimension 1024

Vectors are random on the sphere, or clustered: a thousand centres with noise around them, as embeddings of films and
pages are. Queries are new draws of the same kind.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import tempfile
import time
from pathlib import Path

import numpy as np
import psutil  # type: ignore[import-untyped]

from kilonova.stores.base import Collection, Point
from kilonova.stores.qdrant import QdrantEdge

_QUERIES, _K, _BATCH, _CENTRES = 200, 10, 1_000, 1_000


def draw(kind: str, count: int, dimension: int, rng: np.random.Generator, centres: np.ndarray) -> np.ndarray:
    """Vectors of unit length float32 [count, dimension]."""
    found = rng.normal(size=(count, dimension)).astype(np.float32)
    if kind == "clustered":
        found = centres[rng.integers(len(centres), size=count)] + 0.7 * found / np.sqrt(dimension)
    unit: np.ndarray = found / np.linalg.norm(found, axis=1, keepdims=True)
    return unit


def timed(store: QdrantEdge, queries: np.ndarray, exact: bool) -> tuple[list[list[str]], list[float]]:
    """The ids that each query finds, and the milliseconds it took."""
    found, times = [], []
    for query in queries:
        begin = time.perf_counter()
        hits = store.nearest("bench", query, _K, exact=exact)
        times.append(1_000 * (time.perf_counter() - begin))
        found.append([hit.id for hit in hits])
    return found, sorted(times)


def measure(kind: str, count: int, dimension: int) -> None:
    """Print a block for one kind of vectors."""
    rng = np.random.default_rng(7)
    centres = rng.normal(size=(_CENTRES, dimension)).astype(np.float32) / np.float32(np.sqrt(dimension))
    folder = Path(tempfile.mkdtemp())
    store = QdrantEdge(folder)
    try:
        store.create(Collection("bench", "none", dimension))
        begin = time.perf_counter()
        for first in range(0, count, _BATCH):
            vectors = draw(kind, min(_BATCH, count - first), dimension, rng, centres)
            store.upsert("bench", [Point(str(first + row), vector) for row, vector in enumerate(vectors)])
        written = time.perf_counter()
        store.optimize("bench")
        built = time.perf_counter()
        queries = draw(kind, _QUERIES, dimension, rng, centres)
        timed(store, queries[:20], exact=True)
        right, slow = timed(store, queries, exact=True)
        found, fast = timed(store, queries, exact=False)
        recall = statistics.mean(len(set(a) & set(b)) / _K for a, b in zip(right, found, strict=True))
        size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
        print(f"{kind}: {count:,} vectors of {dimension:,} numbers")
        print(f"  written in {written - begin:.0f} s, index built in {built - written:.0f} s, {size / 1e6:,.0f} MB")
        for name, times in (("exact", slow), ("index", fast)):
            print(f"  {name}: p50 {statistics.median(times):.2f} ms, p95 {times[int(0.95 * len(times))]:.2f} ms")
        memory = psutil.Process().memory_info().rss / 1e6
        print(f"  recall@{_K} of the index {recall:.3f}; memory {memory:,.0f} MB", flush=True)
    finally:
        store.close()
        shutil.rmtree(folder)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=1_024)
    parser.add_argument("--kinds", nargs="+", default=["random", "clustered"])
    options = parser.parse_args()
    for kind in options.kinds:
        measure(kind, options.count, options.dimension)


if __name__ == "__main__":
    main()
