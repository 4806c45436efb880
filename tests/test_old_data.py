"""What 0.1 wrote still opens: a collection, a job that ended, and one that was in the middle when its server died.

``tests/data/written-by-0.1.tar.xz`` was made by commit 3e3a045 with the fake model: two notes indexed with
``--set owner=我``, a text of 1,120 characters embedded, and one of forty slow segments whose server was killed.
"""

from __future__ import annotations

import json
import tarfile
from pathlib import Path

import pytest

import kilonova
from tests.jobs.test_async_invoke import lines, wait
from tests.jobs.test_crashes import SLOW, slow_text
from tests.servers import S3, Kilonova


@pytest.fixture
def old(tmp_path: Path) -> Path:
    with tarfile.open(Path(__file__).with_name("data") / "written-by-0.1.tar.xz") as archive:
        archive.extractall(tmp_path, filter="data")
    return tmp_path


def test_a_collection(old: Path) -> None:
    with kilonova.Index("files", data=old / "data") as index:
        assert index.count("owner = 我") == 2
        hits = index.search("猫在屋顶上睡觉", mode="keyword")
        assert hits[0].payload["name"] == "cat.txt"
        assert hits[0].payload["snippet"].startswith("A cat sleeps")
        note = old / "新的.txt"
        note.write_text("狐狸 fox")
        assert index.add(note).added == 1
        assert index.count() == 3


@pytest.mark.timeout(300)
def test_jobs(old: Path) -> None:
    arns = json.loads((old / "arns.json").read_text())
    with S3() as s3:
        s3.client.put_object(Bucket="media", Key="slow.txt", Body=slow_text().encode())
        with Kilonova(environment={"KILONOVA_DATA": str(old / "data"), **s3.environment()}) as server:
            client = server.wait_ready().client()
            assert client.get_async_invoke(invocationArn=arns["done"])["status"] == "Completed"
            job = wait(client, arns["slow"], 120)
            assert job["status"] == "Completed", job
        found = lines(s3, job, "embedding-text.jsonl")
    assert [line["segmentMetadata"]["segmentIndex"] for line in found] == list(range(SLOW))
