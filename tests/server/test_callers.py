"""What a caller costs before it is known who it is, and odd forms of requests by those who are known."""

import asyncio
import hashlib
import json
import time
from collections.abc import Iterator, MutableMapping
from pathlib import Path
from typing import Any

import botocore.auth
import botocore.awsrequest
import botocore.credentials
import httpx
import psutil
import pytest

from kilonova.credentials.credential import Credential
from kilonova.jobs.service import JobSettings
from kilonova.server import health
from kilonova.server.app import ServerSettings, create_app
from kilonova.server.openai import OpenAI
from kilonova.server.operation import Answer, Call
from tests.server.raw import connect, everything, loaded, push
from tests.servers import ACCESS_KEY, API_KEY, NOVA, SECRET_KEY, Kilonova, invoke

HEADERS = {"authorization": f"Bearer {API_KEY}"}
PATH = f"/model/{NOVA.replace(':', '%3A')}/invoke"


def body(text: str) -> bytes:
    params = {"embeddingPurpose": "GENERIC_INDEX", "text": {"value": text}}
    return json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": params}).encode()


def signed(
    server: Kilonova,
    data: bytes,
    *,
    key: str = ACCESS_KEY,
    secret: str = SECRET_KEY,
    hashed: bool = False,
    path: str = PATH,
    method: str = "POST",
) -> dict[str, str]:
    """The headers of a signed request, with the hash of its body in them where that is wanted."""
    request = botocore.awsrequest.AWSRequest(method, server.url + path, data=data)
    if hashed:
        request.headers["X-Amz-Content-SHA256"] = hashlib.sha256(data).hexdigest()
    keys = botocore.credentials.Credentials(key, secret)
    botocore.auth.SigV4Auth(keys, "bedrock", "us-east-1").add_auth(request)
    return {**dict(request.headers), "Host": f"127.0.0.1:{server.port}"}


def head(headers: dict[str, str], length: int | str, path: str = PATH, method: str = "POST") -> bytes:
    lines = [f"{method} {path} HTTP/1.1", *(f"{name}: {value}" for name, value in headers.items())]
    lines.append(f"Content-Length: {length}" if isinstance(length, int) else f"Transfer-Encoding: {length}")
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


@pytest.fixture(scope="module")
def server() -> Iterator[Kilonova]:
    with Kilonova("--max-mb", "64") as found:
        yield loaded(found)


def test_who_knows_only_a_key_id_locks_nobody_out(server: Kilonova) -> None:
    client, limited = server.client(), server.client(key="AKIDLIMITED", secret="secret-of-the-limited")
    connections = []
    for key in [ACCESS_KEY] * 12 + ["AKIDLIMITED"] * 4:
        for hashed in (False, True):
            connection = connect(server)
            forged = signed(server, b"x", key=key, secret="not the secret", hashed=hashed)
            connection.sendall(head(forged, 24_000_000))
            connections.append(connection)
    time.sleep(0.5)
    for _ in range(5):
        assert invoke(client, text={"value": "served"})["embeddings"]
        assert invoke(limited, text={"value": "served"})["embeddings"]
    begin = time.monotonic()
    for connection in connections:
        answer = connection.recv(1 << 16)
        assert answer.split(b" ", 2)[1] in (b"400", b"403", b"429")
        connection.close()
    assert time.monotonic() - begin < 15  # no first byte came


def test_bodies_without_a_name_leave_room_for_those_with_one(server: Kilonova) -> None:
    """Forged requests that really send what they declare, all but the last byte."""
    connections = []
    for _ in range(8):
        connection = connect(server)
        connection.sendall(head(signed(server, b"x", secret="not the secret"), 24_000_000))
        push(connection, b"x" * 1_000_000, 23)
        connections.append(connection)
    answer = httpx.post(server.url + PATH, content=body("x" * 8_000), headers=HEADERS, timeout=20)
    assert answer.status_code == 200
    assert psutil.Process(server.process.pid).memory_info().rss < 500_000_000
    for connection in connections:
        connection.close()


@pytest.mark.parametrize("method", ["GET", "DELETE"])
def test_what_takes_no_body_reads_none(server: Kilonova, method: str) -> None:
    path = "/v1/collections/none"
    before = psutil.Process(server.process.pid).memory_info().rss
    for _ in range(10):
        with connect(server) as connection:
            headers = {**HEADERS, "Host": "localhost"}
            connection.sendall(head(headers, "chunked", path, method))
            push(connection, b"f4240\r\n" + b"x" * 1_000_000 + b"\r\n", 24)
            push(connection, b"0\r\n\r\n")
            assert b" 400 " in connection.recv(1 << 16)[:20]
    assert psutil.Process(server.process.pid).memory_info().rss - before < 40_000_000
    answer = httpx.request(method, server.url + path, headers=HEADERS)
    assert answer.status_code == 404


@pytest.mark.parametrize("hashed", [True, False])
def test_signatures_with_and_without_the_hash_of_the_body(server: Kilonova, hashed: bool) -> None:
    data = body("签名")
    fine = signed(server, data, hashed=hashed)
    assert httpx.post(server.url + PATH, content=data, headers=fine).status_code == 200
    assert httpx.post(server.url + PATH, content=data + b" ", headers=fine).status_code == 403
    forged = signed(server, data, secret="wrong", hashed=hashed)
    assert httpx.post(server.url + PATH, content=data, headers=forged).status_code == 403


@pytest.mark.parametrize("name", ["X-Amz-Date", "Host", "Authorization", "X-Amz-Content-SHA256"])
def test_a_signed_header_that_comes_twice_is_refused(server: Kilonova, name: str) -> None:
    data = body("twice")
    headers = signed(server, data, hashed=True)
    lines = head(headers, len(data)).removesuffix(b"\r\n")
    with connect(server) as connection:
        connection.sendall(lines + f"Connection: close\r\n{name}: {headers[name]}\r\n\r\n".encode() + data)
        assert everything(connection).split(b" ", 2)[1] in (b"400", b"403")


@pytest.mark.parametrize("path", ["/model/./x/invoke", "/model//x/invoke", "/model/y/../x/invoke"])
def test_a_signed_path_is_the_one_that_is_served(server: Kilonova, path: str) -> None:
    data = body("elsewhere")
    headers = signed(server, data, path=path)
    with connect(server) as connection:
        connection.sendall(head({**headers, "Connection": "close"}, len(data), path) + data)
        answer = everything(connection)
    assert answer.split(b" ", 2)[1] == b"403"
    assert b"normal form" in answer


def test_a_signature_over_no_host_is_refused(server: Kilonova) -> None:
    headers = signed(server, b"")
    headers["Authorization"] = headers["Authorization"].replace("SignedHeaders=host", "SignedHeaders=:authority")
    del headers["Host"]
    with connect(server) as connection:
        connection.sendall(head(headers, 0).replace(b"HTTP/1.1", b"HTTP/1.0"))
        assert everything(connection).split(b" ", 2)[1] == b"400"


def test_a_presigned_url_is_refused_with_the_reason(server: Kilonova) -> None:
    answer = httpx.post(f"{server.url}{PATH}?X-Amz-Algorithm=AWS4-HMAC-SHA256&X-Amz-Signature=0", content=body("x"))
    assert answer.status_code == 403
    assert "presigned" in answer.json()["message"]


def test_a_byte_order_mark_before_json(server: Kilonova) -> None:
    plain = httpx.post(server.url + PATH, content=body("字"), headers=HEADERS)
    marked = httpx.post(server.url + PATH, content=b"\xef\xbb\xbf" + body("字"), headers=HEADERS)
    assert (marked.status_code, marked.content) == (200, plain.content)


def test_a_compressed_body_is_refused_with_the_reason(server: Kilonova) -> None:
    answer = httpx.post(server.url + PATH, content=b"\x1f\x8b", headers={**HEADERS, "content-encoding": "gzip"})
    assert answer.status_code == 400
    assert "uncompressed" in answer.json()["message"]


class Panic(BaseException):
    """As Rust's panics come out of pyo3."""


@pytest.mark.parametrize("path", ["/v1/models", "/livez"])
@pytest.mark.parametrize("fault", [Panic("private"), ValueError("private"), RecursionError(), GeneratorExit()])
def test_no_fault_passes_unanswered(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str, fault: BaseException
) -> None:
    async def broken(*_: object) -> Answer:
        raise fault

    monkeypatch.setattr(OpenAI, "models", broken)
    monkeypatch.setattr(health, "livez", broken)
    sent = call(tmp_path, path)
    assert sent[0]["status"] == 500
    assert b"x-amzn-requestid" in {name.lower() for name, _ in sent[0]["headers"]}
    assert b"log has the reason" in sent[1]["body"]
    assert b"private" not in sent[1]["body"]


def test_a_stop_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def late(_: object, call: Call) -> Answer:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()  # as uvicorn does when the time to finish is over
        await asyncio.sleep(1)
        return Answer(b"{}")

    monkeypatch.setattr(OpenAI, "models", late)
    sent = call(tmp_path, "/v1/models")
    assert sent[0]["status"] == 503
    assert b"stopping" in sent[1]["body"]


def call(folder: Path, path: str) -> list[MutableMapping[str, Any]]:
    """What the application answers to a GET."""
    app = create_app(ServerSettings(["fake"], [Credential("tests", api_key="key")], JobSettings(folder)))
    scope = {
        "type": "http",
        "method": "GET",
        "path": path,
        "query_string": b"",
        "headers": [(b"authorization", b"Bearer key"), (b"host", b"x")],
        "http_version": "1.1",
    }
    sent: list[MutableMapping[str, Any]] = []
    asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

    async def receive() -> dict[str, Any]:
        for message in asked:
            return message
        await asyncio.sleep(30)
        return {"type": "http.disconnect"}

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    asyncio.run(app(scope, receive, send))
    return sent
