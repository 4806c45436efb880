"""S3 that misbehaves: connections cut, SlowDown, slow reads, bodies cut short."""

from __future__ import annotations

import asyncio
import random
import threading
import time
from types import TracebackType
from typing import Any, Self

import pytest

from kilonova.storage.local import free_port
from tests import samples
from tests.jobs.test_async_invoke import lines, source, start, wait
from tests.servers import S3, Kilonova

_SAID = b"<Error><Code>SlowDown</Code><Message>Please reduce your rate.</Message></Error>"
_SLOW_DOWN = (
    b"HTTP/1.1 503 Slow Down\r\nContent-Type: application/xml\r\nConnection: close\r\n"
    b"Content-Length: %d\r\n\r\n%s" % (len(_SAID), _SAID)
)


class Saboteur:
    """A TCP proxy before S3 that does harm to a share of the connections."""

    def __init__(self, target: int, harm: str, share: float) -> None:
        self._target, self._harm, self._share = target, harm, share
        self._chance = random.Random(7)
        self.port, self.done = free_port(), 0
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        serving = asyncio.start_server(self._serve, "127.0.0.1", self.port)
        asyncio.run_coroutine_threadsafe(serving, self._loop).result(5)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(5)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        harm = self._harm if self._chance.random() < self._share else ""
        self.done += bool(harm)
        if harm == "reset":
            writer.transport.abort()
            return
        if harm == "slow down":
            await reader.readuntil(b"\r\n\r\n")
            writer.write(_SLOW_DOWN)
            await writer.drain()
            writer.close()
            return
        theirs, ours = await asyncio.open_connection("127.0.0.1", self._target)
        up = asyncio.create_task(_pump(reader, ours, None, 0.0))
        limit = 3_000 if harm == "cut short" else None
        await _pump(theirs, writer, limit, 0.02 if harm == "slow" else 0.0)
        up.cancel()
        ours.close()


async def _pump(source: asyncio.StreamReader, sink: asyncio.StreamWriter, limit: int | None, pause: float) -> None:
    sent = 0
    try:
        while data := await source.read(4096):
            if limit is not None and sent + len(data) > limit:
                sink.write(data[: limit - sent])
                await sink.drain()
                sink.transport.abort()
                return
            sink.write(data)
            await sink.drain()
            sent += len(data)
            if pause:
                await asyncio.sleep(pause)
        sink.close()
    except (ConnectionError, OSError):
        sink.close()


@pytest.mark.parametrize("harm", ["reset", "slow down", "slow", "cut short"])
def test_a_job_outlives(harm: str) -> None:
    with S3() as s3, Saboteur(s3.port, harm, 0.4) as between:
        environment = {**s3.environment(), "AWS_ENDPOINT_URL_S3": f"http://127.0.0.1:{between.port}"}
        with Kilonova(environment=environment) as server:
            client = server.wait_ready().client()
            s3.client.put_object(Bucket="media", Key="film.mp4", Body=samples.video("mp4", 30.0, size=(320, 240)))
            arns = [start(client, {"video": {**source("film.mp4"), "format": "mp4"}}) for _ in range(3)]
            jobs: list[dict[str, Any]] = [wait(client, arn, 100) for arn in arns]
        for job in jobs:
            assert job["status"] == "Completed", job
            assert len(lines(s3, job, "embedding-audio-video.jsonl")) == 6
        assert between.done > 0


def test_output_that_may_not_be_written_fails_the_job() -> None:
    with S3() as s3, Kilonova(environment=s3.environment("AKIDREADER", "secret-of-reader")) as server:
        client = server.wait_ready().client()
        s3.client.put_object(Bucket="media", Key="a.txt", Body="你好".encode())
        job = wait(client, start(client, {"text": source("a.txt")}))
    assert job["status"] == "Failed"
    assert "The server may not write s3://media/out/" in job["failureMessage"]
    assert "s3:PutObject" in job["failureMessage"]


def test_an_object_that_changes_fails_the_job() -> None:
    with S3() as s3, Kilonova(environment=s3.environment()) as server:
        client = server.wait_ready().client()
        slow = "".join(f"fake: slow {index} ".ljust(799, "好") + " " for index in range(6000))
        s3.client.put_object(Bucket="media", Key="a.txt", Body=slow.encode())
        config = {"segmentationConfig": {"maxLengthChars": 50_000}}
        arn = start(client, {"text": {**source("a.txt"), "truncationMode": "END", **config}})
        time.sleep(3.0)
        s3.client.put_object(Bucket="media", Key="a.txt", Body=slow[::-1].encode())
        job = wait(client, arn, 100)
    assert job["status"] == "Failed"
    assert "was changed while it was being read" in job["failureMessage"]
