from typing import ClassVar

import numpy as np

from kilonova.media.content import Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing.models import ModelSuite, vectors


class TestFake(ModelSuite):
    name: ClassVar[str] = "fake"


def test_texts_that_share_words_are_nearer() -> None:
    model = registry.load("fake")
    texts = ["a red car", "a red bicycle", "红色的汽车", "红色的火车", "nothing alike"]
    found = vectors(model, [Text(text) for text in texts], Purpose.CLUSTERING)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    similarity = found @ found.T
    assert similarity[0, 1] > similarity[0, 4] + 0.2
    assert similarity[2, 3] > similarity[2, 4] + 0.2
