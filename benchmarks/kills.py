"""kill -9 at random moments of indexing, of jobs and of writes: what was answered is there afterwards.

    python -m benchmarks.kills --index 400 --writes 400 --jobs 200

Everything runs on 127.0.0.1 with the fake model. One line for each kind of work: how often it was killed under way, and
what was lost (0 is right).
"""

from __future__ import annotations

import argparse
import random
import subprocess
import tempfile
import threading
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import numpy as np

from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Point
from kilonova.wire import search as wire
from tests.jobs.test_async_invoke import lines, source, start, wait
from tests.servers import API_KEY, BIN, S3, Kilonova, clean_environment

_FILES, _PARTS = 24, 10
_BATCH, _DIMENSION = 40, 256


def index(kills: int, chance: random.Random) -> str:
    """Kill ``kilonova index``; after each kill every file that is there is whole, and the end is as undisturbed."""
    with tempfile.TemporaryDirectory() as home:
        media = Path(home) / "media"
        media.mkdir()
        killed = broken = 0

        def run(data: str) -> subprocess.Popen[bytes]:
            command = [str(BIN / "kilonova"), "index", str(media), "--model", "fake", "--dimension", "256"]
            return subprocess.Popen(
                [*command, "--data", f"{home}/{data}", "--characters", "100"],
                env=clean_environment(), stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
            )  # fmt: skip

        for turn in range(kills):
            for number in range(_FILES):  # a third of them changes at each turn
                if turn == 0 or number % 3 == turn % 3:
                    text = f"{turn} {number} 灯塔 ".ljust(90, "好") + " "
                    (media / f"{number}.txt").write_text(text * _PARTS)
            process = run("killed")
            time.sleep(chance.uniform(0.5, 2.5))
            killed += process.poll() is None
            process.kill()
            process.wait()
            broken += _torn(Path(home) / "killed" / "collections")
        for data in ("killed", "undisturbed"):
            assert run(data).wait() == 0
        same = _points(Path(home) / "killed") == _points(Path(home) / "undisturbed")
    end = "equals" if same else "DIFFERS FROM"
    return f"index: {kills} kills, {killed} under way; {broken} files torn; the end {end} an undisturbed run"


def _torn(collections: Path) -> int:
    """Files of which some points are there, but not all of one state."""
    if not (collections / "files" / "collection.json").exists():
        return 0
    store = QdrantEdge(collections)
    try:
        files: dict[str, list[Point]] = {}
        for point in store.scroll("files", vectors=False):
            files.setdefault(str(point.payload["uri"]), []).append(point)
    finally:
        store.close()
    return sum(
        not any(
            sum(point.payload["hash"] == state for point in points) == points[0].payload["parts"]
            for state in {point.payload["hash"] for point in points}
        )
        for points in files.values()
    )


def _points(home: Path) -> dict[str, tuple[Any, bytes, str]]:
    store = QdrantEdge(home / "collections")
    try:
        return {
            point.id: ({**point.payload, "stamp": ""}, point.vector.tobytes(), point.text)
            for point in store.scroll("files")
        }
    finally:
        store.close()


@dataclass
class _Writer:
    """Writes batches until it is stopped, and remembers which were answered."""

    url: str
    number: int
    first: int
    answered: list[int] = field(default_factory=list)

    def work(self, stop: threading.Event) -> None:
        vector = wire.encode_vector(np.full(_DIMENSION, 1.0, np.float32))
        batch = self.first
        with httpx.Client(base_url=self.url, headers={"Authorization": f"Bearer {API_KEY}"}, trust_env=False) as http:
            while not stop.is_set():
                points = [
                    {"id": f"{self.number}-{batch}-{row}", "vector": vector, "payload": {"batch": batch}}
                    for row in range(_BATCH)
                ]
                try:
                    answer = http.post("/v1/collections/kills/points", json={"points": points})
                except httpx.HTTPError:
                    return
                if answer.status_code == 200:
                    self.answered.append(batch)
                batch += 1


def writes(kills: int, chance: random.Random) -> str:
    """Kill the server while two clients write; every batch that was answered is whole after the restart."""
    answered = lost = partial = 0
    with tempfile.TemporaryDirectory() as data:
        server = Kilonova("--data", data).__enter__()
        try:
            http = httpx.Client(headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30, trust_env=False)
            body = {"name": "kills", "model": "fake", "dimension": _DIMENSION}
            assert http.post(f"{server.url}/v1/collections", json=body).status_code == 200
            first = 0
            for _ in range(kills):
                stop = threading.Event()
                writers = [_Writer(server.url, number, first) for number in range(2)]
                threads = [threading.Thread(target=writer.work, args=(stop,)) for writer in writers]
                for thread in threads:
                    thread.start()
                time.sleep(chance.uniform(0.0, 0.6))
                server.kill()
                stop.set()
                for thread in threads:
                    thread.join()
                server = Kilonova("--data", data).__enter__()
                ids = [
                    f"{writer.number}-{batch}-{row}"
                    for writer in writers
                    for batch in range(first, first + len(writer.answered) + 2)
                    for row in range(_BATCH)
                ]
                there = set[str]()
                for place in range(0, len(ids), 5_000):
                    answer = http.post(
                        f"{server.url}/v1/collections/kills/points/get", json={"ids": ids[place : place + 5_000]}
                    )
                    there |= {one["id"] for one in answer.json()["points"]}
                for writer in writers:
                    for batch in range(first, first + len(writer.answered) + 2):
                        count = sum(f"{writer.number}-{batch}-{row}" in there for row in range(_BATCH))
                        partial += 0 < count < _BATCH
                        lost += batch in writer.answered and count < _BATCH
                    answered += len(writer.answered)
                first += max(len(writer.answered) for writer in writers) + 2
        finally:
            server.close()
    return f"writes: {kills} kills; {lost} of {answered:,} answered batches of {_BATCH} lost, {partial} partial"


def jobs(kills: int, chance: random.Random) -> str:
    """Kill the server while a job runs; the job completes, and no segment is missing or there twice."""
    complete = right = 0
    with tempfile.TemporaryDirectory() as data, S3() as s3:
        environment = {"KILONOVA_DATA": data, **s3.environment()}
        text = "".join(f"{number} ".ljust(799, "好") + " " for number in range(60))
        s3.client.put_object(Bucket="media", Key="a.txt", Body=text.encode())
        server = Kilonova(environment=environment).__enter__()
        try:
            for turn in range(kills):
                config = {"segmentationConfig": {"maxLengthChars": 800}}
                client = server.wait_ready().client()
                arn = start(client, {"text": {**source("a.txt"), **config}}, f"out{turn}")
                time.sleep(chance.uniform(0.0, 1.0))
                server.kill()
                server = Kilonova(environment=environment).__enter__()
                job = wait(server.wait_ready().client(), arn)
                complete += job["status"] == "Completed"
                found = lines(s3, job, "embedding-text.jsonl")
                right += [line["segmentMetadata"]["segmentIndex"] for line in found] == list(range(60))
        finally:
            server.close()
    return f"jobs: {kills} kills; {complete} completed, {right} with every segment once"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("index", "writes", "jobs"):
        parser.add_argument(f"--{name}", type=int, default=20, help="kills")
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    chance = random.Random(arguments.seed)
    for work, kills in ((index, arguments.index), (writes, arguments.writes), (jobs, arguments.jobs)):
        if kills:
            begin = time.perf_counter()
            print(f"{work(kills, chance)}, in {time.perf_counter() - begin:.0f} s", flush=True)


if __name__ == "__main__":
    main()
