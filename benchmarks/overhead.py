"""What the server adds to the model: latency with one client, throughput with 32.

Both sides are measured in one run, in turns, with the same texts: the model called directly in a process of
its own, and requests signed beforehand over kept-alive connections to `kilonova serve`.

    python benchmarks/overhead.py [--seconds 10] [--rounds 3]
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import botocore.auth
import botocore.awsrequest
import botocore.credentials

from kilonova.storage.local import free_port

MODEL = "kilonova-mini"
TEXTS = [
    "how much protein does an adult need per day",
    "日落时分的海滩，两个孩子在放风筝",
    "A dog runs across the snow with a stick in its mouth.",
    "请问最近的地铁站怎么走？",
    "The committee approved the budget for the next two years.",
    "小狗在院子里追着一只红色的球跑来跑去",
    "Boil the pasta for nine minutes, then drain it well.",
    "本合同自双方签字之日起生效，有效期三年。",
]
KEYS = ("AKIDBENCHMARK", "benchmark-secret")
CLIENTS = 32


def request(text: str, port: int) -> bytes:
    """A signed HTTP request, ready to be sent."""
    body = json.dumps(
        {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "embeddingDimension": 1024,
                "text": {"truncationMode": "END", "value": text},
            },
        }
    ).encode()
    path = "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke"
    aws = botocore.awsrequest.AWSRequest(
        "POST", f"http://127.0.0.1:{port}{path}", {"Content-Type": "application/json"}, body
    )
    botocore.auth.SigV4Auth(botocore.credentials.Credentials(*KEYS), "bedrock", "us-east-1").add_auth(aws)
    lines = [f"POST {path} HTTP/1.1", f"Host: 127.0.0.1:{port}", f"Content-Length: {len(body)}"]
    lines += [f"{name}: {value}" for name, value in aws.headers.items()]
    return "\r\n".join(lines).encode() + b"\r\n\r\n" + body


async def client(port: int, requests: list[bytes], until: float, times: list[float]) -> None:
    """Send requests one after the other until the time is up; note how long each took."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    index = 0
    while time.perf_counter() < until:
        begin = time.perf_counter()
        writer.write(requests[index % len(requests)])
        head = await reader.readuntil(b"\r\n\r\n")
        if not head.startswith(b"HTTP/1.1 200"):
            raise SystemExit(head.decode())
        length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
        await reader.readexactly(length)
        times.append(time.perf_counter() - begin)
        index += 1
    writer.close()


def one_client(port: int, seconds: float) -> list[float]:
    """Times of one client on a plain socket, whose own cost is as small as Python allows."""
    requests = [request(text, port) for text in TEXTS]
    times: list[float] = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        until = time.perf_counter() + seconds
        while time.perf_counter() < until:
            begin = time.perf_counter()
            connection.sendall(requests[len(times) % len(requests)])
            answer = connection.recv(65536)
            head, _, body = answer.partition(b"\r\n\r\n")
            length = int(head.lower().partition(b"content-length: ")[2].partition(b"\r\n")[0])
            missing = length - len(body)
            while missing:
                missing -= len(connection.recv(missing))
            times.append(time.perf_counter() - begin)
            if not head.startswith(b"HTTP/1.1 200"):
                raise SystemExit(head.decode())
    return times


async def served(port: int, clients: int, seconds: float) -> list[float]:
    requests = [request(text, port) for text in TEXTS]
    times: list[float] = []
    until = time.perf_counter() + seconds
    await asyncio.gather(*(client(port, requests, until, times) for _ in range(clients)))
    return times


FORWARD = """
import json, sys, time
from kilonova.media.content import Text
from kilonova.models import registry
from kilonova.models.card import Purpose
model, texts = registry.load(sys.argv[1]), json.loads(sys.argv[2])
def run(batch):
    items = [(Text(texts[i % len(texts)]), Purpose.GENERIC_INDEX) for i in range(batch)]
    model.embed([model.prepare(*item) for item in items])
for line in sys.stdin:
    batch, seconds = json.loads(line)
    times, until, index = [], time.perf_counter() + seconds, 0
    while time.perf_counter() < until:
        begin = time.perf_counter()
        if batch == 1:
            model.embed([model.prepare(Text(texts[index % len(texts)]), Purpose.GENERIC_INDEX)])
        else:
            run(batch)
        times.append(time.perf_counter() - begin)
        index += 1
    print(json.dumps(times), flush=True)
"""


class Direct:
    """The model alone, in a process of its own."""

    def __init__(self) -> None:
        command = [sys.executable, "-c", FORWARD, MODEL, json.dumps(TEXTS)]
        self._process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)

    def run(self, batch: int, seconds: float) -> list[float]:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(json.dumps([batch, seconds]), file=self._process.stdin, flush=True)
        times: list[float] = json.loads(self._process.stdout.readline())
        return times

    def close(self) -> None:
        self._process.kill()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=10)
    parser.add_argument("--rounds", type=int, default=3)
    options = parser.parse_args()
    seconds = options.seconds
    port = free_port()
    home = tempfile.mkdtemp()
    environment = {**os.environ, "KILONOVA_HOME": home, "KILONOVA_CREDENTIALS": ":".join(KEYS)}
    command = [str(Path(sys.executable).with_name("kilonova")), "serve", "--port", str(port), "--model", MODEL]
    server = subprocess.Popen(command, env=environment, stderr=subprocess.DEVNULL)
    direct = Direct()
    try:
        time.sleep(5)
        direct.run(1, 2)
        asyncio.run(served(port, 4, 2))
        alone: list[float] = []
        through: list[float] = []
        for _ in range(options.rounds * 4):  # short turns: this machine's speed drifts within seconds
            alone += direct.run(1, seconds / 4)
            through += one_client(port, seconds / 4)
        low, high = statistics.median(alone) * 1000, statistics.median(through) * 1000
        print(f"one client, p50: model {low:.2f} ms, server {high:.2f} ms, difference {high - low:.2f} ms")
        best: dict[int, list[float]] = {}
        rates: list[float] = []
        for _ in range(options.rounds):
            for batch in (8, 16, 32):
                times = direct.run(batch, seconds / 3)
                best.setdefault(batch, []).append(batch * len(times) / sum(times))
            rates.append(len(asyncio.run(served(port, CLIENTS, seconds))) / seconds)
        batch, direct_rate = max(((b, statistics.median(r)) for b, r in best.items()), key=lambda pair: pair[1])
        rate = statistics.median(rates)
        print(
            f"{CLIENTS} clients: model {direct_rate:.0f} texts/s in batches of {batch}, "
            f"server {rate:.0f} texts/s ({rate / direct_rate:.0%})"
        )
    finally:
        server.terminate()
        server.wait()
        direct.close()


if __name__ == "__main__":
    main()
