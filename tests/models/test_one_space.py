"""One index for everything: a GENERIC_RETRIEVAL query finds the right kind by cosines as they come."""

import numpy as np
import pytest
from sklearn.datasets import load_sample_image

from kilonova.engine.matryoshka import DIMENSIONS, cut
from kilonova.media.content import Audio, Content, Image, Text
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from kilonova.testing.models import vectors
from tests import samples

pytestmark = pytest.mark.slow

RATE = 32_000
TEXTS = (
    "中国的经济在过去三十年里增长很快。",
    "请在三十天之内付款，否则将收取利息。",
    "会议将于星期三下午两点在二楼举行。",
    "安装之前请备份所有数据，并关闭其他程序。",
    "The package manager resolves dependencies before it installs anything.",
    "Payment is due within thirty days of the date of the invoice.",
    "The meeting takes place on Wednesday at two on the second floor.",
    "Back up your data before you upgrade to the next release.",
)
# Queries and the places of what they are after: a flower, a palace, a beep, silence, then the texts, which say some
# things in both languages.
QUERIES = (
    ("一朵粉红色的花", {0}),
    ("a pink flower", {0}),
    ("中国古代宫殿建筑", {1}),
    ("an old palace with a roof", {1}),
    ("哔哔声", {2}),
    ("the sound of a beep", {2}),
    ("没有声音，一片安静", {3}),
    ("the sound of silence, nothing to be heard", {3}),
    ("什么时候必须付款？", {5, 9}),
    ("When does the meeting start?", {6, 10}),
    ("升级以前要做什么？", {7, 11}),
)


@pytest.fixture(scope="module")
def mini() -> EmbeddingModel:
    return registry.load("kilonova-mini")


@pytest.fixture(scope="module")
def index(mini: EmbeddingModel) -> np.ndarray:
    sine = samples.tone(3, RATE, hertz=1000)[0].astype(np.float32) / 32768
    groups: tuple[list[Content], ...] = (
        [Image(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")],
        [Audio(sine, RATE), Audio(np.zeros(3 * RATE, np.float32), RATE)],
        [Text(text) for text in TEXTS],
    )
    return np.concatenate([vectors(mini, group) for group in groups])


def ask(mini: EmbeddingModel, text: str) -> np.ndarray:
    return np.asarray(vectors(mini, [Text(text)], Purpose.GENERIC_RETRIEVAL)[0])


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize(("text", "places"), QUERIES)
def test_a_query_ranks_the_right_kind_first(
    mini: EmbeddingModel, index: np.ndarray, text: str, places: set[int], dimension: int
) -> None:
    cosines = np.stack([cut(row, dimension) for row in index]) @ cut(ask(mini, text), dimension)
    assert int(cosines.argmax()) in places


def test_cosines_mean_something(mini: EmbeddingModel, index: np.ndarray) -> None:
    short = np.stack([cut(row, 1024) for row in index])
    for text in ("一朵粉红色的花", "a pink flower"):
        cosines = short @ cut(ask(mini, text), 1024)
        assert cosines[0] > 0.25
        assert np.abs(cosines[1:]).max() < 0.2


@pytest.mark.parametrize("purpose", [Purpose.GENERIC_INDEX, Purpose.GENERIC_RETRIEVAL])
def test_a_text_does_not_depend_on_its_batch(mini: EmbeddingModel, purpose: Purpose) -> None:
    together = vectors(mini, [Text(text) for text in TEXTS], purpose)
    alone = np.concatenate([vectors(mini, [Text(text)], purpose) for text in TEXTS])
    assert np.abs(together - alone).max() < 1e-4
    assert np.linalg.norm(together, axis=1) == pytest.approx(1, abs=1e-3)
