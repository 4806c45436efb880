"""Models of torch with matrices of 8 bits: what all models must do, and how near they are to float32."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import pytest

from kilonova.engine.gpus import assign_gpus
from kilonova.errors import InvalidInput
from kilonova.media.content import Modality, Text
from kilonova.models import int8, registry
from kilonova.testing.models import TEXTS, ModelSuite, vectors
from tests.models.tiny import bert, clip, gemma, onnx_bert, torch

pytestmark = pytest.mark.models


class TestText(ModelSuite):
    name: ClassVar[str] = f"{bert()}:int8"

    def test_near_float32(self, model: Any) -> None:
        whole = registry.load(bert())
        texts = [Text(text) for text in TEXTS]
        for text in texts:
            (rough,) = vectors(model, [text])
            (exact,) = vectors(whole, [text])
            assert 1e-6 < np.linalg.norm(rough - exact) / np.linalg.norm(exact) < 0.02

    def test_a_name_of_its_own(self, model: Any) -> None:
        assert model.card.id == self.name
        assert registry.card(model.card.id) == model.card  # which is what a collection remembers
        assert assign_gpus(model.card) == [""]  # never on a GPU


class TestPictures(ModelSuite):
    name: ClassVar[str] = f"{clip()}:int8"


class TestEverything(ModelSuite):
    name: ClassVar[str] = f"{gemma()}:int8:text,audio"

    def test_both_endings(self, model: Any) -> None:
        assert model.card.id == f"{gemma()}:int8"
        assert model.card.modalities == {Modality.TEXT, Modality.AUDIO}


def test_a_layer() -> None:
    torch.manual_seed(0)
    block = torch.nn.Sequential(torch.nn.Linear(48, 20), torch.nn.MultiheadAttention(20, 2))
    layer, x = block[0], torch.randn(3, 5, 48) * torch.logspace(-2, 2, 5)[:, None]  # tokens of very different sizes
    assert int8.quantize(torch, block) == 1
    assert type(block[1].out_proj) is not torch.nn.Linear  # attention's own, read past its call
    with torch.inference_mode():
        right, found = layer(x), block[0](x)
        assert ((right - found).norm(dim=-1) < 0.015 * right.norm(dim=-1)).all()
        assert torch.equal(found[1:2, 2:3], block[0](x[1:2, 2:3]))  # alone as among others
        assert (block[0].weight - layer.weight).abs().max() < layer.weight.abs().max() / 250


@pytest.mark.parametrize("name", ["kilonova-mini", f"{onnx_bert()}/onnx/model.onnx"], ids=["mini", "onnx"])
def test_models_without_such_a_form(name: str) -> None:
    with pytest.raises(InvalidInput, match="no form in 8 bits"):
        registry.card(f"{name}:int8")
