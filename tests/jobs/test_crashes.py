"""Jobs survive the death of their server: nothing is lost, nothing is there twice."""

from __future__ import annotations

import collections
import json
import random
import re
import time
from pathlib import Path
from typing import Any

import pytest

from tests.jobs.test_async_invoke import lines, source, start, wait
from tests.servers import S3, Kilonova, Postgres

RUNS = 30
SEGMENTS, SLOW = 100, 40
GROUP = 8  # kilonova.jobs.workflow.GROUP: what is in flight
AHEAD = 13  # kilonova.jobs.pipeline: read or embedded before it is asked for


def text_of(run: int) -> str:
    """A text of so many segments of 800 characters, each of them with its own number in it."""
    return "".join(f"{run}x{index}x ".ljust(799, "好") + " " for index in range(SEGMENTS))


def slow_text() -> str:
    """A text that takes the model eight seconds."""
    return "".join(f"fake: slow {index} ".ljust(799, "好") + " " for index in range(SLOW))


@pytest.mark.timeout(900)
def test_thirty_kills(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance, seen = random.Random(4), collections.Counter[str]()
    environment = {"KILONOVA_DATA": str(tmp_path), "KILONOVA_FAKE_LOG": str(tmp_path / "embedded")}
    tally = collections.Counter[str]()
    with S3() as s3:
        environment |= s3.environment()
        server = Kilonova(environment=environment).__enter__()
        try:
            for run in range(RUNS):
                text = text_of(run)
                s3.client.put_object(Bucket="media", Key=f"{run}.txt", Body=text.encode())
                client = server.wait_ready().client()
                arn = start(client, {"text": {**source(f"{run}.txt"), "segmentationConfig": {"maxLengthChars": 800}}})
                time.sleep(chance.uniform(0.0, 1.2))
                server.kill()
                server = Kilonova(environment=environment).__enter__()
                job = wait(server.wait_ready().client(), arn)
                tally[job["status"]] += 1
                found = lines(s3, job, "embedding-text.jsonl")
                indices = [line["segmentMetadata"]["segmentIndex"] for line in found]
                assert indices == list(range(SEGMENTS))
                assert all(line["status"] == "SUCCESS" for line in found)
        finally:
            server.close()
    for name in re.findall(r"\b\d+x\d+x\b", (tmp_path / "embedded").read_text()):
        seen[name] += 1
    again = collections.Counter(name.split("x")[0] for name, count in seen.items() if count > 1)
    with capsys.disabled():
        print(
            f"\n{RUNS} kills: {dict(tally)}; {len(seen)} segments, {sum(again.values())} of them embedded twice, "
            f"at most {max(again.values(), default=0)} in a run"
        )
    assert tally == {"Completed": RUNS}
    assert len(seen) == RUNS * SEGMENTS
    assert max(seen.values()) <= 2
    assert max(again.values(), default=0) <= GROUP + AHEAD


def test_a_server_that_is_stopped_hands_its_jobs_on(tmp_path: Path) -> None:
    environment = {"KILONOVA_DATA": str(tmp_path)}
    with S3() as s3:
        environment |= s3.environment()
        s3.client.put_object(Bucket="media", Key="a.txt", Body=slow_text().encode())
        with Kilonova(environment=environment) as first:
            client = first.wait_ready().client()
            arn = start(client, {"text": {**source("a.txt"), "segmentationConfig": {"maxLengthChars": 800}}})
            time.sleep(1.0)
            assert client.get_async_invoke(invocationArn=arn)["status"] == "InProgress"
        with Kilonova(environment=environment) as second:
            job = wait(second.wait_ready().client(), arn)
        assert job["status"] == "Completed", job
        assert len(lines(s3, job, "embedding-text.jsonl")) == SLOW


def test_two_servers_share_a_database_and_one_takes_over(tmp_path: Path) -> None:
    _share({"KILONOVA_DATA": str(tmp_path)}, S3())


@pytest.mark.postgres
def test_two_servers_share_postgres(tmp_path: Path) -> None:
    with Postgres() as database:
        _share({"KILONOVA_DATA": str(tmp_path)}, S3(), "--database", database.url)


def _share(environment: dict[str, str], store: S3, *options: str) -> None:
    with store as s3:
        environment = environment | s3.environment()
        for index in range(3):
            s3.client.put_object(Bucket="media", Key=f"{index}.txt", Body=slow_text().encode())
        with Kilonova(*options, environment=environment) as one, Kilonova(*options, environment=environment) as two:
            client = one.wait_ready().client()
            other = two.wait_ready().client()
            config = {"segmentationConfig": {"maxLengthChars": 800}}
            arns = [start(client, {"text": {**source(f"{index}.txt"), **config}}) for index in range(3)]
            time.sleep(1.0)
            one.kill()
            jobs: list[dict[str, Any]] = [wait(other, arn) for arn in arns]
        for job in jobs:
            assert job["status"] == "Completed", json.dumps(job, default=str)
            found = lines(s3, job, "embedding-text.jsonl")
            assert [line["segmentMetadata"]["segmentIndex"] for line in found] == list(range(SLOW))
