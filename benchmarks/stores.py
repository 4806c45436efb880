"""Speed, recall and size of stores of vectors, each built and searched in the same run.

    python -m benchmarks.stores                                            # 50,000 vectors of 1,024 numbers
    python -m benchmarks.stores --count 1000000 --dimension 256
    python -m benchmarks.stores --stores edge --http                       # the same searches through a server

Vectors are random on the sphere, or clustered: a thousand centres with noise around them, as embeddings of films and
pages are. Queries are new draws of the same kind. Each store is searched in a process of its own, whose memory is told
before vectors are written and after the searches.
"""

from __future__ import annotations

import argparse
import multiprocessing
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import numpy as np
import psutil

from kilonova.client.remote import Remote
from kilonova.credentials.credential import Credential
from kilonova.stores import registry
from kilonova.stores.base import Collection, Point, VectorStore

_QUERIES, _K, _BATCH, _CENTRES = 200, 10, 1_000, 1_000
_SETTLED = 5  # seconds until a server has loaded what it loads after it is ready


class Draw:
    """Vectors of one kind, always the same ones."""

    def __init__(self, kind: str, dimension: int) -> None:
        self._kind, self._dimension, self._rng = kind, dimension, np.random.default_rng(7)
        self._centres = self._normal(_CENTRES) / np.float32(np.sqrt(dimension))

    def __call__(self, count: int) -> np.ndarray:
        """Vectors of unit length float32 [count, dimension]."""
        found = self._normal(count)
        if self._kind == "clustered":
            found = self._centres[self._rng.integers(_CENTRES, size=count)] + 0.7 * found / np.sqrt(self._dimension)
        unit: np.ndarray = (found / np.linalg.norm(found, axis=1, keepdims=True)).astype(np.float32)
        return unit

    def _normal(self, count: int) -> np.ndarray:
        return self._rng.standard_normal((count, self._dimension), np.float32)


def timed(store: VectorStore, queries: np.ndarray, exact: bool) -> tuple[list[list[str]], list[float]]:
    """The ids that each query finds, and the milliseconds it took, sorted."""
    found, times = [], []
    for query in queries:
        begin = time.perf_counter()
        hits = store.nearest("bench", query, _K, exact=exact)
        times.append(1_000 * (time.perf_counter() - begin))
        found.append([hit.id for hit in hits])
    return found, sorted(times)


def measure(address: str, folder: Path, kind: str, count: int, dimension: int, http: bool) -> None:
    """Print a block for one store and one kind of vectors."""
    draw, process = Draw(kind, dimension), psutil.Process()
    store = registry.open_store(address.replace("FOLDER", str(folder)))
    before = process.memory_info().rss
    store.create(Collection("bench", "fake", dimension))
    writing = 0.0
    for first in range(0, count, _BATCH):
        points = [Point(str(first + row), one) for row, one in enumerate(draw(min(_BATCH, count - first)))]
        begin = time.perf_counter()
        store.upsert("bench", points)
        writing += time.perf_counter() - begin
    begin = time.perf_counter()
    store.optimize("bench")
    building = time.perf_counter() - begin
    queries = draw(_QUERIES)
    timed(store, queries[:20], exact=True)
    right, slow = timed(store, queries, exact=True)
    found, fast = timed(store, queries, exact=False)
    recall = statistics.mean(len(set(a) & set(b)) / _K for a, b in zip(right, found, strict=True))
    memory = process.memory_info().rss - before
    store.close()
    size = sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())
    print(f"{address}, {kind}: {count:,} vectors of {dimension:,} numbers")
    print(f"  written in {writing:.0f} s, index built in {building:.0f} s; {size / 1e6:,.0f} MB on disk", end="")
    print(f", {memory / 1e6:,.0f} MB in memory; recall@{_K} of the index {recall:.3f}")
    rows = [("exact", slow), ("index", fast)]
    if http:
        with served(folder) as remote:
            timed(remote, queries, exact=False)
            rows.append(("index through HTTP", timed(remote, queries, exact=False)[1]))
    for name, times in rows:
        print(
            f"  {name}: p50 {statistics.median(times):.2f} ms, p95 {times[int(0.95 * len(times))]:.2f} ms", flush=True
        )


@contextmanager
def served(folder: Path) -> Iterator[VectorStore]:
    """The embedded store in a folder, through `kilonova serve`."""
    command = [str(Path(sys.executable).with_name("kilonova")), "serve", "--port", "0", "--model", "fake"]
    variables = {**os.environ, "KILONOVA_API_KEYS": "bench"}
    process = subprocess.Popen(
        [*command, "--store", f"edge:{folder}"], env=variables, stderr=subprocess.PIPE, text=True
    )
    assert process.stderr is not None
    try:
        url = process.stderr.readline().split()[-1]
        process.stderr.readline()  # ready
        time.sleep(_SETTLED)
        remote = Remote(url, Credential("bench", api_key="bench"))
        yield remote
        remote.close()
    finally:
        process.terminate()
        process.wait()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--count", type=int, default=50_000)
    parser.add_argument("--dimension", type=int, default=1_024)
    parser.add_argument("--kinds", nargs="+", default=["random", "clustered"])
    parser.add_argument("--stores", nargs="+", default=["edge", "faiss"], help="addresses; FOLDER is put in")
    parser.add_argument("--http", action="store_true")
    options = parser.parse_args()
    short = {"edge": "edge:FOLDER", "faiss": "faiss:FOLDER?index=hnsw"}
    for kind in options.kinds:
        for name in options.stores:
            folder = Path(tempfile.mkdtemp())
            try:
                arguments = (short.get(name, name), folder, kind, options.count, options.dimension, options.http)
                process = multiprocessing.get_context("spawn").Process(target=measure, args=arguments)
                process.start()
                process.join()
            finally:
                shutil.rmtree(folder)


if __name__ == "__main__":
    main()
