"""HTTP/1.1 from strangers: heads and trailers without end, silence, too many connections, odd hosts."""

import json
import resource
import subprocess
import time
from collections.abc import Iterator

import psutil
import pytest

from tests.server.raw import PATIENCE, Watch, connect, everything, loaded, push
from tests.servers import API_KEY, Kilonova

BLOCK = 1 << 16


@pytest.fixture(scope="module")
def server() -> Iterator[Kilonova]:
    with Kilonova() as found:
        yield loaded(found)


def resident(server: Kilonova) -> int:
    return int(psutil.Process(server.process.pid).memory_info().rss)


def status(answer: bytes) -> int:
    return int(answer.split(b" ", 2)[1])


START = b"GET /livez HTTP/1.1\r\nHost: localhost\r\n"
CHUNKED = b"POST /livez HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
ENDLESS = {
    "a URL": (b"GET /", b"x" * BLOCK),
    "one header": (START + b"a: ", b"x" * BLOCK),
    "the name of a header": (START, b"x" * BLOCK),
    "large headers": (START, (b"a: " + b"x" * 4090 + b"\r\n") * 16),
    "many headers": (START, b"a:\r\n" * 16_384),
    "trailers": (CHUNKED + b"1\r\nx\r\n0\r\n", b"t: x\r\n" * 10_000),
    "an extension of a chunk": (CHUNKED + b"1;a=", b"x" * BLOCK),
    "extensions of chunks": (CHUNKED, b"1;a=" + b"x" * 4_000 + b"\r\nx\r\n"),
    "blank lines": (b"", b"\r\n" * (BLOCK // 2)),
}


@pytest.mark.parametrize("case", ENDLESS)
def test_a_head_without_end_is_refused(server: Kilonova, case: str) -> None:
    start, more = ENDLESS[case]
    before = resident(server)
    with Watch(server) as watch, connect(server) as connection:
        connection.sendall(start)
        sent = push(connection, more, 20_000_000 // len(more))
        answer = everything(connection)
    assert sent < 20_000_000 - len(more)  # it was not read to its end
    if answer:  # a connection that is reset may lose it
        assert status(answer) in (200, 400, 404, 405, 431)
    assert watch.worst < PATIENCE
    assert resident(server) - before < 20_000_000


def test_how_large_a_head_may_be(server: Kilonova) -> None:
    for size, expected in ((60_000, 200), (70_000, 431)):
        with connect(server) as connection:
            connection.sendall(START + b"Connection: close\r\na: " + b"x" * size + b"\r\n\r\n")
            answer = everything(connection)
            assert status(answer) == expected
    assert "65,536 bytes are taken" in json.loads(answer.partition(b"\r\n\r\n")[2])["message"]
    with connect(server) as connection:
        connection.sendall(START + b"a: b\r\n" * 300 + b"\r\n")
        assert status(everything(connection)) == 431


def test_many_requests_at_once_are_all_answered_in_turn(server: Kilonova) -> None:
    with Watch(server) as watch, connect(server) as connection:
        connection.sendall((START + b"\r\n") * 3_000 + START + b"Connection: close\r\n\r\n")
        assert everything(connection).count(b"HTTP/1.1 200 OK") == 3_001
    assert watch.worst < PATIENCE


def test_a_client_that_asks_without_end_and_reads_nothing_has_to_wait(server: Kilonova) -> None:
    server.get("/openapi.json")  # made once
    before = resident(server)
    with Watch(server) as watch, connect(server) as connection:
        connection.settimeout(3)
        with pytest.raises(TimeoutError):
            for _ in range(2_000):
                connection.sendall((START.replace(b"/livez", b"/openapi.json") + b"\r\n") * 1_000)
    assert watch.worst < PATIENCE
    assert resident(server) - before < 20_000_000


def test_who_is_silent_is_not_waited_for(server: Kilonova) -> None:
    """Connections that begin in different ways and never ask for anything, all at the same time."""
    preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
    starts = {
        "nothing": b"",
        "a letter": b"G",
        "half a head": START + b"a: b",
        "the beginning of a preface": b"PR",
        "half a preface": preface[:12],
        "a preface": preface,
        "a preface and settings": preface + b"\0\0\0\4\0\0\0\0\0",
        "half a frame": preface + b"\0\0\0\4\0\0\0\0\0" + b"\0\0\x20\1\4\0\0\0\1half",
    }
    connections = {name: [connect(server) for _ in range(5)] for name in starts}
    begin = time.monotonic()
    for name, those in connections.items():
        for one in those:
            one.sendall(starts[name])
    slow = connect(server)
    for letter in (START + b"a" * 100)[:9]:
        slow.sendall(bytes([letter]))
        time.sleep(1)
    for name, those in connections.items():
        for one in those:
            answer = everything(one)
            one.close()
            if name == "half a head":
                assert status(answer) == 408
    everything(slow)
    slow.close()
    assert 9 < time.monotonic() - begin < 16


def test_a_kept_connection_outlives_the_time_of_a_head(server: Kilonova) -> None:
    with connect(server) as connection:
        for _ in range(2):
            connection.sendall(START + b"\r\n")
            answer = b""
            while b'"ok"' not in answer:
                answer += connection.recv(BLOCK)
            assert status(answer) == 200
            time.sleep(11)
        connection.sendall(START + b"Connection: close\r\n\r\n")
        assert status(everything(connection)) == 200


def test_silent_connections_make_room() -> None:
    few = 256
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (few, limit[1]))
    try:
        server = Kilonova().__enter__().wait_ready()
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limit)
    try:
        silent = [connect(server) for _ in range(2 * few)]
        for _ in range(5):
            begin = time.monotonic()
            assert json.loads(server.get("/readyz"))["status"] == "ok"
            assert time.monotonic() - begin < 2
        assert psutil.Process(server.process.pid).num_fds() < few
        for one in silent:
            one.close()
    finally:
        server.close()


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        ("GET /livez HTTP/1.1\r\nHost: localhost:1\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: 127.0.0.1\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: [::1]:8000\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: kilonova.test\r\n", 200),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: http://localhost:3000\r\n", 200),
        ("GET /livez HTTP/1.0\r\nHost: localhost\r\n", 200),
        ("GET /livez HTTP/1.0\r\n", 400),
        ("GET /livez HTTP/1.1\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nHost: localhost\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: rebound.example\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: localhost.example\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: [::1\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: https://evil.example\r\n", 400),
        ("GET /livez HTTP/1.1\r\nHost: localhost\r\nOrigin: null\r\n", 400),
        ("GET /livez/ HTTP/1.1\r\nHost: localhost\r\n", 404),
        ("CONNECT localhost:22 HTTP/1.1\r\nHost: localhost\r\n", 400),
    ],
)
def test_whom_a_request_is_for(named: Kilonova, head: str, expected: int) -> None:
    with connect(named) as connection:
        connection.sendall(f"{head}Connection: close\r\n\r\n".encode())
        answer = everything(connection)
    assert status(answer) == expected
    assert b"location:" not in answer.lower()


@pytest.fixture(scope="module")
def named() -> Iterator[Kilonova]:
    with Kilonova("--allow-host", "kilonova.test") as found:
        yield found.wait_ready()


def test_a_body_that_is_not_read_does_not_keep_a_connection(server: Kilonova) -> None:
    request = f"GET /v1/models HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n"
    with connect(server) as connection:
        connection.sendall(f"{request}Content-Length: 1000\r\n\r\nx".encode())
        begin = time.monotonic()
        answer = everything(connection)
        assert status(answer) == 400
        assert b"takes no body" in answer
        assert time.monotonic() - begin < 15


@pytest.mark.parametrize("number", ["TERM", "INT", "HUP"])
def test_every_signal_stops_it_cleanly(number: str) -> None:
    with Kilonova() as server:
        server.wait_ready()
        children = psutil.Process(server.process.pid).children(recursive=True)
        subprocess.run(["kill", f"-{number}", str(server.process.pid)], check=True)
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log.read_text()
        assert not psutil.wait_procs(children, timeout=5)[1]


def test_what_is_under_way_when_time_is_up_is_told() -> None:
    with Kilonova("--batch-seconds", "60") as server, connect(server.wait_ready()) as connection:
        connection.settimeout(30)
        body = json.dumps({"model": "fake", "input": ["fake: hang"]}).encode()
        head = f"POST /v1/embeddings HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer {API_KEY}\r\n"
        connection.sendall(f"{head}Content-Length: {len(body)}\r\n\r\n".encode() + body)
        time.sleep(0.5)
        server.process.terminate()
        answer = everything(connection)
        assert status(answer) == 503
        assert b"stopping" in answer
        assert b"x-amzn-requestid" in answer.lower()
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log.read_text()
