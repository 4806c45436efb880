"""Qwen3-VL-Embedding on a tiny model of the real classes, beside transformers' own output."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media.content import Audio, Content, Image, Modality, Text, Video
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing.models import ModelSuite
from tests.models.tiny import qwen, torch

pytestmark = pytest.mark.models

_RNG = np.random.default_rng(6)
_PIXELS = _RNG.integers(0, 256, (60, 80, 3), np.uint8)
_FRAMES = _RNG.integers(0, 256, (6, 48, 64, 3), np.uint8)
_DEFAULT, _SEARCH = "Represent the user's input.", "Retrieve images or text relevant to the user's query."


@pytest.fixture(scope="module")
def reference() -> Any:
    """Unit vectors by transformers alone: the last token after the instruction and the input."""
    from transformers import AutoModel, AutoProcessor

    model, processor = AutoModel.from_pretrained(qwen()).eval(), AutoProcessor.from_pretrained(qwen())

    def vector(instruction: str, said: str, **media: Any) -> np.ndarray:
        text = (
            f"<|im_start|>system\n{instruction}<|im_end|>\n<|im_start|>user\n{said}<|im_end|>\n"
            "<|im_start|>assistant\n<|endoftext|>"
        )
        found = processor(text=[text], **media, return_tensors="pt")
        with torch.no_grad():
            last = model(**found).last_hidden_state[0, -1]
        return (last / last.norm()).numpy()

    return vector


class TestQwen(ModelSuite):
    name: ClassVar[str] = qwen()

    def one(self, model: Any, content: Content, purpose: Purpose = Purpose.GENERIC_INDEX) -> np.ndarray:
        return self.embed(model, [content], purpose)[0]

    @pytest.mark.parametrize(
        ("purpose", "instruction"),
        [
            (Purpose.GENERIC_INDEX, _DEFAULT),
            (Purpose.CLUSTERING, _DEFAULT),
            (Purpose.GENERIC_RETRIEVAL, _SEARCH),
            (Purpose.DOCUMENT_RETRIEVAL, _SEARCH),
        ],
    )
    def test_as_transformers_says(self, model: Any, reference: Any, purpose: Purpose, instruction: str) -> None:
        for text in ("日落海滩", "a dog"):
            assert np.allclose(self.one(model, Text(text), purpose), reference(instruction, text), atol=1e-5)
        right = reference(instruction, "<|vision_start|><|image_pad|><|vision_end|>", images=[_PIXELS])
        assert np.allclose(self.one(model, Image(_PIXELS), purpose), right, atol=1e-5)
        facts = {"fps": 1.0, "duration": 6.0, "total_num_frames": 6, "frames_indices": list(range(6))}
        right = reference(instruction, "<|video_pad|>", videos=[_FRAMES], videos_kwargs={"video_metadata": [facts]})
        film = Video(_FRAMES, np.arange(6.0), Audio(np.zeros(96_000, np.float32), 16_000))
        assert np.allclose(self.one(model, film, purpose), right, atol=1e-5)

    def test_a_shape_that_it_cannot_read_is_refused_alone(self, model: Any) -> None:
        for odd in (Image(np.zeros((3, 900, 3), np.uint8)), Video(np.zeros((2, 900, 3, 3), np.uint8), np.arange(2.0))):
            with pytest.raises(InvalidInput, match="aspect ratio"):
                model.prepare(odd, Purpose.GENERIC_INDEX)
        assert np.isfinite(self.one(model, Image(np.zeros((9, 900, 3), np.uint8)))).all()

    def test_sounds_are_not_its_business(self) -> None:
        assert registry.card(self.name).modalities == {Modality.TEXT, Modality.IMAGE, Modality.VIDEO}


def test_all_of_novas_dimensions_are_trained() -> None:
    card = registry.card("qwen3-vl-embedding-8b")
    assert {card.dimension_note(length) for length in (256, 384, 1024, 3072)} == {"trained"}
    assert registry.card("qwen3-vl-embedding-2b").dimension_note(3072) == "padded with zeros"


def test_a_model_that_talks_is_refused(tmp_path: Path) -> None:
    shutil.copy(f"{qwen()}/config.json", tmp_path)
    shutil.copy(f"{qwen()}/model.safetensors", tmp_path)
    assert json.loads((tmp_path / "config.json").read_text())["model_type"] == "qwen3_vl"
    with pytest.raises(InvalidInput, match="nothing says how its vectors are made"):
        registry.card(str(tmp_path))
