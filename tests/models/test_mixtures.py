"""Contents of several kinds that make one vector: through the library and through /v1/embeddings."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Iterator
from typing import Any

import httpx
import numpy as np
import pytest

from kilonova.engine.engine import Engine
from kilonova.errors import InvalidInput
from kilonova.media import decoder
from kilonova.media.content import Content, Encoded, Image, Mixed, Modality, Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing.models import vectors
from tests import samples
from tests.models.tiny import bert, gemma, qwen, torch
from tests.servers import API_KEY, Kilonova

pytestmark = pytest.mark.models

INDEX = Purpose.GENERIC_INDEX
PICTURE, SOUND = samples.image("png", 90, 64), samples.audio("wav", 1.0, rate=16_000)


def decoded(modality: Modality, data: bytes) -> Any:
    return decoder.decode(Encoded(modality, data), 16_000, 1.0)


def unit(name: str, content: Content | Mixed, purpose: Purpose = INDEX) -> np.ndarray:
    (vector,) = vectors(registry.load(name), [content], purpose)
    return np.asarray(vector / np.linalg.norm(vector))


def test_gemma_reads_the_parts_in_their_order() -> None:
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(gemma()).eval(), AutoProcessor.from_pretrained(gemma())
    picture, sound = decoded(Modality.IMAGE, PICTURE), decoded(Modality.AUDIO, SOUND)
    for parts, text in (
        ((Text("日落海滩"), picture, sound), "title: none | text: 日落海滩<|image|><|audio|>"),
        ((sound, picture), "<|audio|><|image|>"),
    ):
        inputs = processor(
            text=[text if "title" in text else f"title: none | text: {text}"],
            images=[picture.pixels.copy()],
            audio=[sound.samples],
            sampling_rate=16_000,
            return_tensors="pt",
        )
        with torch.no_grad():
            mean = model(**inputs).last_hidden_state.mean(1)[0]
        assert np.allclose(unit(gemma(), Mixed(parts)), (mean / mean.norm()).numpy(), atol=1e-5)


def test_qwen_takes_words_with_pictures() -> None:
    picture = decoded(Modality.IMAGE, PICTURE)
    both = unit(qwen(), Mixed((Text("日落"), picture)), Purpose.IMAGE_RETRIEVAL)
    for other in (Text("日落"), picture, Mixed((Text("狗"), picture)), Mixed((picture, Text("日落")))):
        assert not np.allclose(both, unit(qwen(), other, Purpose.IMAGE_RETRIEVAL), atol=1e-4)


def test_a_mixture_needs_parts_of_different_kinds() -> None:
    for parts in ((), (Text("x"),), (Text("x"), Text("y"))):
        with pytest.raises(ValueError, match="two parts or more"):
            Mixed(parts)


def test_what_cannot_be_read_together_is_refused_alone() -> None:
    async def run() -> None:
        async with Engine(gemma()) as engine:
            await engine.ready()
            picture = Encoded(Modality.IMAGE, PICTURE)
            good = engine.embed(Mixed((Text("日落"), picture)), INDEX, 256)
            long = engine.embed(Mixed((Text("汉字" * 400), picture)), INDEX, 256)
            forged = engine.embed(Mixed((Text("<|image|>"), picture)), INDEX, 256)
            words = engine.embed(Text("<|image|> 日落"), INDEX, 256)
            found = await asyncio.gather(good, long, forged, words, return_exceptions=True)
            assert [isinstance(one, InvalidInput) for one in found] == [False, True, True, False], found
            assert found[0].tokens > 50  # type: ignore[union-attr]
        async with Engine(bert()) as engine:
            await engine.ready()
            with pytest.raises(InvalidInput, match="one kind of content at a time"):
                await engine.embed(Mixed((Text("日落"), Image(np.zeros((9, 9, 3), np.uint8)))), INDEX, 256)

    asyncio.run(run())


@pytest.fixture(scope="module")
def server() -> Iterator[Kilonova]:
    with Kilonova("--model", "fake", model=gemma()) as server:
        yield server.wait_ready()


def test_openai_s_route_takes_them(server: Kilonova) -> None:
    def ask(*inputs: Any, model: str = gemma()) -> httpx.Response:
        body = {"model": model, "input": list(inputs)}
        headers = {"authorization": f"Bearer {API_KEY}"}
        return httpx.post(f"{server.url}/v1/embeddings", json=body, headers=headers, timeout=60)

    picture = {"bytes": base64.b64encode(PICTURE).decode()}
    sound = {"bytes": base64.b64encode(SOUND).decode()}
    answer = ask("日落海滩", {"text": "日落海滩", "image": picture}, {"audio": sound}, {"image": picture})
    assert answer.status_code == 200, answer.text
    words, both, heard, seen = (np.array(one["embedding"]) for one in answer.json()["data"])
    right = unit(gemma(), Mixed((Text("日落海滩"), decoded(Modality.IMAGE, PICTURE))))
    assert np.allclose(both, right, atol=1e-5)
    assert np.allclose(words, unit(gemma(), Text("日落海滩")), atol=1e-5)
    assert np.allclose(heard, unit(gemma(), decoded(Modality.AUDIO, SOUND)), atol=1e-5)
    assert np.allclose(seen, unit(gemma(), decoded(Modality.IMAGE, PICTURE)), atol=1e-5)
    assert answer.json()["usage"]["total_tokens"] > 100
    for refused, why in (({}, "expected text, image, audio or video"), ({"image": {}}, "image"), ({"img": 1}, "img")):
        answer = ask(refused)
        assert answer.status_code == 400
        assert why in answer.json()["error"]["message"]
    answer = ask({"text": "日落海滩", "image": picture}, model="fake")
    assert answer.status_code == 400
    assert "one kind of content at a time" in answer.json()["error"]["message"]
