"""Searching all kinds at once with the built-in model, on the demo's folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kilonova.media.content import Modality, Text
from kilonova.models.background import background
from kilonova.models.cards import FAKE, MINI
from kilonova.search import local
from kilonova.search.files import Kind, resolve
from kilonova.search.ingest import Tally
from kilonova.search.items import Settings
from kilonova.search.query import Mode, Query
from kilonova.stores.base import VectorStore

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> Iterator[VectorStore]:
    sys.path.insert(0, str(EXAMPLES))
    try:
        import demo
        import sample_folder
    finally:
        sys.path.remove(str(EXAMPLES))
    home = tmp_path_factory.mktemp("mixed")
    sample_folder.write(home / "media", demo.ITEMS)
    with local.store(home) as made:
        collection = local.collection(made, "files", "kilonova-mini", 1024)
        tally = Tally()
        roots = resolve([str(home / "media")])
        asyncio.run(local.index_once(made, collection, roots, Settings(), {}, tally, lambda _: None))
        assert (tally.added, tally.failed) == (26, [])
        yield made


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("a horse", {"horse.webp", "film.mp4"}),
        ("狗在海边", {"note-4.txt", "note-8.txt", "note-10.txt"}),
        ("帆船", {"sailing.webp", "film.mp4"}),
        ("how much did revenue grow?", {"report.pdf"}),
        ("singing voices", {"choir.ogg"}),
        ("a bird cries", {"crow.ogg"}),
        ("去北京的火车", {"note-13.txt"}),
        ("钢琴", {"piano.webp", "film.mp4", "piano-ambience.ogg"}),
    ],
)
def test_the_right_kind_comes_first(store: VectorStore, text: str, right: set[str]) -> None:
    query = Query([(Text(text), 1.0)], k=5, mode=Mode.DENSE)
    hits = asyncio.run(local.search(store, local.find(store, "files"), query))
    assert hits[0].payload["name"] in right
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("kind", list(Kind))
def test_every_kind_finds_its_like_and_words_find_every_kind(store: VectorStore, kind: Kind) -> None:
    hits = asyncio.run(
        local.search(store, local.find(store, "files"), Query([(Text("a horse 马"), 1.0)], kinds=(kind,), k=3))
    )
    assert {hit.payload["kind"] for hit in hits} == {str(kind)}
    (point,) = store.get("files", [hits[0].id])
    same = Query(vector=point.vector, kinds=(kind,), k=1, grouped=False)
    (found,) = asyncio.run(local.search(store, local.find(store, "files"), same))
    assert found.similarity is not None
    assert found.similarity > 0.999


def test_backgrounds() -> None:
    found = background(MINI, 256)
    assert set(found) == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    for vectors in found.values():
        assert vectors.shape[0] >= 50
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert background(FAKE, 256) == {}
