"""HTTP/2 from strangers: requests that are given up at once, frames without any use, odd requests, slow readers."""

import json
import struct
import time
from collections.abc import Iterator

import h2.events
import h2.settings
import psutil
import pytest

from tests.server.raw import PATIENCE, Watch, connect, end_of, everything, head, loaded, peer, push
from tests.servers import API_KEY, Kilonova, invoke

CALM = 11  # ENHANCE_YOUR_CALM, RFC 9113, 7


@pytest.fixture(scope="module")
def server() -> Iterator[Kilonova]:
    with Kilonova() as found:
        yield loaded(found)


def frame(kind: int, flags: int = 0, stream: int = 0, payload: bytes = b"") -> bytes:
    return struct.pack(">I", len(payload))[1:] + bytes([kind, flags]) + struct.pack(">I", stream) + payload


FLOODS = {
    "PING": frame(6, payload=b"12345678"),
    "SETTINGS": frame(4),
    "SETTINGS with values": frame(4, payload=b"\0\4\0\1\0\0" * 20),
    "PRIORITY": frame(2, stream=1, payload=b"\0\0\0\0\1"),
    "WINDOW_UPDATE": frame(8, payload=b"\0\0\0\1"),
    "empty DATA": frame(0, stream=1),
    "padding": frame(0, 8, stream=1, payload=b"\5" + b"\0" * 5),
    "unknown frames": frame(99, payload=b"x"),
    "acknowledged PING": frame(6, 1, payload=b"12345678"),
}


@pytest.mark.parametrize("case", FLOODS)
def test_frames_without_any_use_are_counted(server: Kilonova, case: str) -> None:
    with Watch(server) as watch, connect(server) as connection:
        client = peer(connection)
        client.send_headers(1, head(server, "POST", "/v1/search"))
        connection.sendall(client.data_to_send())
        size = 64_000_000
        sent = push(connection, FLOODS[case] * 1_000, size // (len(FLOODS[case]) * 1_000))
        assert sent < size // 2
        everything(connection)
    assert watch.worst < PATIENCE


def test_a_flood_is_told_to_be_calm(server: Kilonova) -> None:
    with connect(server) as connection:
        client = peer(connection)
        push(connection, FLOODS["PING"] * 1_100)
        end = end_of(connection, client)
        assert end is not None
        assert end.error_code == CALM


@pytest.mark.parametrize("path", ["/openapi.json", "/livez", "/readyz", "/metrics", "/v1/models"])
def test_requests_that_are_given_up_at_once(server: Kilonova, path: str) -> None:
    with Watch(server) as watch, connect(server) as connection:
        client = peer(connection)
        for number in range(1_000):
            client.send_headers(2 * number + 1, head(server, path=path), end_stream=True)
            client.reset_stream(2 * number + 1)
        sent = push(connection, client.data_to_send())
        end = end_of(connection, client) if sent else None
        assert end is None or end.error_code == CALM
    assert watch.worst < PATIENCE
    with Watch(server) as watch:
        time.sleep(0.5)  # nothing of it is worked on later
    assert watch.worst < PATIENCE


def test_a_client_that_gives_up_now_and_then_is_served(server: Kilonova) -> None:
    with connect(server) as connection:
        client = peer(connection)
        for number in range(100):
            client.send_headers(2 * number + 1, head(server), end_stream=True)
            client.reset_stream(2 * number + 1)
        client.send_headers(201, head(server), end_stream=True)
        connection.sendall(client.data_to_send())
        body = b""
        while b"ok" not in body:
            for event in client.receive_data(connection.recv(1 << 16)):
                assert not isinstance(event, h2.events.ConnectionTerminated)
                body += event.data or b"" if isinstance(event, h2.events.DataReceived) else b""


def test_headers_without_end(server: Kilonova) -> None:
    with Watch(server) as watch, connect(server) as connection:
        peer(connection)
        connection.sendall(frame(1, stream=1, payload=b"\x82\x86\x84"))
        push(connection, frame(9, stream=1, payload=b"\0\1a\1b" * 3_000), 1_000)
        everything(connection)
    assert watch.worst < PATIENCE
    assert psutil.Process(server.process.pid).memory_info().rss < 400_000_000


def test_many_small_pieces_of_a_body_hold_nobody_up(server: Kilonova) -> None:
    with Watch(server) as watch, connect(server) as connection:
        client = peer(connection)
        client.send_headers(1, head(server, "POST", "/v1/search"))
        connection.sendall(client.data_to_send())
        push(connection, frame(0, stream=1, payload=b"x") * 100_000)
    assert watch.worst < PATIENCE


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ([(":method", "CONNECT"), (":authority", "localhost:22")], b"400"),
        ([(":method", "GÉT"), (":path", "/livez"), (":scheme", "http"), (":authority", "localhost")], b"400"),
        ([(":method", "GET"), (":path", "/livez"), (":scheme", "http"), (":authority", "rebound.example")], b"400"),
        ([(":method", "GET"), (":path", "/livez"), (":scheme", "http"), (":authority", "localhost")], b"200"),
    ],
)
def test_odd_requests_are_answered(server: Kilonova, headers: list[tuple[str, str]], status: bytes) -> None:
    with connect(server) as connection:
        client = peer(connection)
        client.config.normalize_outbound_headers = client.config.validate_outbound_headers = False
        client.send_headers(1, [(name.encode(), value.encode()) for name, value in headers], end_stream=True)
        connection.sendall(client.data_to_send())
        found = b""
        while not found:
            for event in client.receive_data(connection.recv(1 << 16)):
                if isinstance(event, h2.events.ResponseReceived):
                    found = dict(event.headers or [])[b":status"]
        assert found == status
    assert "Traceback" not in server.log.read_text()


def established(server: Kilonova) -> int:
    """Connections that the server has open."""
    found = psutil.Process(server.process.pid).net_connections("tcp")
    return sum(one.status in (psutil.CONN_ESTABLISHED, psutil.CONN_CLOSE_WAIT) for one in found)


def test_who_lets_in_nothing_of_an_answer_holds_nobody_up(server: Kilonova) -> None:
    """Window 0: the answers cannot be sent. They are given up after 60 s, or when the client goes."""
    before = established(server)
    connections = []
    with Watch(server) as watch:
        for _ in range(10):
            connection = connect(server)
            client = peer(connection)
            client.update_settings({h2.settings.SettingCodes.INITIAL_WINDOW_SIZE: 0})
            for stream in range(1, 200, 2):
                client.send_headers(stream, head(server, path="/openapi.json"), end_stream=True)
            connection.sendall(client.data_to_send())
            connections.append(connection)
        time.sleep(0.5)
    assert watch.worst < PATIENCE
    for connection in connections:
        connection.close()
    until = time.monotonic() + 10
    while established(server) > before and time.monotonic() < until:
        time.sleep(0.1)
    assert established(server) <= before


def test_a_stop_finishes_what_http2_has_under_way() -> None:
    with Kilonova() as server, connect(server.wait_ready()) as connection:
        client = peer(connection)
        body = json.dumps({"model": "fake", "input": ["fake: slow"]}).encode()
        asked = [*head(server, "POST", "/v1/embeddings"), ("authorization", f"Bearer {API_KEY}")]
        client.send_headers(1, asked)
        client.send_data(1, body, end_stream=True)
        connection.sendall(client.data_to_send())
        time.sleep(0.1)
        server.process.terminate()
        events = client.receive_data(everything(connection))
        [answer] = [event for event in events if isinstance(event, h2.events.ResponseReceived)]
        assert dict(answer.headers or [])[b":status"] == b"200"
        assert any(isinstance(event, h2.events.StreamEnded) for event in events)
        assert any(isinstance(event, h2.events.ConnectionTerminated) for event in events)
        assert server.process.wait(10) == 0
        assert "Traceback" not in server.log.read_text()


@pytest.mark.parametrize("path", ["/readyz", "/metrics", "/openapi.json", "/livez"])
def test_open_pages_cost_callers_nothing(server: Kilonova, path: str) -> None:
    """Bursts of hundreds of streams, and a caller's texts meanwhile: none is refused."""
    client = server.client()
    with Watch(server) as watch, connect(server) as connection:
        peer_of = peer(connection)
        for number in range(120):
            peer_of.send_headers(2 * number + 1, head(server, path=path), end_stream=True)
        connection.sendall(peer_of.data_to_send())
        for index in range(6):
            assert invoke(client, text={"value": f"caller {index}"})["embeddings"]
    assert watch.worst < PATIENCE
