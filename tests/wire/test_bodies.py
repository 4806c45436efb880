"""Bodies that are too much are refused before they are parsed, and wrong ones in few words."""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from typing import Any

import pytest

from kilonova.errors import InvalidInput
from kilonova.wire import async_invoke, nova, openai, search


def many(value: bytes, count: int) -> bytes:
    return b",".join([value] * count)


def keys(count: int) -> bytes:
    return b",".join(b'"k%d":1' % number for number in range(count))


def single(params: str) -> bytes:
    body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX"}}
    return json.dumps(body).replace('"GENERIC_INDEX"', f'"GENERIC_INDEX", {params}').encode()


def searching(body: bytes) -> search.SearchRequest:
    return search.parse(search.SearchRequest, body)


def upserting(body: bytes) -> search.UpsertRequest:
    return search.parse(search.UpsertRequest, body)


FLOODS: list[tuple[Callable[[bytes], Any], bytes]] = [
    (nova.parse_single, b"{" + keys(1_500_000) + b"}"),
    (nova.parse_single, b'{"singleEmbeddingParams":[' + many(b"1", 8_000_000) + b"]}"),
    (async_invoke.parse_start, b"{" + keys(500_000) + b"}"),
    (openai.parse_embeddings, b"{" + keys(1_000_000) + b"}"),
    (openai.parse_embeddings, b'{"model":"m","input":[' + many(b'"a"', 1_000_000) + b"]}"),
    (openai.parse_embeddings, b'{"model":"m","input":[' + many(b"{}", 900_000) + b"]}"),
    (searching, b"{" + keys(1_000_000) + b"}"),
    (searching, b'{"text":[' + many(b'"a"', 1_500_000) + b"]}"),
    (searching, b'{"text":[' + many(b'"a"', 100_000) + b"]}"),
    (searching, b'{"image":[' + many(b"1", 2_000_000) + b"]}"),
    (searching, b'{"image":[' + many(b"1", 900_000) + b"]}"),
    (searching, b'{"text":"' + b"x" * 20_000_000 + b'"}'),
    (searching, b'{"relevant":[' + many(b'"a"', 190_000) + b"]}"),
    (searching, b'{"where":"' + b"a = 1 or " * 1_000_000 + b'a = 1"}'),
    (upserting, b'{"points":[' + many(b"1", 2_000_000) + b"]}"),
    (upserting, b'{"points":[' + many(b"{}", 900_000) + b"]}"),
    (upserting, b'{"points":[{"id":"a","vector":[' + many(b"1", 900_000) + b"]}]}"),
    (upserting, b'{"points":[{"id":"a","vector":"","payload":{' + keys(300_000) + b"}}]}"),
]


@pytest.mark.parametrize(("parse", "body"), FLOODS, ids=[f"{parse.__name__}-{body[:30]!r}" for parse, body in FLOODS])
def test_floods_are_refused_at_once(parse: Callable[[bytes], Any], body: bytes) -> None:
    begin = time.process_time()
    with pytest.raises(InvalidInput) as refusal:
        parse(body)
    assert time.process_time() - begin < 1.0  # they took from 14 to 88 s
    assert len(str(refusal.value)) < 1_000


def test_the_longest_valid_bodies_pass() -> None:
    text = nova.parse_single(single(f'"text": {{"value": "{"," * 8_192}"}}'))
    assert text.text is not None
    assert text.text.value == "," * 8_192
    quotes = nova.parse_single(single(f'"text": {{"value": {json.dumps(chr(34) * 8_192)}}}'))
    assert quotes.text is not None
    data = bytes(range(256)) * 40_000
    image = nova.parse_single(
        single(f'"image": {{"format": "png", "source": {{"bytes": "{base64.b64encode(data).decode()}"}}}}')
    )
    assert image.image is not None
    assert image.image.source.bytes == data  # pydantic's validator has decoded it, piece by piece
    inputs = ['{"time": "12:34:56", "said": "a, b"}' * 60] * 2_048
    assert len(openai.parse_embeddings(json.dumps({"model": "m", "input": inputs}).encode()).input) == 2_048
    points = [
        {"id": str(row), "vector": "A" * 1_368, "payload": {f"field {n}": n for n in range(12)}}
        for row in range(10_000)
    ]
    assert len(upserting(json.dumps({"points": points}).encode()).points) == 10_000


@pytest.mark.parametrize("padding", ["AAA=" + "AAAA" * 400_000, "A" * 1_048_577, "AAAA" * 400_000 + "é", "=AAA"])
def test_long_base64_that_is_wrong(padding: str) -> None:
    with pytest.raises(InvalidInput, match="base64"):
        nova.parse_single(single(f'"image": {{"format": "png", "source": {{"bytes": "{padding}"}}}}'))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ('{"text": ""}', "at least 1 character (parameter: text.0)"),
        ('{"text": ["海滩", ""]}', "at least 1 character (parameter: text.1)"),
        ('{"text": [{"text": ""}]}', "parameter: text.0"),
        ('{"not": ""}', "at least 1 character (parameter: not.0)"),
        ('{"text": [1]}', "valid string (parameter: text.0)"),
        ('{"image": 1}', "parameter: image.0"),
        ('{"vector": ["x"]}', "parameter: vector"),
        ("[]", "an object"),
        ("null", "an object"),
        ('{"text": "a", "colour": 1}', "parameter: colour"),
        ('{"limit": 0}', "parameter: limit"),
        ('{"limit": ' + "9" * 5_000 + "}", "out of range"),
        ('{"text": ' + "[" * 500, "recursion"),
        ('{"text": "\\ud800"}', "hex escape"),
    ],
)
def test_wrong_searches_name_the_parameter(body: str, message: str) -> None:
    with pytest.raises(InvalidInput) as refusal:
        searching(body.encode())
    assert message in str(refusal.value)


def test_what_is_null_counts_as_left_out() -> None:
    fields = (
        "text",
        "not",
        "image",
        "vector",
        "kinds",
        "where",
        "limit",
        "mode",
        "relevant",
        "min_similarity",
        "collection",
    )
    assert searching(json.dumps(dict.fromkeys(fields)).encode()) == searching(b"{}")
    request = {"model": "m", "input": "a", "encoding_format": None, "dimensions": None, "user": None}
    body = json.dumps({**request, "embeddingPurpose": None}).encode()
    assert openai.parse_embeddings(body) == openai.parse_embeddings(b'{"model": "m", "input": "a"}')
    with pytest.raises(InvalidInput, match="expected text, image, audio or video"):
        openai.parse_embeddings(b'{"model": "m", "input": {"text": null}}')
    point = upserting(b'{"points": [{"id": "a", "vector": "", "payload": null, "text": null}]}').points[0]
    assert (point.payload, point.text) == (None, None)


def test_wrong_lists_of_jobs() -> None:
    for query in (
        [("maxResults", "9" * 5_000)],
        [("maxResults", "٣")],
        [("nextToken", "bnVsbA")],
        [("nextToken", "W1tbXV1d")],
    ):
        with pytest.raises(InvalidInput):
            async_invoke.parse_list(query)
