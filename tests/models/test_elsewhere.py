"""Models that other servers run: Kilonova's own OpenAI and Bedrock APIs stand for them, with the fake model behind."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import numpy as np
import pytest

from kilonova.engine.engine import Engine
from kilonova.errors import AccessDenied, InvalidInput, KilonovaError, NoAudioTrack, Unavailable
from kilonova.media import decoder
from kilonova.media.content import Content, Detail, Encoded, Input, Modality, Text, Truncation, VideoPart
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from kilonova.testing.models import vectors
from tests import samples
from tests.servers import API_KEY, NOVA, Kilonova

FILES = {
    Modality.IMAGE: samples.image("png"),
    Modality.AUDIO: samples.audio("flac", 2.0),
    Modality.VIDEO: samples.video("mp4", 3.0),
}


@pytest.fixture
def openai(fake: Kilonova, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("OPENAI_API_KEY", API_KEY)
    return f"openai+{fake.url}/v1#fake"


@pytest.fixture
def bedrock(fake: Kilonova, monkeypatch: pytest.MonkeyPatch) -> str:
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    return f"bedrock:{NOVA}"


def embedded(model: EmbeddingModel, *contents: Any, purpose: Purpose = Purpose.GENERIC_INDEX) -> np.ndarray:
    found = vectors(model, contents, purpose)
    assert found.dtype == np.float32
    return found / np.linalg.norm(found, axis=1, keepdims=True)


def test_texts_of_an_openai_server(openai: str) -> None:
    model = registry.load(openai)
    assert (model.card.native_dimension, model.card.modalities) == (3072, {Modality.TEXT})
    texts = [Text("日落海滩"), Text("a dog"), Text("日落海滩")]
    found = embedded(model, *texts)
    assert np.allclose(found, embedded(registry.load("fake"), *texts), atol=1e-5)
    with pytest.raises(InvalidInput, match="keep the end"):
        model.prepare(Text("x", Truncation.START), Purpose.GENERIC_INDEX)


@pytest.mark.parametrize("purpose", [Purpose.GENERIC_INDEX, Purpose.TEXT_RETRIEVAL])
def test_everything_of_bedrock(bedrock: str, purpose: Purpose) -> None:
    model, own = registry.load(bedrock), registry.load("fake")
    texts = [Text("日落海滩"), Text("a dog")]
    found = model.embed([model.prepare(text, purpose) for text in texts])
    right = embedded(own, *texts, purpose=purpose)
    assert np.allclose([one.vector / np.linalg.norm(one.vector) for one in found], right, atol=1e-5)
    assert [one.tokens for one in found] == [4, 2]  # as the server counts them
    for modality, data in FILES.items():
        encoded = Encoded(modality, data)
        decoded = decoder.decode(encoded, own.card.sample_rate, own.card.frame_rate)
        assert decoded is not None
        (same,) = embedded(own, decoded, purpose=purpose)
        assert np.allclose(embedded(model, encoded, purpose=purpose)[0], same, atol=1e-5)
        assert embedded(model, decoded, purpose=purpose)[0] @ same > 0.9  # encoded again; sounds lose bits


def test_through_an_engine(bedrock: str) -> None:
    async def run() -> None:
        async with Engine(bedrock) as engine:
            await engine.ready()
            for modality, data in FILES.items():
                found = await engine.embed(Encoded(modality, data, detail=Detail.STANDARD), Purpose.GENERIC_INDEX, 256)
                assert found.vector.shape == (256,)
            silent = Encoded(Modality.VIDEO, samples.video("mp4", 1.0, with_audio=False), part=VideoPart.AUDIO)
            with pytest.raises(NoAudioTrack, match="no audio track"):
                await engine.embed(silent, Purpose.GENERIC_INDEX, 256)
            broken: list[Input] = [Encoded(Modality.IMAGE, b"\x89PNG nothing", "png"), Text("fine")]
            answers = await asyncio.gather(
                *(engine.embed(one, Purpose.GENERIC_INDEX, 256) for one in broken), return_exceptions=True
            )
            assert isinstance(answers[0], InvalidInput)
            assert not isinstance(answers[1], BaseException)

    asyncio.run(run())


def test_wrong_keys_are_told(bedrock: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
    model = registry.load(bedrock)
    with pytest.raises(AccessDenied, match="server's own AWS credentials"):
        model.embed([model.prepare(Text("x"), Purpose.GENERIC_INDEX)])


class Moody:
    """An OpenAI server that answers with these statuses, one after the other, then well."""

    def __init__(self, *statuses: int) -> None:
        self.statuses, self.asked = list(statuses), 0
        moody = self

        class Handler(BaseHTTPRequestHandler):
            def log_message(self, *_: object) -> None:
                """Quiet."""

            def do_POST(self) -> None:
                moody.asked += 1
                count = len(json.loads(self.rfile.read(int(self.headers["content-length"])))["input"])
                status = moody.statuses.pop(0) if moody.statuses else 200
                rows = [{"index": index, "embedding": [1.0, float(index)]} for index in range(count)]
                body = json.dumps({"data": rows[::-1]} if status == 200 else {"error": "no"}).encode()
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

        self._http = HTTPServer(("127.0.0.1", 0), Handler)
        self.name = f"openai+http://127.0.0.1:{self._http.server_port}/v1#moody"
        self._thread = threading.Thread(target=self._http.serve_forever)
        self._thread.start()

    def close(self) -> None:
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@pytest.fixture
def moody() -> Iterator[list[Moody]]:
    made: list[Moody] = []
    yield made
    for one in made:
        one.close()


def test_a_busy_server_is_asked_again(moody: list[Moody]) -> None:
    server = Moody(429, 503)
    moody.append(server)
    model = registry.load(server.name)
    assert server.asked == 3
    contents: list[Content] = [Text("a"), Text("b")]
    assert vectors(model, contents).tolist() == [[1, 0], [1, 1]]


@pytest.mark.slow
@pytest.mark.parametrize(("status", "kind", "asked"), [(400, InvalidInput, 1), (500, Unavailable, 5)])
def test_a_server_that_refuses(moody: list[Moody], status: int, kind: type[KilonovaError], asked: int) -> None:
    server = Moody(*[status] * 5)
    moody.append(server)
    with pytest.raises(kind, match=f"answered {status}"):
        registry.card(server.name)
    assert server.asked == asked


@pytest.mark.slow
def test_names_and_servers_that_are_none() -> None:
    with pytest.raises(InvalidInput, match="names no model"):
        registry.card("openai+http://127.0.0.1:9/v1")
    with pytest.raises(Unavailable, match="cannot be reached"):
        registry.card("openai+http://127.0.0.1:9/v1#x")
