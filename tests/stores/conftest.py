"""A fresh store of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.stores.base import VectorStore
from kilonova.stores.qdrant import QdrantEdge


@pytest.fixture(params=["qdrant-edge"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made = QdrantEdge(tmp_path / "collections")
    yield made
    made.close()
