"""Searching all kinds at once with the built-in model, on the demo's folder."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

import demo
import numpy as np
import pytest
import sample_folder

from kilonova.engine.engine import Engine
from kilonova.media.content import Modality, Text
from kilonova.models.background import background
from kilonova.models.cards import FAKE, MINI
from kilonova.search import local
from kilonova.search.files import Kind, resolve, walk
from kilonova.search.ingest import ingest
from kilonova.search.items import Settings
from kilonova.search.query import Hit, Mode, Query, Searcher

QUERIES = [
    ("a horse", {"horse.webp", "film.mp4"}),
    ("狗在海边", {"note-4.txt", "note-8.txt", "note-10.txt"}),
    ("帆船", {"sailing.webp", "film.mp4"}),
    ("how much did revenue grow?", {"report.pdf"}),
    ("singing voices", {"choir.ogg"}),
    ("a bird cries", {"crow.ogg"}),
    ("去北京的火车", {"note-13.txt"}),
    ("钢琴", {"piano.webp", "film.mp4", "piano-ambience.ogg"}),
]


@dataclass(frozen=True)
class Answers:
    """What one model that was loaded once said."""

    mixed: dict[str, list[Hit]]
    by_kind: dict[Kind, list[Hit]]
    same: dict[Kind, list[Hit]]


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    home = tmp_path_factory.mktemp("mixed")
    sample_folder.write(home / "media", demo.ITEMS)
    with local.store(home) as store:
        collection = local.collection(store, "files", "kilonova-mini", 1024)
        roots = resolve([str(home / "media")])

        async def ask() -> Answers:
            async with Engine("kilonova-mini") as engine:
                await engine.ready()
                found = list(walk(roots, lambda _: None))
                tally = await ingest(store, collection, engine, found, roots, settings=Settings())
                assert (tally.added, tally.failed) == (26, [])
                searcher = Searcher(store, engine)

                async def hits(query: Query) -> list[Hit]:
                    return await searcher.search(collection, query)

                mixed = {text: await hits(Query([(Text(text), 1.0)], k=5, mode=Mode.DENSE)) for text, _ in QUERIES}
                horse = [(Text("a horse 马"), 1.0)]
                by_kind = {kind: await hits(Query(horse, kinds=(kind,), k=3)) for kind in Kind}
                same = {}
                for kind, (first, *_) in by_kind.items():
                    (point,) = store.get("files", [first.id])
                    same[kind] = await hits(Query(vector=point.vector, kinds=(kind,), k=1, grouped=False))
                return Answers(mixed, by_kind, same)

        return asyncio.run(ask())


@pytest.mark.parametrize(("text", "right"), QUERIES)
def test_the_right_kind_comes_first(answers: Answers, text: str, right: set[str]) -> None:
    hits = answers.mixed[text]
    assert hits[0].payload["name"] in right
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("kind", list(Kind))
def test_words_find_every_kind_and_each_finds_its_like(answers: Answers, kind: Kind) -> None:
    assert {hit.payload["kind"] for hit in answers.by_kind[kind]} == {str(kind)}
    (found,) = answers.same[kind]
    assert found.similarity is not None
    assert found.similarity > 0.999


def test_backgrounds() -> None:
    found = background(MINI, 256)
    assert set(found) == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    for vectors in found.values():
        assert vectors.shape[0] >= 50
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert background(FAKE, 256) == {}
