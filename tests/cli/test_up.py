"""`kilonova up`: its S3 server lives and dies with it, comes back when it dies alone, and lets nobody else in."""

from __future__ import annotations

import json
import os
import signal
import socket
import ssl
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from http.client import HTTPException
from pathlib import Path
from typing import Any, Self

import boto3
import psutil
import pytest
from botocore.config import Config

from kilonova._process import marks
from kilonova.storage.local import free_port
from tests.servers import ACCESS_KEY, BIN, CREDENTIALS, SECRET_KEY, clean_environment


class Up:
    """`kilonova up` as a process of its own, with a home folder that outlives it."""

    def __init__(self, home: Path) -> None:
        self.home, self.data, self.port = home, home / "数据", free_port()
        (home / "credentials.toml").write_text(CREDENTIALS)
        self.variables = {**clean_environment(), "KILONOVA_HOME": str(home)}
        self.log = home / "log"
        self.process: Any = None

    def start(self) -> Self:
        command = [str(BIN / "kilonova"), "up", "--port", str(self.port), "--model", "fake", "--data", str(self.data)]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(command, env=self.variables, stderr=log)
        self.until(lambda: self.readiness()[0] == 200)
        return self

    def until(self, done: Any, seconds: float = 60) -> None:
        limit = time.monotonic() + seconds
        while not done():
            assert time.monotonic() < limit, self.log.read_text()
            assert self.process.poll() is None, self.log.read_text()
            time.sleep(0.05)

    def readiness(self) -> tuple[int, dict[str, Any]]:
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/readyz", timeout=20) as answer:
                return answer.status, json.loads(answer.read())
        except urllib.error.HTTPError as error:
            return error.code, json.loads(error.read())
        except OSError:
            return 0, {}

    def weed(self) -> psutil.Process:
        [found] = [one for one in psutil.Process(self.process.pid).children() if "weed" in " ".join(one.cmdline()[:1])]
        return found

    def env(self, *options: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "kilonova"), "env", "--port", str(self.port), *options]
        return subprocess.run(command, env=self.variables, capture_output=True, text=True, check=True)

    def client(self) -> Any:
        [line] = [line for line in self.env().stdout.splitlines() if "AWS_ENDPOINT_URL_S3" in line]
        config = Config(retries={"total_max_attempts": 1}, read_timeout=20)
        return boto3.client(
            "s3",
            endpoint_url=line.partition("=")[2],
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=config,
        )


@pytest.fixture(scope="module")
def up() -> Iterator[Up]:
    with tempfile.TemporaryDirectory() as home:
        made = Up(Path(home)).start()
        yield made
        made.process.terminate()
        made.process.wait(30)


def test_env_finds_it_whatever_its_folder(up: Up) -> None:
    for options in ((), ("--data", str(up.data))):
        found = up.env(*options)
        assert "AWS_ENDPOINT_URL_S3=http://127.0.0.1:" in found.stdout
        assert not found.stderr
    elsewhere = up.env("--data", str(up.home / "none"))
    assert "AWS_ENDPOINT_URL_S3" not in elsewhere.stdout
    assert "AWS_ENDPOINT_URL_S3 is left out" in elsewhere.stderr


def test_its_other_ports_serve_nobody(up: Up) -> None:
    client = up.client()
    client.put_object(Bucket="media", Key="private/日记.txt", Body=b"dear diary " * 500)
    options = dict(
        part.lstrip("-").split("=", 1) for part in up.weed().cmdline() if part.startswith("-") and "=" in part
    )
    ports = {name: int(value) for name, value in options.items() if "port" in name and int(value)}
    s3 = ports.pop("s3.port")
    open_ports = {one.laddr.port for one in up.weed().net_connections("tcp") if one.status == psutil.CONN_LISTEN}
    assert open_ports <= {s3, *ports.values()}  # there is no port that was not thought of
    paths = (
        "/", "/buckets/media/private/%E6%97%A5%E8%AE%B0.txt", "/dir/assign?collection=media", "/dir/status",
        "/dir/lookup?volumeId=1", "/col/delete?collection=media", "/vol/vacuum", "/submit", "/1,01", "/ui/index.html",
    )  # fmt: skip
    for port in ports.values():
        for path in paths:
            for method in ("GET", "POST", "DELETE"):
                assert http(port, path, method) >= 400, (port, path, method)
    for name, port in ports.items():
        if "grpc" in name or name == "master.port":
            assert not handshakes(port), name
    assert client.get_object(Bucket="media", Key="private/日记.txt")["Body"].read() == b"dear diary " * 500
    large = os.urandom(20_000_000)
    client.put_object(Bucket="media", Key="large", Body=large)
    assert client.get_object(Bucket="media", Key="large")["Body"].read() == large
    keys = up.data / "s3" / "keys"
    assert keys.stat().st_mode & 0o077 == 0


def http(port: int, path: str, method: str) -> int:
    """The status of a plain request; 599 where none is answered."""
    request = urllib.request.Request(f"http://127.0.0.1:{port}{path}", method=method, data=b"x" * (method == "POST"))
    try:
        with urllib.request.urlopen(request, timeout=5) as answer:
            return int(answer.status)
    except urllib.error.HTTPError as error:
        return error.code
    except (OSError, ValueError, HTTPException):
        return 599


def handshakes(port: int) -> bool:
    """Whether a port talks to somebody without a certificate, over TLS or without it."""
    context = ssl.create_default_context()
    context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
    context.set_alpn_protocols(["h2", "http/1.1"])
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=5) as plain, context.wrap_socket(plain) as secure:
            secure.sendall(b"GET /dir/status HTTP/1.1\r\nHost: localhost\r\n\r\n")
            return bool(secure.recv(100))  # with TLS 1.3 the refusal comes after the client's side is done
    except (ssl.SSLError, ConnectionResetError, BrokenPipeError, TimeoutError):
        return False


def test_an_s3_server_that_dies_comes_back(up: Up) -> None:
    client = up.client()
    client.put_object(Bucket="media", Key="kept", Body=b"kept")
    before = up.weed()
    before.kill()
    up.until(lambda: up.readiness()[0] == 503, 5)
    assert up.readiness()[1]["s3"] in ("restarting", "ready")
    up.until(lambda: up.readiness()[0] == 200)
    assert up.readiness()[1]["s3"] == "ready"
    assert up.weed().pid != before.pid
    assert client.get_object(Bucket="media", Key="kept")["Body"].read() == b"kept"


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP, signal.SIGKILL])
def test_every_end_leaves_nothing_running_and_the_next_start_works(tmp_path: Path, number: signal.Signals) -> None:
    up = Up(tmp_path).start()
    up.client().put_object(Bucket="media", Key="kept", Body=b"kept")
    children = psutil.Process(up.process.pid).children(recursive=True)
    assert len(children) >= 2
    up.process.send_signal(number)
    assert up.process.wait(30) == (-9 if number is signal.SIGKILL else 0)
    assert not psutil.wait_procs(children, timeout=10)[1]
    if number is not signal.SIGKILL:
        assert not list(tmp_path.glob("servers/*.json"))
        assert "Traceback" not in up.log.read_text()
    up.start()
    try:
        assert up.client().get_object(Bucket="media", Key="kept")["Body"].read() == b"kept"
    finally:
        up.process.terminate()
        up.process.wait(30)


def test_an_orphan_of_an_earlier_life_is_ended_and_nobody_else(tmp_path: Path) -> None:
    up = Up(tmp_path)
    folder = up.data / "s3"
    folder.mkdir(parents=True)
    stranger = subprocess.Popen(["sleep", "100"])
    orphan = subprocess.Popen(["sh", "-c", f"sleep 100 # {folder}; :"])
    try:
        for process, ended in ((stranger, False), (orphan, True)):
            marks.mark(folder / "weed.json", process.pid)
            marks.end(folder / "weed.json", str(folder))
            time.sleep(0.1)
            assert (process.poll() is not None) == ended
        (folder / "weed.json").write_text(json.dumps({"pid": stranger.pid, "started": "1"}))  # the id was given anew
        marks.end(folder / "weed.json", "sleep")
        assert stranger.poll() is None
        up.start()
        second = Up(tmp_path)
        command = [str(BIN / "kilonova"), "up", "--port", str(second.port), "--model", "fake", "--data", str(up.data)]
        done = subprocess.run(command, env=up.variables, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == 1
        assert "Another `kilonova up` uses" in done.stderr
        assert up.readiness()[0] == 200
    finally:
        every: list[Any] = [stranger, orphan, up.process]
        for process in every:
            if process is not None:
                process.terminate()
                process.wait(30)


@pytest.mark.parametrize("name", ["bk", "Films", "a_b", "-films", "a..b", "192.168.0.1", "x" * 64, "电影"])
def test_a_bad_name_for_a_bucket_is_told(tmp_path: Path, name: str) -> None:
    variables = {**clean_environment(), "KILONOVA_HOME": str(tmp_path), "KILONOVA_DATA": str(tmp_path)}
    command = [str(BIN / "kilonova"), "up", "--port", str(free_port()), f"--bucket={name}"]
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 1
    assert "is no name for a bucket" in done.stderr
    assert "Traceback" not in done.stderr
