"""Rerankers of other distributions."""

from __future__ import annotations

from pathlib import Path

import pytest

from kilonova.errors import InvalidInput, Unavailable
from kilonova.search.rerank import GROUP, open_reranker
from tests.plugins.distributions import install

CODE = """
import numpy as np
from kilonova.errors import InvalidInput

class Reranker:
    def __init__(self, model):
        if model == "nothing":
            raise InvalidInput("There is no such model.")
        self.weight = 1 / len(model)

    def __call__(self, query, texts):
        return [self.weight * text.count(query) for text in texts[:3]]
"""


@pytest.fixture
def counting(site: Path) -> None:
    """A distribution with a reranker that counts, and one that cannot be imported."""
    entries = {"counting": "counting_one:Reranker", "broken": "counting_broken"}
    install(site, "counting", {GROUP: entries}, counting_one=CODE, counting_broken="import nobody_has_it")


@pytest.mark.usefixtures("counting")
def test_a_reranker_of_another_distribution() -> None:
    assert open_reranker("counting:ab")("港口", ["灯塔", "港口的港口"]).tolist() == [0.0, 1.0]
    with pytest.raises(InvalidInput, match="no such model"):
        open_reranker("counting:nothing")


@pytest.mark.usefixtures("counting")
def test_what_fails_is_named() -> None:
    with pytest.raises(Unavailable, match="plug-in 'counting' failed: ZeroDivisionError"):
        open_reranker("counting")
    with pytest.raises(Unavailable, match=r"plug-in 'counting' failed: .* 4 texts"):
        open_reranker("counting:ab")("a", ["a", "b", "c", "d"])
    with pytest.raises(Unavailable, match="distribution counting cannot be imported"):
        open_reranker("broken:x")
