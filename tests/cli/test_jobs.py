"""`kilonova up` and `kilonova jobs`, as a new user runs them."""

from __future__ import annotations

import json
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import boto3
import pytest

from kilonova.storage.local import endpoint, free_port
from tests.servers import BIN, clean_environment, start_segmented


@pytest.fixture(scope="module")
def environment() -> Iterator[dict[str, str]]:
    """The variables that `kilonova env` prints for a running `kilonova up`."""
    port = free_port()
    with tempfile.TemporaryDirectory() as home:
        variables = {**clean_environment(), "KILONOVA_HOME": home, "KILONOVA_DATA": f"{home}/data"}
        command = [str(BIN / "kilonova"), "up", "--port", str(port), "--model", "fake", "--bucket", "films"]
        log = Path(home) / "log"
        with log.open("w") as file:
            process = subprocess.Popen(command, env=variables, stderr=file)
        try:
            until = time.monotonic() + 60
            while "Ready" not in log.read_text():
                assert process.poll() is None, log.read_text()
                assert time.monotonic() < until, log.read_text()
                time.sleep(0.1)
            said = subprocess.run(
                [str(BIN / "kilonova"), "env", "--port", str(port)],
                env=variables,
                capture_output=True,
                text=True,
                check=True,
            )
            exports = [line.removeprefix("export ") for line in said.stdout.splitlines() if line.startswith("export")]
            yield variables | dict(line.split("=", 1) for line in exports)
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(30)
        assert process.returncode == 0, log.read_text()
        assert endpoint(Path(home) / "data", port) is None  # nothing points at what has stopped


def run(environment: dict[str, str], *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(BIN / "kilonova"), "jobs", *arguments], env=environment, capture_output=True, text=True)


def start(environment: dict[str, str], text: str) -> str:
    session = boto3.session.Session(
        environment["AWS_ACCESS_KEY_ID"], environment["AWS_SECRET_ACCESS_KEY"], region_name="us-east-1"
    )
    s3 = session.client("s3", endpoint_url=environment["AWS_ENDPOINT_URL_S3"])
    s3.put_object(Bucket="films", Key="a.txt", Body=text.encode())
    client = session.client("bedrock-runtime", endpoint_url=environment["AWS_ENDPOINT_URL_BEDROCK_RUNTIME"])
    source = {"s3Location": {"uri": "s3://films/a.txt"}}
    params = {"text": {"source": source, "segmentationConfig": {"maxLengthChars": 800}}}
    return start_segmented(client, "s3://films/out", params)


def test_waiting_for_a_job(environment: dict[str, str]) -> None:
    arn = start(environment, "你好，世界。" * 500)
    waited = run(environment, "wait", arn)
    assert waited.returncode == 0, waited.stderr
    assert waited.stdout.strip() == f"s3://films/out/{arn[-12:]}"
    shown = json.loads(run(environment, "show", arn[-12:], "--json").stdout)
    assert shown["progress"]["segments"] == 4
    assert shown["progress"]["position"] == shown["progress"]["length"] == 9000
    listed = json.loads(run(environment, "list", "--json").stdout)
    assert arn in [job["invocationArn"] for job in listed]
    assert arn[-12:] in run(environment, "list").stdout


def test_cancelling_a_job(environment: dict[str, str]) -> None:
    arn = start(environment, "".join(f"fake: slow {index} ".ljust(799, "好") + " " for index in range(200)))
    assert run(environment, "cancel", arn).returncode == 0
    waited = run(environment, "wait", arn)
    assert waited.returncode == 1
    assert "Cancelled" in waited.stderr
    again = run(environment, "cancel", arn)
    assert again.returncode == 1
    assert "has ended already" in again.stderr


def test_a_job_that_is_not_there(environment: dict[str, str]) -> None:
    shown = run(environment, "show", "abcdefghijkl")
    assert shown.returncode == 1
    assert "There is no asynchronous invocation" in shown.stderr


def test_without_a_server(environment: dict[str, str]) -> None:
    nowhere = environment | {"AWS_ENDPOINT_URL_BEDROCK_RUNTIME": f"http://127.0.0.1:{free_port()}"}
    listed = run(nowhere, "list")
    assert listed.returncode == 1
    assert "Is `kilonova serve`" in listed.stderr
