"""Mutated requests of every operation: how many are answered by 5xx, by a broken stream, or by nothing.

    python -m benchmarks.fuzz --requests 100000

starts a server of the fake model on 127.0.0.1 and prints one line, and each failure with the request that made it. The
same requests come again with the same ``--seed``. ``tests/server/test_fuzz.py`` runs 20,000 of them.
"""

from __future__ import annotations

import argparse
import base64
import contextlib
import copy
import http.client
import json
import random
import re
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote, urlsplit

import numpy as np

__all__ = ["Report", "Request", "requests", "run"]

NOVA = "amazon.nova-2-multimodal-embeddings-v1:0"
VECTOR = base64.b64encode(np.ones(256, "<f4").tobytes()).decode()
PNG = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="  # one pixel


@dataclass
class Request:
    """One request: method, path with query, body and headers."""

    method: str
    path: str
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


@dataclass
class Report:
    """How requests were answered: statuses with their counts, the failures, the slowest answer in seconds."""

    statuses: Counter[int] = field(default_factory=Counter)
    failures: list[tuple[Request, str]] = field(default_factory=list)
    slowest: tuple[float, Request] = (0.0, Request("", ""))


def _single(**params: Any) -> dict[str, Any]:
    return {
        "schemaVersion": "nova-multimodal-embed-v1",
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256, **params},
    }


_POINT = {"id": "点 1", "vector": VECTOR, "payload": {"kind": "image", "年": 2020, "tags": ["a"]}, "text": "灯塔 lamp"}
_WHERE = "年 >= 2020 and (kind in (image, video) or not exists tags) and taken > 2024-05-01"
_JOB = {
    "modelId": NOVA,
    "clientRequestToken": "token",
    "modelInput": {
        "taskType": "SEGMENTED_EMBEDDING",
        "segmentedEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX",
            "text": {"source": {"s3Location": {"uri": "s3://media/没有.txt"}}, "truncationMode": "END"},
        },
    },
    "outputDataConfig": {"s3OutputDataConfig": {"s3Uri": "s3://media/fuzz"}},
}
#: A valid request of every operation.
SEEDS: list[tuple[str, str, Any]] = [
    ("POST", f"/model/{NOVA}/invoke", _single(text={"truncationMode": "END", "value": "日落海滩 sunset"})),
    ("POST", f"/model/{NOVA}/invoke", _single(text={"source": {"s3Location": {"uri": "s3://media/没有.txt"}}})),
    ("POST", f"/model/{NOVA}/invoke", _single(image={"format": "png", "source": {"bytes": PNG}})),
    ("POST", f"/model/{NOVA}/invoke", _single(audio={"format": "wav", "source": {"bytes": "UklGRg=="}})),
    ("POST", f"/model/{NOVA}/invoke", _single(video={"format": "mp4", "source": {"bytes": "AAAA"}})),
    ("POST", "/async-invoke", _JOB),
    ("GET", "/async-invoke?maxResults=5&statusEquals=Completed&sortOrder=Ascending&submitTimeAfter=2024-01-01", None),
    ("GET", "/async-invoke/arn:aws:bedrock:us-east-1:000000000000:async-invoke/abcdefghijkl", None),
    ("GET", "/kilonova/jobs/arn:aws:bedrock:us-east-1:000000000000:async-invoke/abcdefghijkl", None),
    ("POST", "/kilonova/jobs/arn:aws:bedrock:us-east-1:000000000000:async-invoke/abcdefghijkl/cancel", {}),
    ("GET", "/foundation-models?byOutputModality=EMBEDDING", None),
    ("GET", f"/foundation-models/{NOVA}", None),
    ("POST", "/v1/embeddings", {"model": "fake", "input": ["灯塔", "lamp"], "dimensions": 256, "user": "me"}),
    ("POST", "/v1/embeddings", {"model": "fake", "input": {"image": {"bytes": PNG}}, "encoding_format": "base64"}),
    ("GET", "/v1/models", None),
    ("GET", "/v1/collections", None),
    ("POST", "/v1/collections", {"name": "收藏", "model": "fake", "dimension": 256, "metric": "cosine"}),
    ("GET", "/v1/collections/fuzz", None),
    ("POST", "/v1/collections/fuzz/points", {"points": [_POINT]}),
    ("POST", "/v1/collections/fuzz/points/get", {"ids": ["点 1", "nobody"]}),
    ("POST", "/v1/collections/fuzz/points/delete", {"ids": ["nobody"]}),
    ("POST", "/v1/collections/fuzz/points/count", {"where": _WHERE}),
    ("POST", "/v1/collections/fuzz/points/scroll", {"where": _WHERE, "vectors": False}),
    ("POST", "/v1/collections/fuzz/points/query", {"vector": VECTOR, "limit": 3, "where": _WHERE, "exact": True}),
    ("POST", "/v1/collections/fuzz/points/query", {"text": "灯塔", "limit": 3}),
    ("POST", "/v1/collections/fuzz/optimize", {}),
    ("DELETE", "/v1/collections/nobody", None),
    ("POST", "/v1/search", {"collection": "fuzz", "text": ["灯塔", {"text": "lamp", "weight": 0.5}], "not": "car"}),
    ("POST", "/v1/search", {"collection": "fuzz", "image": {"bytes": PNG, "weight": 2}, "kinds": ["image"]}),
    ("POST", "/v1/search", {"collection": "fuzz", "vector": VECTOR, "where": _WHERE, "limit": 5, "diversity": 0.5}),
    ("POST", "/v1/search", {"collection": "fuzz", "text": "a", "relevant": ["点 1"], "min_similarity": 0.1}),
    ("POST", "/v1/search", {"collection": "fuzz", "text": "a", "mode": "keyword"}),
    ("POST", "/v1/search", {"collection": "fuzz", "document": {"bytes": "JVBERi0xLjQ=", "page": 2}}),
    ("GET", "/v1/items/点 1/media?collection=fuzz", None),
    ("GET", "/openapi.json", None),
    ("GET", "/livez", None),
    ("GET", "/metrics", None),
]
_NUMBERS = ["0", "-1", "1e400", "-1e400", "NaN", "Infinity", "1" + "0" * 308, "9" * 5_000, "0.1e-400", "2147483648",
            "9223372036854775808", "-9223372036854775809", "3.5", "-0"]  # fmt: skip
_STRINGS = ["", " ", "\0", "a" * 5_000, "𠮷" * 64, "../../etc/passwd", "null", "\u202e\ufffe", "\\ud800", "%00", "{}",
            "[", "s3://", "s3://media/../x", "http://127.0.0.1/", "=AAA", "a\\b", '"', "not " * 60 + "a = 1",
            "a = 1e999", 'a > "0001-01-01T00:00:00+23:00"', 'a > "2024-01-01T00:00:00+00:00:01"', "a in (",
            '"a\\\\" = 1',
            "0001-01-01T00:00:00+23:59", "9" * 5_000, "\u0663", "arn:aws:bedrock:::",
            "a" * 200 + "/" + "b" * 200]  # fmt: skip


class _Raw:
    """JSON text that stands in a body as it is."""

    def __init__(self, text: str) -> None:
        self.text = text


def requests(seed: int, count: int) -> Iterator[Request]:
    """Mutated requests, the same for the same seed."""
    chance = random.Random(seed)
    for number in range(count):
        method, path, body = copy.deepcopy(SEEDS[number % len(SEEDS)])
        headers = {"Content-Type": "application/json"}
        data = b""
        if body is not None and chance.random() < 0.9:
            for _ in range(chance.choice((1, 1, 1, 2, 4))):
                body = _mutated(body, chance)
            data = _encoded(body)
            if chance.random() < 0.15:
                data = _broken(data, chance)
        if chance.random() < (0.1 if body is not None else 0.6):
            path = _other_path(path, chance)
        if chance.random() < 0.05:
            headers |= chance.choice(_HEADERS)
        if chance.random() < 0.02 and path != "/v1/collections/fuzz":
            method = chance.choice(("PUT", "PATCH", "HEAD", "OPTIONS", "DELETE", "GET", "POST"))
        yield Request(method, quote(path, safe="/?&=%:@+,;"), data, headers)


_HEADERS: list[dict[str, str]] = [
    {"Content-Type": "multipart/form-data; boundary=x"},
    {"Content-Type": "multipart/form-data"},
    {"Content-Type": "multipart/form-data; boundary=x; charset=undefined"},
    {"Content-Type": "text/plain; charset=utf-7"},
    {"Content-Encoding": "gzip"},
    {"Range": "bytes=9-2"},
    {"Range": "bytes=-" + "9" * 400},
    {"Accept": "image/png"},
    {"X-Amzn-Bedrock-Accept": "x" * 3_000},
]


def _encoded(body: Any) -> bytes:
    text = json.dumps(body, ensure_ascii=False, default=lambda raw: f"\x1a{raw.text}\x1a")
    raw = re.sub(r'"\\u001a(.*?)\\u001a"', lambda found: str(json.loads(f'"{found[1]}"')), text)
    return raw.encode("utf-8", "surrogatepass")


def _mutated(body: Any, chance: random.Random) -> Any:
    """A JSON value with one node changed."""
    if isinstance(body, dict) and body and chance.random() < 0.8:
        key = chance.choice(list(body))
        what = chance.random()
        if what < 0.1:
            del body[key]
        elif what < 0.2:
            body[chance.choice([*_STRINGS, "extra"])[:300]] = body[key]
        else:
            body[key] = _mutated(body[key], chance)
        return body
    if isinstance(body, list) and body and chance.random() < 0.7:
        place = chance.randrange(len(body))
        body[place] = _mutated(body[place], chance)
        return body
    if isinstance(body, str) and body and chance.random() < 0.4:
        place = chance.randrange(len(body))
        return body[:place] + chance.choice(_STRINGS)[:5_000] + body[place + chance.randrange(3) :]
    return _poison(body, chance)


def _poison(value: Any, chance: random.Random) -> Any:
    deep = chance.choice((20, 40, 140, 190, 1_000))
    choices: list[Callable[[], Any]] = [
        lambda: None,
        lambda: chance.choice((True, False)),
        lambda: _Raw(chance.choice(_NUMBERS)),
        lambda: chance.choice(_STRINGS),
        lambda: [],
        lambda: {},
        lambda: [value] * (chance.choice((2, 40, 2_100)) if len(repr(value)) < 500 else 2),
        lambda: {"a": value},
        lambda: _Raw("[" * deep + "]" * deep),
        lambda: _Raw('{"n":' * deep + "1" + "}" * deep),
        lambda: _Raw('"\\ud800"'),
        lambda: _Raw('"caf\\udce9"'),
        lambda: {f"k{number}": number for number in range(chance.choice((3, 300)))},
    ]
    return chance.choice(choices)()


def _broken(data: bytes, chance: random.Random) -> bytes:
    place = chance.randrange(len(data) + 1)
    return chance.choice(
        (
            data[:place],
            data[:place] + bytes(chance.randrange(256) for _ in range(3)) + data[place:],
            b"\xef\xbb\xbf" + data,
            data + data,
            data.decode("utf-8", "surrogatepass").encode("utf-16", "surrogatepass"),
            b"\x1f\x8b\x08" + data,
            b"",
        )
    )


def _other_path(path: str, chance: random.Random) -> str:
    if "?" in path and chance.random() < 0.7:
        root, query = path.split("?", 1)
        parts = query.split("&")
        place = chance.randrange(len(parts))
        parts[place] = parts[place].split("=")[0] + "=" + quote(chance.choice(_STRINGS)[:3_000], safe="")
        return f"{root}?{'&'.join(parts)}"
    parts = path.split("/")
    place = chance.randrange(1, len(parts))
    parts[place] = chance.choice(
        ("", ".", "..", quote(chance.choice(_STRINGS)[:1_000], safe=""), "%ff%fe", parts[place] + "%00", "x" * 300)
    )
    return "/".join(parts)


def run(url: str, api_key: str, seed: int, count: int, clients: int = 4) -> Report:
    """Send requests over connections that are kept, and see what comes back.

    A failure is a status of 500 or above other than 503, an answer that breaks off, no answer within 30 s, or an error
    that says nothing.
    """
    report, lock = Report(), threading.Lock()
    todo = requests(seed, count)

    def work() -> None:
        place = urlsplit(url)
        connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
        while True:
            with lock:
                request = next(todo, None)
            if request is None:
                connection.close()
                return
            begin = time.perf_counter()
            try:
                headers = {"Authorization": f"Bearer {api_key}", **request.headers}
                with contextlib.suppress(BrokenPipeError, ConnectionResetError):  # it answered before it read all
                    connection.request(request.method, request.path, request.body, headers)
                answer = connection.getresponse()
                body = answer.read()
                fault = _fault(request, answer.status, body)
                status = answer.status
            except (OSError, http.client.HTTPException) as error:
                fault, status = f"{type(error).__name__}: {error}", 0
                connection.close()
            seconds = time.perf_counter() - begin
            with lock:
                report.statuses[status] += 1
                report.slowest = max(report.slowest, (seconds, request), key=lambda one: one[0])
                if fault:
                    report.failures.append((request, fault))

    workers = [threading.Thread(target=work) for _ in range(clients)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    return report


def _fault(request: Request, status: int, body: bytes) -> str:
    if status >= 500 and status != 503:
        return f"{status}: {body[:300]!r}"
    if status >= 400 and request.method != "HEAD" and status != 416 and len(body) < 20:
        return f"{status} says nothing: {body!r}"
    return ""


def prepare(url: str, api_key: str) -> None:
    """Make the collection that the requests are about."""
    place = urlsplit(url)
    connection = http.client.HTTPConnection(place.hostname or "", place.port, timeout=30)
    headers = {"Authorization": f"Bearer {api_key}"}
    for path, body in (
        ("/v1/collections", {"name": "fuzz", "model": "fake", "dimension": 256}),
        ("/v1/collections/fuzz/points", {"points": [_POINT]}),
    ):
        connection.request("POST", path, json.dumps(body), headers)
        answer = connection.getresponse()
        assert answer.status == 200, answer.read()
        answer.read()
    connection.close()


def main() -> None:
    from tests.servers import API_KEY, S3, Kilonova

    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    arguments = parser.parse_args()
    with S3() as s3, Kilonova("--batch-seconds", "5", environment=s3.environment()) as server:
        server.wait_ready()
        prepare(server.url, API_KEY)
        begin = time.perf_counter()
        report = run(server.url, API_KEY, arguments.seed, arguments.requests)
        seconds = time.perf_counter() - begin
    for request, fault in report.failures[:50]:
        print(f"{request.method} {request.path[:150]} {request.body[:200]!r}\n    {fault}")
    print(
        f"{arguments.requests:,} requests in {seconds:.0f} s: {dict(sorted(report.statuses.items()))}, "
        f"{len(report.failures)} failures, slowest {report.slowest[0]:.2f} s: "
        f"{report.slowest[1].method} {report.slowest[1].path[:100]} {report.slowest[1].body[:300]!r}"
    )


if __name__ == "__main__":
    main()
