"""Whatever one file does in bulk embedding is its own failure."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from typing import Any

import pytest

from kilonova.bulk.embedder import BulkEmbedder, Outcome
from kilonova.bulk.parts import BulkSettings
from kilonova.errors import Gone, Unreadable
from kilonova.media.content import Text
from kilonova.models.card import Purpose
from kilonova.segments.files import File, Kind
from kilonova.segments.read import Readers
from kilonova.segments.segment import Segment
from kilonova.storage.objects import ObjectInfo


class Panic(BaseException):
    """What pyo3's PanicException is: no Exception."""


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (AttributeError("a fault \ud800"), "AttributeError"),
        (Panic("panicked"), "Panic"),
        (MemoryError(), "MemoryError"),
        (Unreadable("The server may not read it."), "may not read"),
        (Gone("It does not exist."), ""),
    ],
)
def test_the_others_go_on(monkeypatch: pytest.MonkeyPatch, fault: BaseException, error: str) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_DEFAULT_REGION", "us-east-1")

    async def read(_: Readers, file: File, *__: Any, **___: Any) -> AsyncGenerator[Segment]:
        if "bad" in file.uri:
            raise fault
        yield Segment(0, (Text("words"),), 0, 5)

    monkeypatch.setattr(Readers, "read", read)
    outcomes: list[Outcome] = []

    async def files() -> AsyncGenerator[File]:
        for name in ("a.txt", "bad.txt", "z.txt"):
            yield File(f"s3://media/{name}", Kind.TEXT, ObjectInfo(5, "e"))

    async def run() -> None:
        settings = BulkSettings("s3://media/out", "fake", Purpose.GENERIC_INDEX, 256, 5, 800)
        async with BulkEmbedder(settings) as embedder:
            monkeypatch.setattr("kilonova.bulk.embedder.write", lambda *_: None)
            await asyncio.wait_for(embedder.run(files(), outcomes.append), 60)

    asyncio.run(run())
    of = {outcome.file.uri.rpartition("/")[2]: outcome for outcome in outcomes}
    assert {name: bool(one.error) for name, one in of.items()} == {
        "a.txt": False,
        "bad.txt": bool(error),
        "z.txt": False,
    }
    assert error in of["bad.txt"].error
    assert of["bad.txt"].kept is False  # tried again next time
    of["bad.txt"].error.encode()
