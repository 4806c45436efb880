"""EmbeddingGemma 2 on a tiny model of the real classes, beside transformers' own output."""

from __future__ import annotations

from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kilonova.errors import InvalidInput, Unavailable
from kilonova.media.content import Audio, Content, Image, Modality, Text, Video
from kilonova.models import cards, registry
from kilonova.models.card import Purpose
from kilonova.testing.models import ModelSuite
from tests.models.tiny import gemma, torch

pytestmark = pytest.mark.models

_RNG = np.random.default_rng(5)
_PIXELS = _RNG.integers(0, 256, (70, 90, 3), np.uint8)
_SOUND = Audio((_RNG.normal(size=24_000) * 0.1).astype(np.float32), 16_000)
_FRAMES = _RNG.integers(0, 256, (3, 60, 80, 3), np.uint8)
_FILM = Video(_FRAMES, np.arange(3.0))


@pytest.fixture(scope="module")
def reference() -> Any:
    """Unit vectors by transformers alone: the mean of the tokens of one input."""
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(gemma()).eval(), AutoProcessor.from_pretrained(gemma())

    def vector(**inputs: Any) -> np.ndarray:
        found = processor(**inputs, return_tensors="pt")
        with torch.no_grad():
            mean = model(**found).last_hidden_state.mean(1)[0]
        return (mean / mean.norm()).numpy()

    return vector


def metadata() -> list[dict[str, Any]]:
    return [{"fps": 1.0, "duration": 3.0, "total_num_frames": 3, "frames_indices": [0, 1, 2]}]


class TestGemma(ModelSuite):
    name: ClassVar[str] = gemma()

    def one(self, model: Any, content: Content, purpose: Purpose = Purpose.GENERIC_INDEX) -> np.ndarray:
        return self.embed(model, [content], purpose)[0]

    def test_texts(self, model: Any, reference: Any) -> None:
        for purpose, prompt in (
            (Purpose.GENERIC_INDEX, "title: none | text: "),
            (Purpose.IMAGE_RETRIEVAL, "task: search result | query: "),
            (Purpose.CLASSIFICATION, "task: classification | query: "),
            (Purpose.CLUSTERING, "task: clustering | query: "),
        ):
            for text in ("日落海滩", "a dog, twice!"):
                assert np.allclose(self.one(model, Text(text), purpose), reference(text=[prompt + text]), atol=1e-5)

    def test_media_have_no_prompt(self, model: Any, reference: Any) -> None:
        right = reference(images=[_PIXELS])
        for purpose in (Purpose.GENERIC_INDEX, Purpose.IMAGE_RETRIEVAL):
            assert np.allclose(self.one(model, Image(_PIXELS), purpose), right, atol=1e-5)
        right = reference(audio=[_SOUND.samples], sampling_rate=16_000)
        assert np.allclose(self.one(model, _SOUND), right, atol=1e-5)
        right = reference(videos=[_FRAMES], videos_kwargs={"video_metadata": metadata()})
        assert np.allclose(self.one(model, _FILM), right, atol=1e-5)

    def test_a_film_is_read_with_its_sound(self, model: Any, reference: Any) -> None:
        found = self.one(model, Video(_FRAMES, np.arange(3.0), _SOUND))
        right = reference(
            text=["<|video|><|audio|>"],
            videos=[_FRAMES],
            audio=[_SOUND.samples],
            sampling_rate=16_000,
            videos_kwargs={"video_metadata": metadata()},
        )
        assert np.allclose(found, right, atol=1e-5)
        assert not np.allclose(found, self.one(model, _FILM), atol=1e-3)

    def test_tokens_are_what_the_model_read(self, model: Any) -> None:
        short = model.prepare(Text("日落海滩"), Purpose.GENERIC_INDEX)
        picture = model.prepare(Image(_PIXELS), Purpose.GENERIC_INDEX)
        read, _ = model.embed([short, model.prepare(Text("日落海滩" * 9), Purpose.GENERIC_INDEX)])
        (seen,) = model.embed([picture])
        assert read.tokens == short.tokens == len("title: none | text: 日落海滩")
        assert 20 < seen.tokens <= 72

    def test_the_shortest_and_the_longest_sounds(self, model: Any) -> None:
        for samples in (1, 100, 500):
            assert np.isfinite(self.one(model, Audio(np.ones(samples, np.float32) * 0.1, 16_000))).all()
        with pytest.raises(InvalidInput, match="cannot read this"):  # this small one reads 512 tokens
            model.prepare(Audio(np.zeros(16_000 * 30, np.float32), 16_000), Purpose.GENERIC_INDEX)

    def test_towers_nobody_asked_for_are_not_loaded(self, model: Any) -> None:
        words = registry.load(f"{self.name}:text")
        inner = words._model[0].model  # type: ignore[attr-defined]
        assert (inner.vision_tower, inner.audio_tower) == (None, None)
        assert words.card.modalities == {Modality.TEXT}
        assert words.card.id == model.card.id
        assert np.allclose(self.one(words, Text("日落")), self.one(model, Text("日落")), atol=1e-6)
        seeing = registry.load(f"{self.name}:text,image")
        inner = seeing._model[0].model  # type: ignore[attr-defined]
        assert inner.vision_tower is not None
        assert inner.audio_tower is None
        assert np.allclose(self.one(seeing, Image(_PIXELS)), self.one(model, Image(_PIXELS)), atol=1e-6)


def test_the_known_model_must_be_pulled(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KILONOVA_DATA", str(tmp_path))
    card = registry.card("embeddinggemma-2")
    assert card is cards.EMBEDDING_GEMMA_2
    assert set(card.prompts) == set(Purpose)
    with pytest.raises(Unavailable, match="kilonova pull embeddinggemma-2"):
        registry.load("embeddinggemma-2:text")
    (tmp_path / "models").mkdir()
    (tmp_path / "models" / "embeddinggemma-2").symlink_to(gemma())
    assert registry.is_here("embeddinggemma-2")
    assert registry.load("embeddinggemma-2:text").card.id == "embeddinggemma-2"


def test_what_a_model_does_not_embed_cannot_be_asked_for() -> None:
    with pytest.raises(InvalidInput, match="does not embed audio"):
        registry.card("qwen3-vl-embedding-2b:text,audio")
