"""Reranking."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.media.content import Text
from kilonova.search.query import Hit, Mode, Query
from kilonova.search.rerank import reorder
from kilonova.search.searcher import Searcher
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, Point


def test_what_has_no_score_keeps_its_place() -> None:
    assert reorder([0.1, None, 0.9, 0.5]) == [2, 1, 3, 0]
    assert reorder([None, None]) == [0, 1]
    assert reorder([]) == []


def test_hits_are_read_again(tmp_path: Path) -> None:
    store = QdrantEdge(tmp_path)
    collection = Collection("notes", "fake", 256)
    store.create(collection)
    texts = {
        "a#0": "港口 harbour",
        "a#1": "harbour with a lighthouse",
        "b#0": "harbour harbour harbour",
        "c#0": "harbour",
    }
    vector = np.ones(256, np.float32)
    store.upsert("notes", [Point(name, vector, {"uri": name[0]}, text) for name, text in texts.items()])
    asked: list[tuple[str, list[str]]] = []

    def longest(query: str, texts: Sequence[str]) -> np.ndarray:
        asked.append((query, sorted(texts)))
        return np.array([len(text) for text in texts], np.float32)

    def search(limit: int, group_by_file: bool = True) -> list[Hit]:
        query = Query([(Text("harbour"), 1.0)], mode=Mode.KEYWORD, limit=limit, group_by_file=group_by_file)
        return asyncio.run(Searcher(store, Engine("fake"), longest).search(collection, query))

    try:
        hits = search(3)
        assert [(hit.payload["uri"], hit.score) for hit in hits] == [("a", 25.0), ("b", 23.0), ("c", 7.0)]
        assert asked == [("harbour", sorted(texts.values()))]
        assert [hit.id for hit in search(1)] == [hits[0].id]  # more than asked for are read
        assert [hit.id for hit in search(4, group_by_file=False)] == ["a#1", "b#0", "a#0", "c#0"]
    finally:
        store.close()
