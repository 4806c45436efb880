"""A server of its own process, for tests."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

__all__ = ["KilonovaServer", "clean_environment"]

_START = "from kilonova.cli.main import main; main()"
_REGION = "us-east-1"
_CREDENTIALS = """
[[credentials]]
name = "tests"
access_key_id = "AKIDTEST"
secret_access_key = "secret-of-the-tests"
api_key = "kilonova-test-key"
"""
# What would make a server or a client of a test behave as this machine's owner wants it elsewhere.
_FOREIGN = ("AWS_", "OPENAI_", "KILONOVA_", "_KILONOVA_")


class KilonovaServer:
    """``kilonova serve`` on a free port of 127.0.0.1, with credentials and data of its own. Use in a ``with``.

    What it says goes to a file, so it never waits for a reader. The environment of this process is left alone.

    Args:
        options: of ``kilonova serve``.
        model: the first that it serves.
        environment: variables for it, beside those of this process that are not of AWS, OpenAI or Kilonova.
        credentials: text of its ``credentials.toml``; must hold the keys ``AKIDTEST``, as the default does, for
            ``env`` and ``client`` to be let in.
        seconds: that it may take to start.

    Attributes:
        url: where it listens, known inside the ``with``.
        process: its process.
        log: the file that it writes to.
        access_key, secret_key: what AWS clients sign with.
        api_key: what other clients send as a bearer token.
    """

    access_key, secret_key, api_key = "AKIDTEST", "secret-of-the-tests", "kilonova-test-key"

    def __init__(
        self,
        *options: str,
        model: str = "fake",
        environment: Mapping[str, str] | None = None,
        credentials: str = _CREDENTIALS,
        seconds: float = 60.0,
    ) -> None:
        self._seconds = seconds
        self._home = tempfile.TemporaryDirectory()
        (Path(self._home.name) / "credentials.toml").write_text(credentials, encoding="utf-8")
        self.log = Path(self._home.name) / "log"
        own = {"KILONOVA_HOME": self._home.name, "KILONOVA_DATA": self._home.name}
        # -P: what lies in the working directory must not hide a module
        command = [sys.executable, "-P", "-c", _START, "serve", "--port", "0", "--model", model, *options]
        with self.log.open("w") as log:
            self.process = subprocess.Popen(
                command,
                env={**clean_environment(), **own, **(environment or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
            )

    def __enter__(self) -> Self:
        try:
            self.url = self._announced_url()
        except BaseException:
            self.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def wait_ready(self) -> Self:
        """Wait until the model is loaded.

        Raises:
            TimeoutError: it is not within the time to start.
            RuntimeError: the server ended.
        """
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            self._check_alive()
            try:
                self.get("/readyz")
            except (urllib.error.URLError, OSError):
                time.sleep(0.05)
            else:
                return self
        raise TimeoutError(f"The server is not ready after {self._seconds:g} s:\n{self._log_text()}")

    def get(self, path: str) -> bytes:
        """The body of an answer.

        Raises:
            urllib.error.HTTPError: its status is an error's.
        """
        direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
        with direct.open(self.url + path, timeout=20) as answer:
            body: bytes = answer.read()
        return body

    def client(self, service: str = "bedrock-runtime", **options: Any) -> Any:
        """A boto3 client of this server.

        Args:
            service: as of ``boto3.client``.
            options: as of ``boto3.client``, such as ``config``.
        """
        import boto3

        session = boto3.session.Session(self.access_key, self.secret_key, region_name=_REGION)
        return session.client(service, endpoint_url=self.url, **options)

    @property
    def port(self) -> int:
        """Where it listens on 127.0.0.1."""
        return int(self.url.rpartition(":")[2])

    @property
    def env(self) -> dict[str, str]:
        """The variables that point AWS clients here."""
        return {
            "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": self.url,
            "AWS_ENDPOINT_URL_BEDROCK": self.url,
            "AWS_ACCESS_KEY_ID": self.access_key,
            "AWS_SECRET_ACCESS_KEY": self.secret_key,
            "AWS_REGION": _REGION,
            "AWS_DEFAULT_REGION": _REGION,
        }

    def close(self) -> None:
        """Stop it as Ctrl-C does, and forget its data."""
        self.process.terminate()
        try:
            self.process.wait(20)
        finally:
            self.kill()

    def kill(self) -> None:
        """End it as a power cut would, and forget its data."""
        self.process.kill()
        self.process.wait()
        self._home.cleanup()

    def _announced_url(self) -> str:
        until = time.monotonic() + self._seconds
        while time.monotonic() < until:
            if found := re.search(r"at (https?://\S+)", self._log_text()):
                return found[1]
            self._check_alive()
            time.sleep(0.02)
        raise TimeoutError(f"The server did not start within {self._seconds:g} s:\n{self._log_text()}")

    def _check_alive(self) -> None:
        if (status := self.process.poll()) is not None:
            raise RuntimeError(f"The server ended with status {status}:\n{self._log_text()}")

    def _log_text(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")


def clean_environment() -> dict[str, str]:
    """This process's environment without what decides about AWS, OpenAI or Kilonova."""
    return {name: value for name, value in os.environ.items() if not name.startswith(_FOREIGN)}
