"""A fresh store of each kind."""

from __future__ import annotations

from collections.abc import Callable, Iterator
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


def _faiss(kind: str) -> Callable[[pytest.FixtureRequest, Path], VectorStore]:
    def make(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
        faiss = pytest.importorskip("kilonova.stores.faiss", reason="needs kilonova[faiss]")
        made: VectorStore = faiss.Faiss(folder / "collections", faiss.Kind(kind))
        return made

    return make


def _qdrant(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    """The client's own in-memory stand-in for a server (no server can be had from the registries)."""
    client = pytest.importorskip("qdrant_client", reason="needs kilonova[qdrant]")
    from kilonova.stores.qdrant_server import QdrantServer

    return QdrantServer(client.QdrantClient(":memory:"))


def _chroma(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    chroma = pytest.importorskip("kilonova.stores.chroma", reason="needs kilonova[chroma]")
    made: VectorStore = chroma.opened(str(folder / "chroma"))
    return made


STORES = {
    "qdrant-edge": _edge,
    "kilonova-server": _remote,
    "qdrant-server": _qdrant,
    "chroma": _chroma,
    **{f"faiss-{kind}": _faiss(kind) for kind in ("flat", "ivf", "hnsw")},
}


@pytest.fixture(params=list(STORES))
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made = STORES[request.param](request, tmp_path)
    yield made
    for one in made.collections():  # servers are shared by tests
        made.drop(one.name)
    made.close()
