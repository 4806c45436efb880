"""Searching all kinds at once with the built-in model, on the demo's folder."""

from __future__ import annotations

import asyncio
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import demo
import numpy as np
import PIL.Image
import pytest
import sample_folder

from kilonova.api.index import choose_store
from kilonova.engine.engine import Engine
from kilonova.media.content import Content, Encoded, Modality, Text, Video
from kilonova.media.document import pages
from kilonova.models.background import background
from kilonova.models.cards import FAKE, MINI
from kilonova.search.ingest import ingest
from kilonova.search.query import Hit, Mode, Query
from kilonova.search.searcher import Searcher
from kilonova.segments.files import Kind
from kilonova.segments.listing import look, resolve
from kilonova.segments.segment import Plan
from kilonova.stores.base import Collection

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
    pairs: dict[tuple[Kind, Kind], list[Hit]]


def contents(media: Path) -> dict[Kind, Content | Encoded]:
    """A query of each kind."""
    horse = np.asarray(PIL.Image.open(media / "horse.webp").convert("RGB"))
    return {
        Kind.TEXT: Text("a horse 马"),
        Kind.IMAGE: Encoded(Modality.IMAGE, (media / "horse.webp").read_bytes()),
        Kind.DOCUMENT: next(pages(media / "report.pdf", range(1, 2))),
        Kind.AUDIO: Encoded(Modality.AUDIO, (media / "crow.ogg").read_bytes()),
        Kind.VIDEO: Video(np.stack([horse] * 4), np.arange(4.0)),
    }


@pytest.fixture(scope="module")
def answers(tmp_path_factory: pytest.TempPathFactory) -> Answers:
    home = tmp_path_factory.mktemp("mixed")
    sample_folder.write(home / "media", demo.ITEMS)
    with closing(choose_store(home)) as store:
        collection = Collection("files", "kilonova-mini", 1024)
        store.create(collection)

        async def ask() -> Answers:
            async with Engine("kilonova-mini") as engine:
                await engine.ready()
                listing = look(resolve([str(home / "media")]))
                tally = await ingest(store, collection, engine, listing, plan=Plan())
                assert (tally.added, tally.failed) == (26, [])
                searcher = Searcher(store, engine)

                async def hits(query: Query) -> list[Hit]:
                    return await searcher.search(collection, query)

                mixed = {text: await hits(Query([(Text(text), 1.0)], limit=5, mode=Mode.VECTOR)) for text, _ in QUERIES}
                pairs = {
                    (asked, kind): await hits(Query([(content, 1.0)], kinds=(kind,), limit=3, group_by_file=False))
                    for asked, content in contents(home / "media").items()
                    for kind in Kind
                }
                return Answers(mixed, pairs)

        return asyncio.run(ask())


@pytest.mark.parametrize(("text", "right"), QUERIES)
def test_the_right_kind_comes_first(answers: Answers, text: str, right: set[str]) -> None:
    hits = answers.mixed[text]
    assert hits[0].payload["name"] in right
    assert [hit.score for hit in hits] == sorted((hit.score for hit in hits), reverse=True)


@pytest.mark.parametrize("kind", list(Kind))
@pytest.mark.parametrize("asked", list(Kind))
def test_every_kind_finds_every_kind(answers: Answers, asked: Kind, kind: Kind) -> None:
    hits = answers.pairs[asked, kind]
    assert len(hits) >= 2
    assert {hit.payload["kind"] for hit in hits} == {str(kind)}
    assert all(hit.similarity is not None for hit in hits)


@pytest.mark.parametrize(
    ("asked", "kind", "name"),
    [
        (Kind.TEXT, Kind.IMAGE, "horse.webp"),
        (Kind.IMAGE, Kind.IMAGE, "horse.webp"),
        (Kind.VIDEO, Kind.IMAGE, "horse.webp"),
        (Kind.AUDIO, Kind.AUDIO, "crow.ogg"),
    ],
)
def test_what_is_like_the_query_comes_first(answers: Answers, asked: Kind, kind: Kind, name: str) -> None:
    assert answers.pairs[asked, kind][0].payload["name"] == name


def test_the_page_and_the_moment_that_are_like_the_query_come_first(answers: Answers) -> None:
    assert answers.pairs[Kind.DOCUMENT, Kind.DOCUMENT][0].payload["page"] == 2
    moment = sorted(path.name for path in sample_folder.MEDIA.glob("*.webp")).index("horse.webp") * 5
    for asked in (Kind.TEXT, Kind.IMAGE, Kind.VIDEO):
        assert answers.pairs[asked, Kind.VIDEO][0].payload["start"] == moment


def test_backgrounds() -> None:
    found = background(MINI, 256)
    assert set(found) == {Modality.TEXT, Modality.IMAGE, Modality.AUDIO}
    for vectors in found.values():
        assert vectors.shape[0] >= 50
        assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-3)
    assert background(FAKE, 256) == {}
