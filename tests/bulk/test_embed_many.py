"""`kilonova embed-many` against a real S3 server, as a user runs it."""

from __future__ import annotations

import io
import json
import signal
import subprocess
import time
from collections.abc import Iterator
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tests import samples
from tests.servers import BIN, S3, clean_environment

LONG = "港口的早晨很安静，渔船还没有回来。The lamps go out one by one.\n" * 60


@pytest.fixture(scope="module")
def s3() -> Iterator[S3]:
    with S3() as server:
        yield server


@pytest.fixture
def source(s3: S3, request: pytest.FixtureRequest) -> str:
    """A prefix of its own, with files of every kind."""
    prefix = request.node.name.replace("[", "-").replace("]", "")
    files = {
        "说明.txt": LONG.encode(),
        "photo 日落.png": samples.image("png"),
        "sound.wav": samples.audio("wav", 12.0),
        "film.mp4": samples.video("mp4", 7.0),
        "broken.jpg": b"\xff\xd8\xff no picture",
        "program.exe": b"MZ",
    }
    for name, data in files.items():
        s3.client.put_object(Bucket="media", Key=f"{prefix}/in/{name}", Body=data)
    return f"s3://media/{prefix}"


def command(source: str, *options: str) -> list[str]:
    output = ["--output", f"{source}/out", "--model", "fake", "--dimension", "256", "--characters", "800"]
    return [str(BIN / "kilonova"), "embed-many", f"{source}/in/", *output, "--json", *options]


def run(s3: S3, source: str, *options: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        command(source, *options), env=clean_environment() | s3.environment(), capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr
    return done


def rows(s3: S3, source: str) -> list[dict[str, Any]]:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    found = s3.client.list_objects_v2(Bucket=bucket, Prefix=f"{prefix}/out/").get("Contents", ())
    parts = [s3.client.get_object(Bucket=bucket, Key=one["Key"])["Body"].read() for one in found]
    every: list[dict[str, Any]] = pa.concat_tables([pq.read_table(io.BytesIO(part)) for part in parts]).to_pylist()
    return sorted(every, key=lambda row: (row["uri"], row["segment"]))


def test_every_kind_of_file(s3: S3, source: str) -> None:
    done = run(s3, source)
    assert done.returncode == 1, done.stderr  # one file is broken
    said = json.loads(done.stdout)
    assert (said["listed"], said["embedded"], said["otherFiles"], said["alreadyThere"]) == (6, 5, 1, 0)
    assert [one["uri"] for one in said["failed"]] == [f"{source}/in/broken.jpg"]
    found = rows(s3, source)
    assert len({row["id"] for row in found}) == len(found)
    of = {name: [row for row in found if row["uri"].endswith(name)] for name in ("txt", "png", "wav", "mp4", "jpg")}
    assert [(row["start"], row["end"]) for row in of["wav"]] == [(0, 5), (5, 10), (10, 12)]
    assert [row["type"] for row in of["mp4"]] == ["AUDIO_VIDEO_COMBINED"] * 2
    (photo,), (broken,) = of["png"], of["jpg"]
    assert (photo["modality"], photo["start"], photo["end"]) == ("image", 0, 0)
    assert broken["vector"] is None
    assert "cannot be decoded" in broken["error"]
    assert "".join(LONG[int(row["start"]) : int(row["end"])] for row in of["txt"]) == LONG
    for row in found:
        if row is not broken:
            assert np.linalg.norm(row["vector"]) == pytest.approx(1.0, abs=1e-5)
            assert len(row["vector"]) == 256


def test_what_is_done_is_not_done_again(s3: S3, source: str) -> None:
    run(s3, source)
    before = rows(s3, source)
    again = json.loads(run(s3, source).stdout)
    assert (again["embedded"], again["alreadyThere"], again["failed"]) == (0, 5, [])
    assert rows(s3, source) == before
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3.client.put_object(Bucket=bucket, Key=f"{prefix}/in/new.txt", Body="新的文件".encode())
    s3.client.put_object(Bucket=bucket, Key=f"{prefix}/in/broken.jpg", Body=samples.image("jpeg"))
    third = run(s3, source)
    assert third.returncode == 0, third.stderr
    assert json.loads(third.stdout)["embedded"] == 2


def test_output_within_the_source(s3: S3, source: str) -> None:
    s3.client.put_object(Bucket="media", Key=f"{source.removeprefix('s3://media/')}/in/out/我的.txt", Body=b"my own")
    inside = ["--output", f"{source}/in/out"]  # the last of two counts
    first, second = (json.loads(run(s3, source, *inside).stdout) for _ in range(2))
    assert (first["listed"], first["embedded"], first["otherFiles"]) == (7, 6, 1)
    assert (second["listed"], second["alreadyThere"], second["otherFiles"]) == (7, 6, 1)


def test_other_settings_need_another_output(s3: S3, source: str) -> None:
    run(s3, source)
    refused = run(s3, source, "--dimension", "384")
    assert refused.returncode == 1
    assert "made with other settings" in refused.stderr
    assert "--output" in refused.stderr


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL])
def test_a_stopped_run_is_finished_by_the_next(s3: S3, source: str, how: signal.Signals) -> None:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    for number in range(300):
        s3.client.put_object(Bucket=bucket, Key=f"{prefix}/in/n{number:03}.txt", Body=f"第{number}篇".encode())
    process = subprocess.Popen(
        command(source), env=clean_environment() | s3.environment(), stdout=subprocess.PIPE, stderr=subprocess.PIPE
    )
    time.sleep(2.5)
    process.send_signal(how)
    _, errors = process.communicate(timeout=60)
    assert b"Traceback" not in errors
    if how is signal.SIGINT and process.returncode != 1:  # 1: it was done already
        assert process.returncode == 130
    second = json.loads(run(s3, source).stdout)
    assert second["alreadyThere"] + second["embedded"] == 305
    found = rows(s3, source)
    assert len({row["uri"] for row in found}) == 305
    assert len({row["id"] for row in found}) == len(found)  # nothing twice


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["/tmp/films", "--output", "s3://media/x"], "is no S3 URI"),
        (["s3://nobucket/", "--output", "s3://media/x"], "The bucket of s3://nobucket/ does not exist"),
        (["s3://media/", "--output", "s3://media/x", "--dimension", "77"], "77 is none of"),
    ],
)
def test_refusals(s3: S3, arguments: list[str], said: str) -> None:
    done = subprocess.run(
        [str(BIN / "kilonova"), "embed-many", *arguments, "--model", "fake"],
        env=clean_environment() | s3.environment(), capture_output=True, text=True,
    )  # fmt: skip
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.split()).replace("│ ", "")


@pytest.mark.ray
@pytest.mark.timeout(300)
def test_on_a_ray_cluster(s3: S3, source: str) -> None:
    done = run(s3, source, "--engine", "ray", "--ray-cores", "1")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert (said["embedded"], len(said["failed"])) == (5, 1)
    there = {row["id"]: row["vector"] for row in rows(s3, source)}
    again = json.loads(run(s3, source).stdout)  # one engine goes on where the other stopped
    assert (again["embedded"], again["alreadyThere"]) == (0, 5)
    assert {row["id"]: row["vector"] for row in rows(s3, source)} == there


def test_what_lies_in_everybodys_folders_is_passed_over(s3: S3, source: str) -> None:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    for name in ("~$a.txt", "empty.txt", "@eaDir/t.jpg", "._photo.png", "one.psd", "two.PSD"):
        s3.client.put_object(Bucket=bucket, Key=f"{prefix}/in/{name}", Body=b"" if "empty" in name else b"x")
    said = json.loads(run(s3, source).stdout)
    assert (said["listed"], said["embedded"], len(said["failed"])) == (12, 5, 1)
    assert (said["otherFiles"], said["otherEndings"]) == (3, {".psd": 2, ".exe": 1})
    assert said["skipped"] == {"system": 2, "temporary": 1, "empty": 1}


def test_a_damaged_part_says_what_to_do(s3: S3, source: str) -> None:
    bucket, _, prefix = source.removeprefix("s3://").partition("/")
    s3.client.put_object(Bucket=bucket, Key=f"{prefix}/out/part-x.parquet", Body=b"PAR1 no more")
    done = run(s3, source)
    assert done.returncode == 1
    assert "Delete it, and run again" in done.stderr
    assert "part-x.parquet" in json.loads(done.stdout)["error"]
