"""What a running server does around requests: health, metrics, logs, memory, callers that leave."""

import asyncio
import base64
import json
import os
import re
import signal
import socket
import subprocess
import threading
import time
import urllib.error
from collections.abc import Iterator, MutableMapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import PIL.Image
import psutil
import pytest

from kilonova.credentials.credential import Credential
from kilonova.jobs.service import JobSettings
from kilonova.server.app import ServerSettings, create_app
from tests.samples import encode
from tests.servers import API_KEY, NOVA, SECRET_KEY, Kilonova, invoke

HEADERS = {"authorization": f"Bearer {API_KEY}"}
PATH = f"/model/{NOVA.replace(':', '%3A')}/invoke"


def body(**params: object) -> bytes:
    return json.dumps(
        {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", **params}}
    ).encode()


@pytest.fixture
def server() -> Iterator[Kilonova]:
    with Kilonova("--log-level", "info", "--cache-mb", "1", "--batch-seconds", "2", "--max-mb", "64") as found:
        yield found.wait_ready()


def metric(server: Kilonova, name: str, **labels: str) -> float:
    total = 0.0
    for line in server.get("/metrics").decode().splitlines():
        if match := re.fullmatch(rf"{name}(?:{{(.*)}})? (\S+)", line):
            found = dict(re.findall(r'(\w+)="([^"]*)"', match[1] or ""))
            if labels.items() <= found.items():
                total += float(match[2])
    return total


def test_health_follows_the_worker(server: Kilonova) -> None:
    assert json.loads(server.get("/livez")) == {"status": "ok"}
    assert json.loads(server.get("/readyz")) == {"status": "ok", "models": {"fake": "ready"}}
    [worker] = [
        child for child in psutil.Process(server.process.pid).children() if "worker" in " ".join(child.cmdline())
    ]
    worker.suspend()  # hangs: alive for the process table, dead for everybody else
    with pytest.raises(urllib.error.HTTPError) as caught:
        server.get("/readyz")
    assert caught.value.code == 503
    assert json.loads(server.get("/livez")) == {"status": "ok"}
    server.wait_ready()  # the hanging worker was killed and replaced
    assert not psutil.pid_exists(worker.pid) or worker.status() == psutil.STATUS_ZOMBIE
    assert metric(server, "kilonova_worker_restarts_total", model="fake") >= 1


def test_metrics_count(server: Kilonova) -> None:
    client = server.client()
    picture = {
        "format": "png",
        "source": {"bytes": base64.b64encode(encode(PIL.Image.new("RGB", (9, 9)), "png")).decode()},
    }
    for _ in range(3):
        invoke(client, text={"value": "again"})
    invoke(client, image=picture)
    with pytest.raises(client.exceptions.ValidationException):
        invoke(client)
    assert metric(server, "kilonova_requests_total", operation="InvokeModel", modality="text", status="200") == 3
    assert metric(server, "kilonova_requests_total", modality="image", status="200") == 1
    assert metric(server, "kilonova_errors_total", error="ValidationException") == 1
    assert metric(server, "kilonova_request_seconds_count", modality="text") == 3
    assert metric(server, "kilonova_batch_size_count", modality="image") == 1
    for name in ("decode", "model", "queue"):
        assert metric(server, f"kilonova_{name}_seconds_count", modality="image") == 1
    assert metric(server, "kilonova_cache_requests_total", result="hit") == 2
    assert metric(server, "kilonova_cache_requests_total", result="miss") == 2
    assert metric(server, "kilonova_queue_depth") == 0


def test_logs_have_the_request_id_and_never_content_or_credentials(server: Kilonova) -> None:
    answer = httpx.post(server.url + PATH, content=body(text={"value": "绝密的文字"}), headers=HEADERS)
    httpx.post(server.url + PATH, content=b'{"topsecret": 1}', headers=HEADERS)
    httpx.post(
        server.url + PATH, content=body(text={"value": "绝密的文字"}), headers={"authorization": "Bearer wrong-key"}
    )
    invoke(server.client(), text={"value": "绝密的文字"})
    lines = [json.loads(line) for line in server.log.read_text().splitlines() if line.startswith("{")]
    by_id = {line.get("request_id"): line for line in lines}
    line = by_id[answer.headers["x-amzn-requestid"]]
    assert (line["status"], line["operation"], line["modality"], line["caller"]) == (
        200,
        "InvokeModel",
        "text",
        "tests",
    )
    assert line["milliseconds"] > 0
    assert {line["error"] for line in lines} == {"", "ValidationException", "AccessDeniedException"}
    log = server.log.read_text()
    assert not any(secret in log for secret in ("绝密", "topsecret", API_KEY, SECRET_KEY, "wrong-key"))


def test_a_caller_that_leaves_takes_its_work_along(server: Kilonova) -> None:
    before = metric(server, "kilonova_batch_size_sum", modality="text")
    client = server.client()
    with ThreadPoolExecutor(1) as pool:
        blocker = pool.submit(invoke, client, text={"value": "fake: hang"})
        time.sleep(0.1)
        for _ in range(5):
            _send_and_leave(server)
        with pytest.raises(client.exceptions.ModelTimeoutException):
            blocker.result()
    server.wait_ready()
    assert metric(server, "kilonova_batch_size_sum", modality="text") == before + 2  # the blocker and a probe
    assert metric(server, "kilonova_errors_total", error="ClientDisconnect") == 5


def _send_and_leave(server: Kilonova) -> None:
    request = body(text={"value": "leaving"})
    head = f"POST {PATH} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n"
    head += f"Content-Length: {len(request)}\r\n\r\n"
    with socket.create_connection(("127.0.0.1", server.port)) as connection:
        connection.sendall(head.encode() + request)
        time.sleep(0.05)


def test_a_body_that_never_comes_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kilonova.server.operation._BODY_SECONDS", 0.2)
    app = create_app(ServerSettings(["fake"], [Credential("tests", api_key="key")], JobSettings(tmp_path)))
    headers = [(b"authorization", b"Bearer key"), (b"content-length", b"100"), (b"host", b"x")]
    path = "/v1/embeddings"
    scope = {
        "type": "http",
        "method": "POST",
        "path": path,
        "query_string": b"",
        "headers": headers,
        "http_version": "1.1",
    }
    sent: list[MutableMapping[str, Any]] = []

    async def receive() -> dict[str, Any]:
        if not sent:
            await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    assert sent[0]["status"] == 400
    assert b"did not arrive within 0.2 s" in sent[1]["body"]


def resident(process: psutil.Process) -> int:
    return int(process.memory_info().rss)


class Peak:
    """The most memory a process held while the block ran, above what it held before, in bytes."""

    def __init__(self, pid: int) -> None:
        self._process = psutil.Process(pid)

    def __enter__(self) -> "Peak":
        self._start = self.most = resident(self._process)
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._done.set()
        self._thread.join()
        self.growth = self.most - self._start

    def _watch(self) -> None:
        while not self._done.wait(0.002):
            self.most = max(self.most, resident(self._process))


def noise(megabytes: float) -> str:
    """A PNG of about that size, as base64."""
    side = int((megabytes * 1e6 / 3) ** 0.5)
    pixels = np.random.default_rng(0).integers(0, 256, (side, side, 3), np.uint8)
    return base64.b64encode(encode(PIL.Image.fromarray(pixels), "png", compress_level=0)).decode()


def test_a_body_of_25_megabytes_costs_at_most_three_copies(server: Kilonova) -> None:
    request = body(image={"format": "png", "source": {"bytes": noise(18)}})
    assert 23_000_000 < len(request) < 25_000_000
    httpx.post(server.url + PATH, content=request, headers=HEADERS, timeout=60)  # starts the decoders
    with Peak(server.process.pid) as peak:
        for _ in range(3):
            answer = httpx.post(server.url + PATH, content=request, headers=HEADERS, timeout=60)
            assert answer.status_code == 200
    assert peak.growth < 3.2 * len(request)


@pytest.mark.timeout(180)
def test_100_parallel_images_stay_within_the_bound(server: Kilonova, capsys: pytest.CaptureFixture[str]) -> None:
    request = body(image={"format": "png", "source": {"bytes": noise(10)}})

    def one(_: int) -> int:
        return httpx.post(server.url + PATH, content=request, headers=HEADERS, timeout=120).status_code

    one(0)
    with Peak(server.process.pid) as peak, ThreadPoolExecutor(100) as pool:
        statuses = list(pool.map(one, range(100)))
    with capsys.disabled():
        print(f"\n100 x {len(request) / 1e6:.1f} MB: {statuses.count(200)} served, grew by {peak.growth / 1e6:.0f} MB")
    assert set(statuses) <= {200, 429}
    assert statuses.count(200) >= 4
    assert peak.growth < 3 * (64 << 20) + (30 << 20)  # three copies of what admission lets in, and the sockets' buffers


def test_stopping_answers_what_is_under_way(server: Kilonova) -> None:
    client = server.client()
    with ThreadPoolExecutor(2) as pool:
        slow = pool.submit(invoke, client, text={"value": "fake: slow"})
        time.sleep(0.1)
        os.kill(server.process.pid, signal.SIGTERM)
        assert slow.result()["embeddings"]
    server.process.wait(10)
    with pytest.raises(httpx.ConnectError):
        httpx.get(server.url + "/livez")


def test_killing_the_server_leaves_no_process_behind() -> None:
    with Kilonova() as server:
        server.wait_ready()
        picture = {
            "format": "png",
            "source": {"bytes": base64.b64encode(encode(PIL.Image.new("RGB", (9, 9)), "png")).decode()},
        }
        invoke(server.client(), image=picture)
        children = psutil.Process(server.process.pid).children(recursive=True)
        assert len(children) == 2
        server.process.kill()
        _, alive = psutil.wait_procs(children, timeout=10)
        assert not alive


def test_two_servers_cannot_have_one_port(server: Kilonova) -> None:
    with pytest.raises(RuntimeError, match="Choose another --port"), Kilonova("--port", str(server.port)):
        pass


def test_another_region_than_the_servers() -> None:
    with Kilonova("--region", "eu-central-1") as server:
        client = server.wait_ready().client()
        with pytest.raises(client.exceptions.AccessDeniedException, match="serves eu-central-1"):
            invoke(client, text={"value": "x"})


def test_expect_100_continue_and_chunked_bodies(server: Kilonova) -> None:
    async def run() -> None:
        async def pieces() -> object:
            request = body(text={"value": "in pieces 分块"})
            for start in range(0, len(request), 7):
                yield request[start : start + 7]

        async with httpx.AsyncClient(base_url=server.url, headers=HEADERS) as client:
            answer = await client.post(PATH, content=pieces())  # type: ignore[arg-type]
            assert answer.status_code == 200, answer.text

    asyncio.run(run())
    curl = ["curl", "-s", "-H", f"Authorization: Bearer {API_KEY}", "-H", "Expect: 100-continue", "--data-binary", "@-"]
    done = subprocess.run([*curl, server.url + PATH], input=body(text={"value": "x"}), capture_output=True, check=True)
    assert json.loads(done.stdout)["embeddings"]
