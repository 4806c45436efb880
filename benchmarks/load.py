"""10,000 mixed requests by 16 clients: texts, images, audio, video, search, lists, and some that are wrong.

    python -m benchmarks.load --requests 10000

starts a server of kilonova-mini on 127.0.0.1 and prints one line: rate, latencies, answers of 5xx, and what the server
holds before and after.
"""

from __future__ import annotations

import argparse
import base64
import json
import random
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import httpx
import numpy as np
import psutil

from tests import samples
from tests.servers import API_KEY, NOVA, Kilonova

_CLIENTS = 16


def _requests(count: int, seed: int) -> list[tuple[str, dict[str, object]]]:
    chance = random.Random(seed)
    media = {
        "image": ("jpeg", samples.image("jpeg", 320, 240)),
        "audio": ("wav", samples.audio("wav", 2.0)),
        "video": ("mp4", samples.video("mp4", 2.0)),
    }

    def single(**params: object) -> tuple[str, dict[str, object]]:
        given = {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 1024, **params}
        return f"/model/{NOVA}/invoke", {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": given}

    def one(number: int) -> tuple[str, dict[str, object]]:
        kind = chance.choices(["text", "image", "audio", "video", "search", "wrong"], [70, 8, 4, 1, 12, 5])[0]
        if kind in media:
            form, data = media[kind]
            return single(**{kind: {"format": form, "source": {"bytes": base64.b64encode(data).decode()}}})
        if kind == "text":
            return single(text={"truncationMode": "END", "value": f"第 {number} 座灯塔 lighthouse " * 3})
        if kind == "search":
            return "/v1/search", {"collection": "load", "text": f"灯塔 {number}", "limit": 10}
        return single(text={"value": ""})

    return [one(number) for number in range(count)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=10_000)
    arguments = parser.parse_args()
    statuses: Counter[int] = Counter()
    seconds: list[float] = []
    with Kilonova(model="kilonova-mini") as server:
        server.wait_ready()
        headers = {"Authorization": f"Bearer {API_KEY}"}
        limits = httpx.Limits(max_connections=_CLIENTS)
        with httpx.Client(base_url=server.url, headers=headers, timeout=120, trust_env=False, limits=limits) as http:
            assert http.post("/v1/collections", json={"name": "load", "model": "kilonova-mini"}).status_code == 200
            process = psutil.Process(server.process.pid)

            def call(request: tuple[str, dict[str, object]]) -> None:
                begin = time.perf_counter()
                statuses[http.post(request[0], content=json.dumps(request[1])).status_code] += 1
                seconds.append(time.perf_counter() - begin)

            for request in _requests(50, 0):
                call(request)
            statuses.clear()
            seconds.clear()
            before = process.memory_info().rss, process.num_fds()
            begin = time.perf_counter()
            with ThreadPoolExecutor(_CLIENTS) as pool:
                list(pool.map(call, _requests(arguments.requests, 1)))
            took = time.perf_counter() - begin
            after = process.memory_info().rss, process.num_fds()
            zombies = sum(child.status() == psutil.STATUS_ZOMBIE for child in process.children(recursive=True))
    print(
        f"{arguments.requests:,} requests, {_CLIENTS} clients: {arguments.requests / took:.0f}/s, "
        f"p50 {np.percentile(seconds, 50) * 1e3:.0f} ms, p99 {np.percentile(seconds, 99) * 1e3:.0f} ms; "
        f"{dict(sorted(statuses.items()))}; server {before[0] >> 20} -> {after[0] >> 20} MB, "
        f"descriptors {before[1]} -> {after[1]}, {zombies} zombies"
    )


if __name__ == "__main__":
    main()
