"""HTTP/2 by prior knowledge on the same port, as the AWS SDK for JavaScript uses it."""

import asyncio
import json
import socket
import time

import h2.connection
import httpx
import pytest

from tests.servers import API_KEY, NOVA, Kilonova

HEADERS = {"authorization": f"Bearer {API_KEY}"}
PATH = f"/model/{NOVA.replace(':', '%3A')}/invoke"


def body(text: str, **params: object) -> bytes:
    given = {"embeddingPurpose": "GENERIC_INDEX", "text": {"value": text}, **params}
    return json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": given}).encode()


def client(server: Kilonova) -> httpx.AsyncClient:
    return httpx.AsyncClient(http1=False, http2=True, base_url=server.url, headers=HEADERS, timeout=30)


def test_many_streams_of_one_connection(fake: Kilonova) -> None:
    with httpx.Client(base_url=fake.url, headers=HEADERS) as old:
        expected = [old.post(PATH, content=body(f"文字 {index}")) for index in range(60)]

    async def run() -> None:
        async with client(fake) as new:
            found = await asyncio.gather(*(new.post(PATH, content=body(f"文字 {index}")) for index in range(60)))
        for one, other in zip(found, expected, strict=True):
            assert one.http_version == "HTTP/2"
            assert other.http_version == "HTTP/1.1"
            assert one.content == other.content

    asyncio.run(run())


def test_bodies_larger_than_the_windows(fake: Kilonova) -> None:
    async def run() -> None:
        async with client(fake) as new:
            large = body("x" * 6_000_000)
            answers = await asyncio.gather(*(new.post(PATH, content=large) for _ in range(4)))
            for answer in answers:
                assert answer.status_code == 400
                assert "actual: 6000000" in answer.json()["message"]
            refused = await new.post(PATH, content=b"x" * 25_000_001)
            assert "at most 25,000,000" in refused.json()["message"]
            many = json.dumps({"model": "fake", "input": [f"{index}" for index in range(200)]}).encode()
            answer = await new.post("/v1/embeddings", content=many)  # an answer of some 7 MB
            assert len(answer.json()["data"]) == 200

    asyncio.run(run())


def test_an_unknown_length_is_counted(fake: Kilonova) -> None:
    async def run() -> None:
        async def pieces() -> object:
            for _ in range(30):
                yield b"x" * 1_000_000

        async with client(fake) as new:
            answer = await new.post(PATH, content=pieces())  # type: ignore[arg-type]
            assert "at most 25,000,000" in answer.json()["message"]
            assert (await new.post(PATH, content=body("still fine"))).status_code == 200

    asyncio.run(run())


def test_who_leaves_is_not_waited_for(fake: Kilonova) -> None:
    async def run() -> None:
        async with client(fake) as new:
            with pytest.raises(httpx.ReadTimeout):
                await new.post(PATH, content=body("fake: slow"), timeout=0.05)
            assert (await new.post(PATH, content=body("after"))).status_code == 200

    asyncio.run(run())


def test_what_is_no_http2_closes_the_connection(fake: Kilonova) -> None:
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        connection.sendall(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + b"\x00\x00\x01" + b"\x00" * 7)  # DATA of no stream
        received = b""
        while data := connection.recv(65536):
            received += data
        assert received  # settings and a GOAWAY, then the end
    with socket.create_connection(("127.0.0.1", fake.port), timeout=10) as connection:
        connection.sendall(b"P")  # the preface may come in pieces, and POST begins with P too
        time.sleep(0.05)
        peer = h2.connection.H2Connection()
        peer.initiate_connection()
        connection.sendall(peer.data_to_send()[1:])
        assert connection.recv(65536)
    assert json.loads(fake.get("/livez")) == {"status": "ok"}
