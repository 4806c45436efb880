"""Real servers for tests: Kilonova itself and an S3 server, on free ports of 127.0.0.1."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import boto3
from botocore.config import Config

from kilonova.storage.local import command as s3_command
from kilonova.storage.local import free_port
from kilonova.testing.server import KilonovaServer, clean_environment
from tests.needs import POSTGRES

__all__ = [
    "ACCESS_KEY",
    "API_KEY",
    "BIN",
    "NOVA",
    "S3",
    "SECRET_KEY",
    "Kilonova",
    "Postgres",
    "clean_environment",
    "invoke",
    "start_segmented",
]

BIN = Path(sys.executable).parent
NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"
ACCESS_KEY, SECRET_KEY, API_KEY = KilonovaServer.access_key, KilonovaServer.secret_key, KilonovaServer.api_key
CREDENTIALS = f"""
[[credentials]]
name = "tests"
access_key_id = "{ACCESS_KEY}"
secret_access_key = "{SECRET_KEY}"
api_key = "{API_KEY}"

[[credentials]]
name = "limited"
access_key_id = "AKIDLIMITED"
secret_access_key = "secret-of-the-limited"
max_in_flight = 1
"""


class Kilonova(KilonovaServer):
    """`kilonova serve` as a process of its own, which knows two callers."""

    def __init__(self, *options: str, model: str = "fake", environment: dict[str, str] | None = None) -> None:
        super().__init__(*options, model=model, environment=environment, credentials=CREDENTIALS, seconds=30)

    def client(
        self, service: str = "bedrock-runtime", key: str = ACCESS_KEY, secret: str = SECRET_KEY, **options: Any
    ) -> Any:
        """A boto3 client with nothing changed but where it goes; each error is raised at once."""
        config = Config(
            **{"retries": {"total_max_attempts": 1}, "read_timeout": 60, "max_pool_connections": 64, **options}
        )
        keys = {"aws_access_key_id": key, "aws_secret_access_key": secret}
        return super().client(service, config=config, **keys)

    def environment(self) -> dict[str, str]:
        """The variables that an AWS client needs."""
        return self.env


class S3:
    """SeaweedFS, a real S3 server, with one bucket and three users: one may do all, one only read, one nothing."""

    def __init__(self) -> None:
        self._folder = tempfile.TemporaryDirectory()
        folder = Path(self._folder.name)
        users = [
            ("tests", ACCESS_KEY, SECRET_KEY, ["Admin"]),
            ("nobody", "AKIDNOBODY", "secret-of-nobody", []),
            ("reader", "AKIDREADER", "secret-of-reader", ["Read", "List"]),
        ]
        identities = [
            {"name": name, "credentials": [{"accessKey": key, "secretKey": secret}], "actions": actions}
            for name, key, secret, actions in users
        ]
        self.port = free_port()
        command = [*s3_command(folder, self.port, identities), "-master.volumeSizeLimitMB=64", "-volume.max=8"]
        with (folder / "log").open("w") as log:
            self._process = subprocess.Popen(command, stdout=log, stderr=log)
        self.url = f"http://127.0.0.1:{self.port}"
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=self.url,
            aws_access_key_id=ACCESS_KEY,
            aws_secret_access_key=SECRET_KEY,
            region_name="us-east-1",
            config=Config(retries={"total_max_attempts": 1}, connect_timeout=2, read_timeout=10),
        )

    def __enter__(self) -> Self:
        until = time.monotonic() + 60
        last: Exception | None = None
        while time.monotonic() < until:
            try:
                self.client.create_bucket(Bucket="media")
                self.client.put_object(Bucket="media", Key="ready", Body=b"1")
            except Exception as error:
                last = error
                time.sleep(0.2)
            else:
                return self
        raise AssertionError(f"S3 did not start: {last}\n{(Path(self._folder.name) / 'log').read_text()[-3000:]}")

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.kill()
        self._process.wait()
        self._folder.cleanup()

    def environment(self, key: str = ACCESS_KEY, secret: str = SECRET_KEY) -> dict[str, str]:
        return {
            "AWS_ENDPOINT_URL_S3": self.url,
            "AWS_ACCESS_KEY_ID": key,
            "AWS_SECRET_ACCESS_KEY": secret,
            "AWS_REGION": "us-east-1",
        }


class Postgres:
    """A Postgres server with a database of its own, as Debian installs it."""

    def __init__(self) -> None:
        self._bin, self.port = POSTGRES[-1], free_port()
        self._folder = tempfile.TemporaryDirectory()
        # Postgres refuses to run as root
        self._user = ["runuser", "-u", "postgres", "--"] if os.getuid() == 0 else []
        if self._user:
            shutil.chown(self._folder.name, "postgres")
        self.url = f"postgresql://tests@127.0.0.1:{self.port}/postgres"

    def __enter__(self) -> Self:
        data = f"{self._folder.name}/data"
        self._run("initdb", "-D", data, "-U", "tests", "-A", "trust", "--no-sync")
        options = f"-p {self.port} -h 127.0.0.1 -k {self._folder.name}"
        self._run("pg_ctl", "-D", data, "-o", options, "-l", f"{self._folder.name}/log", "-w", "start")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._run("pg_ctl", "-D", f"{self._folder.name}/data", "-m", "immediate", "stop")
        self._folder.cleanup()

    def _run(self, tool: str, *arguments: str) -> None:
        subprocess.run([*self._user, str(self._bin / tool), *arguments], check=True, stdout=subprocess.DEVNULL)


def start_segmented(client: Any, output: str, params: dict[str, Any], **options: Any) -> str:
    """SEGMENTED_EMBEDDING through boto3; the invocation's ARN."""
    answer = client.start_async_invoke(
        modelId=options.pop("modelId", NOVA),
        modelInput={
            "taskType": "SEGMENTED_EMBEDDING",
            "segmentedEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", **params},
        },
        outputDataConfig={"s3OutputDataConfig": {"s3Uri": output}},
        **options,
    )
    return str(answer["invocationArn"])


def invoke(client: Any, model: str = NOVA, **params: Any) -> dict[str, Any]:
    """SINGLE_EMBEDDING through boto3; the answer's body."""
    params = {"embeddingPurpose": "GENERIC_INDEX", **params}
    body = json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params})
    answer = client.invoke_model(modelId=model, body=body)
    found: dict[str, Any] = json.loads(answer["body"].read())
    return found
