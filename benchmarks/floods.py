"""What floods and odd requests of one client cost everybody else: ``python benchmarks/floods.py``.

For each attack a server of the fake model is started on 127.0.0.1, attacked for a bounded time with a bounded number of
bytes, and asked for ``/livez`` meanwhile. PYTHONPATH chooses which Kilonova is measured:

    PYTHONPATH=src python benchmarks/floods.py            # this one
    PYTHONPATH=../old/src python benchmarks/floods.py     # another checkout

Printed is a row of Markdown for each attack: what was sent, the longest wait for ``/livez``, and the server's resident
memory before, at its highest, and five seconds after the attack.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import socket
import struct
import subprocess
import sys
import tempfile
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import h2.connection
import psutil

KEY = "kilonova-floods-key"
CREDENTIALS = (
    f'[[credentials]]\nname = "a"\naccess_key_id = "AKIDA"\nsecret_access_key = "secret-of-a"\napi_key = "{KEY}"\n'
)
SECONDS = 20.0  # that an attack may send
GIVEN_UP = 60.0  # for an answer of /livez
START = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\0\0\0\4\0\0\0\0\0"


class Server:
    """A running server, what it was sent, and what that did to it."""

    def __init__(self, port: int, process: psutil.Process) -> None:
        self.port, self.process = port, process
        self.sent = self.refused = 0
        self.connections: list[socket.socket] = []

    @property
    def resident(self) -> float:
        """Megabytes of the server's process."""
        return float(self.process.memory_info().rss) / 1e6

    def connect(self) -> socket.socket:
        """A connection, kept open until the attack is over."""
        made = socket.create_connection(("127.0.0.1", self.port), timeout=5)
        self.connections.append(made)
        return made

    def push(self, connection: socket.socket, start: bytes, more: bytes = b"", total: int = 0) -> None:
        """Send a start and then the same again and again, until so much is sent, the time is over or it is refused."""
        until = time.monotonic() + SECONDS
        try:
            connection.sendall(start)
            self.sent += len(start)
            while total > 0 and time.monotonic() < until:
                connection.sendall(more)
                self.sent += len(more)
                total -= len(more)
        except OSError:
            return  # refused, or not read any more

    def post(self, path: str, body: bytes) -> None:
        """A request of a caller that is known."""
        request = urllib.request.Request(
            f"http://127.0.0.1:{self.port}{path}", body, {"Authorization": f"Bearer {KEY}"}, method="POST"
        )
        self.sent += len(body)
        try:
            with urllib.request.urlopen(request, timeout=GIVEN_UP * 2) as answer:
                answer.read()
        except urllib.error.HTTPError as error:
            self.refused += error.code == 429
        except OSError:
            return  # given up


Attack = Callable[[Server], None]


def endless(start: bytes, more: bytes, total: int) -> Attack:
    """One connection that sends a head without end."""
    return lambda server: server.push(server.connect(), start, more, total)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    """An HTTP/2 frame."""
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


def resets(path: str, count: int) -> Attack:
    """One HTTP/2 connection that asks and gives up at once."""

    def attack(server: Server) -> None:
        client = h2.connection.H2Connection()
        client.initiate_connection()
        authority = f"127.0.0.1:{server.port}"
        head = [(":method", "GET"), (":path", path), (":scheme", "http"), (":authority", authority)]
        for number in range(count):
            client.send_headers(2 * number + 1, head, end_stream=True)
            client.reset_stream(2 * number + 1)
        connection = server.connect()
        server.push(connection, client.data_to_send())
        time.sleep(0.2)
        connection.close()

    return attack


def control(kind: int, payload: bytes = b"", stream: int = 0, total: int = 6_000_000) -> Attack:
    """One HTTP/2 connection that sends frames without any use."""
    start = PREFACE
    if kind == 0:
        start += frame(1, 4, 1, b"\x83\x86\x84\x41\x09localhost")  # POST / on stream 1
    return lambda server: server.push(server.connect(), start, frame(kind, 0, stream, payload) * 1_000, total)


def continuation(server: Server) -> None:
    """Header blocks that never end."""
    start = PREFACE + frame(1, 0, 1, b"\x82\x86\x84")
    server.push(server.connect(), start, frame(9, 0, 1, b"\0\1a\1b" * 3_000), 60_000_000)


def silent(start: bytes, count: int) -> Attack:
    """Connections that never ask."""

    def attack(server: Server) -> None:
        for _ in range(count):
            try:
                server.push(server.connect(), start)
            except OSError:
                return
        time.sleep(1)

    return attack


def forged(server: Server) -> None:
    """Bodies declared under a signature that is not right."""
    stamp = datetime.now(UTC).strftime("%Y%m%dT%H%M%SZ")
    scope = f"AKIDA/{stamp[:8]}/us-east-1/bedrock/aws4_request"
    signature = hashlib.sha256(b"no secret").hexdigest()
    head = (
        f"POST /model/x/invoke HTTP/1.1\r\nHost: localhost\r\nX-Amz-Date: {stamp}\r\nAuthorization: AWS4-HMAC-SHA256 "
        f"Credential={scope}, SignedHeaders=host;x-amz-date, Signature={signature}\r\nContent-Length: 24403223\r\n\r\n"
    )
    for _ in range(11):
        server.push(server.connect(), head.encode() + b"x")
    begin = time.monotonic()
    while time.monotonic() - begin < SECONDS:  # how long is a caller that is known refused?
        server.post("/v1/embeddings", b'{"model": "fake", "input": ["x"]}')
        time.sleep(0.5)


def bodies_of_gets(server: Server) -> None:
    """Bodies of requests that take none."""
    for _ in range(40):
        head = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {KEY}\r\n"
        start = f"{head}Transfer-Encoding: chunked\r\n\r\n".encode()
        server.push(server.connect(), start, b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n", 24_000_000)


def probes(server: Server) -> None:
    """Bursts of probes, none of them given up."""
    for _ in range(4):
        client = h2.connection.H2Connection()
        client.initiate_connection()
        authority = f"127.0.0.1:{server.port}"
        head = [(":method", "GET"), (":path", "/readyz"), (":scheme", "http"), (":authority", authority)]
        for number in range(120):
            client.send_headers(2 * number + 1, head, end_stream=True)
        server.push(server.connect(), client.data_to_send())
    time.sleep(2)


def large(path: str, body: Callable[[], object]) -> Attack:
    """One request of a caller that is known."""
    return lambda server: server.post(path, json.dumps(body()).encode())


def pipelined(server: Server) -> None:
    """Requests one after the other, whose answers nobody reads."""
    server.push(server.connect(), b"", (START + b"\r\n") * 1_000, 60_000_000)


ATTACKS: dict[str, Attack] = {
    "C3 1,000 × /openapi.json, reset": resets("/openapi.json", 1_000),
    "C3 1,000 × /livez, reset": resets("/livez", 1_000),
    "C3 1,000 × /readyz, reset": resets("/readyz", 1_000),
    "C3 PING": control(6, b"12345678"),
    "C3 SETTINGS": control(4),
    "C3 PRIORITY": control(2, b"\0\0\0\0\1", 1),
    "C3 WINDOW_UPDATE": control(8, b"\0\0\0\1"),
    "C3 empty DATA": control(0, b"", 1),
    "C3 CONTINUATION": continuation,
    "C4 `a:` headers": endless(START, b"a:\r\n" * 16_000, 60_000_000),
    "C4 4-kB headers": endless(START, (b"a: " + b"x" * 4_090 + b"\r\n") * 16, 300_000_000),
    "C4 one header": endless(START + b"a: ", b"x" * 65_536, 110_000_000),
    "C4 a URL": endless(b"GET /", b"x" * 65_536, 110_000_000),
    "C4 trailers": endless(CHUNKED + b"1\r\nx\r\n0\r\n", b"t: x\r\n" * 10_000, 200_000_000),
    "C4 pipelined requests": pipelined,
    "H5 search, 1.5 M texts": large("/v1/search", lambda: {"text": ["a"] * 1_500_000}),
    "H5 search, 2 M numbers as pictures": large("/v1/search", lambda: {"image": [1] * 2_000_000}),
    "H5 InvokeModel, 1.5 M unknown keys": large(
        "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke", lambda: {f"k{n}": 1 for n in range(1_500_000)}
    ),
    "H5 search, a text of 20 MB": large("/v1/search", lambda: {"text": "word " * 4_000_000}),
    "H6 11 forged signatures, 256 MiB declared": forged,
    "H6 40 GETs with a body": bodies_of_gets,
    "H7 1,500 silent connections": silent(b"", 1_500),
    "H7 1,500 half heads": silent(START, 1_500),
    "H7 1,500 HTTP/2 prefaces": silent(PREFACE, 1_500),
    "M2 480 × /readyz at once": probes,
}


@contextmanager
def running() -> Iterator[Server]:
    """A server that has loaded everything."""
    with tempfile.TemporaryDirectory() as home:
        (Path(home) / "credentials.toml").write_text(CREDENTIALS)
        log = Path(home) / "log"
        variables = {**os.environ, "KILONOVA_HOME": home, "KILONOVA_DATA": home}
        run = "from kilonova.cli.main import main; main()"
        command = ["sh", "-c", 'ulimit -n 1024; exec "$@"', "sh", sys.executable, "-c", run, "serve", "--port", "0"]
        with log.open("w") as errors:
            process = subprocess.Popen([*command, "--model", "fake"], env=variables, stderr=errors)
        try:
            while "Ready." not in log.read_text():
                if process.poll() is not None:
                    raise RuntimeError(log.read_text())
                time.sleep(0.1)
            time.sleep(4)  # jobs are loaded after the model
            port = int(log.read_text().partition("127.0.0.1:")[2].split()[0])
            yield Server(port, psutil.Process(process.pid))
        finally:
            process.kill()
            process.wait()


def measure(name: str, attack: Attack) -> str:
    """A row for an attack."""
    with running() as server:
        before = peak = server.resident
        over = threading.Event()
        worst, lost = 0.0, 0

        def watch() -> None:
            nonlocal worst, lost, peak
            while not over.wait(0.02):
                begin = time.monotonic()
                try:
                    with urllib.request.urlopen(f"http://127.0.0.1:{server.port}/livez", timeout=GIVEN_UP) as answer:
                        answer.read()
                except OSError:
                    lost += 1
                    time.sleep(0.2)
                worst = max(worst, time.monotonic() - begin)

        def weigh() -> None:
            nonlocal peak
            while not over.wait(0.02):
                peak = max(peak, server.resident)

        threads = [threading.Thread(target=watch), threading.Thread(target=weigh)]
        for thread in threads:
            thread.start()
        time.sleep(0.2)
        begin = time.monotonic()
        attack(server)
        took = time.monotonic() - begin
        time.sleep(1)
        for connection in server.connections:
            connection.close()
        over.set()
        for thread in threads:
            thread.join()
        time.sleep(5)
        after = server.resident
    said = f"{worst * 1000:,.0f} ms" + (f", {lost} unanswered" if lost else "")
    if server.refused:
        said += f"; a known caller refused {server.refused} times"
    return (
        f"| {name} | {server.sent / 1e6:.2f} MB in {took:.1f} s | {said} | {before:.0f} / {peak:.0f} / {after:.0f} MB |"
    )


def main() -> None:
    """Measure the attacks whose names hold the words given, or all."""
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("words", nargs="*", help="only attacks whose names hold one of these")
    words = parser.parse_args().words
    print("| attack | sent | /livez at worst | memory before / peak / after |\n|---|---|---|---|", flush=True)
    for name, attack in ATTACKS.items():
        if not words or any(word in name for word in words):
            print(measure(name, attack), flush=True)


if __name__ == "__main__":
    main()
