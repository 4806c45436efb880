"""Wrong requests over HTTP get a 4xx that says what is wrong; no request harms what another caller has written."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kilonova.wire import search as wire
from tests.servers import API_KEY, Kilonova

VECTOR = wire.encode_vector(np.ones(4, np.float32))
DEEP = '{"n": ' + "[" * 140 + "]" * 140 + "}"


def client(server: Kilonova) -> httpx.Client:
    headers = {"Authorization": f"Bearer {API_KEY}"}
    return httpx.Client(base_url=server.url, headers=headers, timeout=30, trust_env=False)


@pytest.fixture(scope="module")
def http(fake: Kilonova) -> Iterator[httpx.Client]:
    with client(fake) as made:
        body = {"name": "拒绝", "model": "fake", "dimension": 256}
        assert made.post("/v1/collections", json=body).status_code == 200
        body = {"name": "points", "model": "fake", "dimension": 4}
        assert made.post("/v1/collections", json=body).status_code == 200
        points = [{"id": "good", "vector": VECTOR, "payload": {"year": 2020}, "text": "灯塔"}]
        assert made.post("/v1/collections/points/points", json={"points": points}).status_code == 200
        yield made
        for name in ("拒绝", "points"):
            assert made.delete(f"/v1/collections/{name}").status_code == 200


def refused(answer: httpx.Response, reason: str) -> None:
    assert answer.status_code == 400, answer.text
    assert reason in answer.json()["error"]["message"]
    assert answer.headers["x-amzn-requestid"]


@pytest.mark.parametrize(
    ("payload", "reason"),
    [
        (DEEP, "nested more than 32 deep"),
        ('{"n": ' + '{"n":' * 140 + "1" + "}" * 141, "nested more than 32 deep"),
        ('{"n": NaN}', "nan"),
        ('{"n": [1, -Infinity]}', "-inf"),
        ('{"n": 1e400}', "inf"),
        ('{"n": 1' + "0" * 308 + "}", "beyond 64 bits"),
        ('{"n": ' + "9" * 5_000 + "}", "out of range"),
        ('{"n": "\\ud800"}', "hex escape"),
    ],
)
def test_payloads_that_could_not_be_read_back(http: httpx.Client, payload: str, reason: str) -> None:
    body = f'{{"points": [{{"id": "bad", "vector": "{VECTOR}", "payload": {payload}}}]}}'
    refused(http.post("/v1/collections/points/points", content=body), reason)
    kept = http.post("/v1/collections/points/points/get", json={"ids": ["good", "bad"]}).json()["points"]
    assert [one["id"] for one in kept] == ["good"]


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ("year < 1" + "0" * 308, "out of range"),
        ("year = " + "9" * 5_000, "out of range"),
        ('"a\\\\b" = 1', "cannot be filtered"),
        ("year > hello", "no order"),
        ("year", "lacks"),
        ("x = " + "y" * 17_000, "16384 characters"),
    ],
)
@pytest.mark.parametrize("path", ["count", "scroll", "query", "search"])
def test_wrong_filters_are_told_before_the_answer_begins(
    http: httpx.Client, path: str, where: str, reason: str
) -> None:
    body: dict[str, Any] = {"where": where}
    if path == "search":
        refused(http.post("/v1/search", json={**body, "collection": "拒绝", "text": "海滩"}), reason)
    else:
        body |= {"text": "灯塔"} if path == "query" else {}
        refused(http.post(f"/v1/collections/points/points/{path}", json=body), reason)


def test_a_date_with_seconds_in_its_zone(http: httpx.Client) -> None:
    answer = http.post("/v1/collections/points/points/count", json={"where": 'y > "2024-01-01T00:00:00+00:00:01"'})
    assert (answer.status_code, answer.json()) == (200, {"count": 0})


@pytest.mark.parametrize("text", ["", [""], ["a", ""]])
@pytest.mark.parametrize("mode", ["hybrid", "vector", "keyword"])
def test_an_emptied_search_box(http: httpx.Client, text: str | list[str], mode: str) -> None:
    answer = http.post("/v1/search", json={"collection": "拒绝", "text": text, "mode": mode})
    refused(answer, "at least 1 character (parameter: text.")


def form(charset: str, name: bytes, value: bytes, file: bytes = b"") -> tuple[bytes, dict[str, str]]:
    given = b'; filename="%s"' % file if file else b""
    head = b'--xyz\r\nContent-Disposition: form-data; name="%s"%s\r\n\r\n%s\r\n' % (name, given, value)
    kind = f"multipart/form-data; boundary=xyz; charset={charset}"
    collection = '--xyz\r\nContent-Disposition: form-data; name="collection"\r\n\r\n拒绝\r\n--xyz--\r\n'
    return head + collection.encode("utf-8"), {"Content-Type": kind}


@pytest.mark.parametrize("charset", ["punycode", "undefined", "utf-7", "unicode_escape", "no-such", "base64", "idna"])
@pytest.mark.parametrize("value", [b"\xff\xfe-\xd8", b"\\ud800", "海滩".encode()])
def test_charsets_of_forms(http: httpx.Client, charset: str, value: bytes) -> None:
    body, headers = form(charset, b"text", value)
    answer = http.post("/v1/search", content=body, headers=headers)
    assert answer.status_code in (400, 404), answer.text  # the collection's name is in another charset, too
    assert answer.json()["error"]["message"]


@pytest.mark.parametrize("name", [b"a\0b.pdf", b"a." + b"x" * 300, b"..", "报告.pdf".encode(), b"%00.pdf", b"a/b.p df"])
def test_names_of_files_in_forms(http: httpx.Client, name: bytes) -> None:
    body, headers = form("utf-8", b"document", b"not a document", name)
    refused(http.post("/v1/search", content=body, headers=headers), "")


def test_nulls_and_other_small_things(fake: Kilonova, http: httpx.Client) -> None:
    body = {"model": "fake", "input": "海滩", "encoding_format": None, "dimensions": None, "user": None}
    assert http.post("/v1/embeddings", json=body).status_code == 200
    refused(http.post("/v1/embeddings", json={"model": "fake", "input": {"text": None}}), "expected text, image")
    refused(http.post("/v1/collections", json={"name": "𠮷" * 64, "model": "fake"}), "Invalid collection name")
    answer = http.get("/async-invoke", params={"maxResults": "9" * 5_000})
    assert (answer.status_code, answer.headers["x-amzn-errortype"]) == (400, "ValidationException")


def test_damage_in_one_collection_is_told_and_dropped(tmp_path: Path) -> None:
    for name in ("good", "cut", "newer"):
        folder = tmp_path / "collections" / name
        folder.mkdir(parents=True)
        (folder / "collection.json").write_text('{"format": 2}' if name == "newer" else "{")
    with Kilonova("--data", str(tmp_path)) as server, client(server.wait_ready()) as http:
        assert http.delete("/v1/collections/good").status_code == 200
        assert http.post("/v1/collections", json={"name": "good", "model": "fake", "dimension": 256}).status_code == 200
        found = http.get("/v1/collections").json()
        assert [(one["name"], one["count"]) for one in found["collections"]] == [("good", 0)]
        assert set(found["faults"]) == {"cut", "newer"}
        assert http.post("/v1/search", json={"collection": "good", "text": "海滩"}).json() == {"hits": []}
        for name, status in (("cut", 503), ("newer", 400)):
            answer = http.post("/v1/search", json={"collection": name, "text": "海滩"})
            assert answer.status_code == status
            assert name in answer.json()["error"]["message"]
            assert http.delete(f"/v1/collections/{name}").status_code == 200
        assert json.loads(http.get("/v1/collections").content)["faults"] == {}
