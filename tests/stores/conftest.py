"""A fresh store of each kind."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from kilonova.stores.base import VectorStore
from kilonova.stores.qdrant import QdrantEdge
from kilonova.stores.remote import Remote
from kilonova.wire.credential import Credential
from tests.servers import API_KEY, Kilonova


def _edge(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    return QdrantEdge(folder / "collections")


def _remote(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    server: Kilonova = request.getfixturevalue("fake")
    return Remote(server.url, Credential("tests", api_key=API_KEY))


STORES = {"qdrant-edge": _edge, "kilonova-server": _remote}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made = STORES[request.param](request, tmp_path)
    yield made
    for one in made.collections():  # servers are shared by tests
        made.drop(one.name)
    made.close()
