"""Models of sentence-transformers from folders: tiny ones with random weights, made with the real classes."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kilonova.errors import InvalidInput, NotFound
from kilonova.media.content import Image, Modality, Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing.models import TEXTS, ModelSuite, vectors
from tests.models.tiny import bert, clip, sentence_transformers, torch
from tests.servers import BIN

pytestmark = pytest.mark.models


class TestText(ModelSuite):
    name: ClassVar[str] = bert()

    def test_card(self) -> None:
        card = registry.card(self.name)
        assert (card.native_dimension, card.max_tokens, card.modalities) == (24, 96, {Modality.TEXT})
        assert card.prompts[Purpose.GENERIC_INDEX] == "passage: "
        assert card.prompts[Purpose.IMAGE_RETRIEVAL] == "query: "
        assert Purpose.CLUSTERING not in card.prompts

    @pytest.mark.parametrize("purpose", [Purpose.GENERIC_INDEX, Purpose.TEXT_RETRIEVAL, Purpose.CLUSTERING])
    def test_as_transformers_says(self, model: Any, purpose: Purpose) -> None:
        from transformers import AutoModel, AutoTokenizer

        reference, tokenizer = AutoModel.from_pretrained(self.name), AutoTokenizer.from_pretrained(self.name)
        dense = sentence_transformers.SentenceTransformer(self.name, device="cpu")[2]
        texts = [text for text in TEXTS if len(text) < 50]
        found = vectors(model, [Text(text) for text in texts], purpose)
        for vector, text in zip(found, texts, strict=True):
            tokens = tokenizer(model.card.prompts.get(purpose, "") + text, return_tensors="pt")
            with torch.no_grad():
                pooled = reference.eval()(**tokens).last_hidden_state.mean(1)
                right = dense({"sentence_embedding": pooled})["sentence_embedding"][0].numpy()
            assert np.allclose(vector, right, atol=1e-5)

    def test_tokens_count_the_prompt(self, model: Any) -> None:
        from transformers import AutoTokenizer

        tokenizer = AutoTokenizer.from_pretrained(self.name)
        prepared = model.prepare(Text("日落 abc"), Purpose.TEXT_RETRIEVAL)
        assert prepared.tokens == len(tokenizer("query: 日落 abc")["input_ids"])


class TestPictures(ModelSuite):
    name: ClassVar[str] = clip()

    def test_card(self) -> None:
        card = registry.card(self.name)
        assert (card.native_dimension, card.max_tokens) == (16, 64)
        assert card.modalities == {Modality.TEXT, Modality.IMAGE}

    def test_as_transformers_says(self, model: Any) -> None:
        from transformers import CLIPModel, CLIPProcessor

        reference, processor = CLIPModel.from_pretrained(self.name).eval(), CLIPProcessor.from_pretrained(self.name)
        pixels = np.random.default_rng(1).integers(0, 256, (70, 90, 3), np.uint8)
        with torch.no_grad():
            inputs = processor(images=[pixels], text=["a dog"], return_tensors="pt", padding=True)
            right = reference(**inputs)
        (seen,) = vectors(model, [Image(pixels)])
        (said,) = vectors(model, [Text("a dog")])
        for vector, other in ((seen, right.image_embeds), (said, right.text_embeds)):
            assert np.allclose(vector / np.linalg.norm(vector), other[0].numpy(), atol=1e-5)


def test_what_is_no_model(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no model in"):
        registry.card(str(tmp_path))
    with pytest.raises(NotFound, match="any folder with one"):
        registry.card("nothing")
    (tmp_path / "config.json").write_text('{"model_type": "bert", "hidden_size": 8}')
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    with pytest.raises(InvalidInput, match="Pickles"):
        registry.card(str(tmp_path))


def test_the_command_line_takes_folders() -> None:
    done = subprocess.run(
        [str(BIN / "kilonova"), "models", bert(), "--json"], capture_output=True, check=True, text=True
    )
    (found,) = json.loads(done.stdout)
    assert (found["native_dimension"], found["modalities"]) == (24, ["text"])
    command = [str(BIN / "kilonova"), "embed", "--model", bert(), "--dimension", "256", "--json", "日落海滩"]
    done = subprocess.run(command, capture_output=True, check=True, text=True)
    assert len(json.loads(done.stdout)["embedding"]) == 256
    assert "Loading weights" not in done.stderr
