"""A fresh store of each kind."""

from __future__ import annotations

import contextlib
import socket
import subprocess
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from kilonova.client.remote import Remote
from kilonova.credentials.credential import Credential
from kilonova.storage.local import free_port
from kilonova.stores import registry
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import VectorStore
from tests.servers import API_KEY, BIN, Kilonova
from tests.stores.opensearch_server import OpensearchServer
from tests.stores.s3vectors_server import S3VectorsServer


def _edge(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    return QdrantEdge(folder / "collections")


def _remote(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    server: Kilonova = request.getfixturevalue("fake")
    return Remote(server.url, Credential("tests", api_key=API_KEY))


def _faiss(kind: str) -> Callable[[pytest.FixtureRequest, Path], VectorStore]:
    def make(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
        return registry.open_store(f"faiss:{folder / 'collections'}?index={kind}")

    return make


def _qdrant(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    """The client's own in-memory stand-in for a server (no server can be had from the registries)."""
    import qdrant_client

    from kilonova.stores.backends.qdrant import QdrantServer

    return QdrantServer(qdrant_client.QdrantClient(":memory:"))


def _chroma(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    return registry.open_store(f"chroma:{folder / 'chroma'}")


def _chroma_server(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    return registry.open_store(f"chroma+{request.getfixturevalue('chroma_server')}")


def _opensearch(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    return registry.open_store(f"opensearch+{request.getfixturevalue('opensearch').url}")


def _s3vectors(request: pytest.FixtureRequest, folder: Path) -> VectorStore:
    monkeypatch = request.getfixturevalue("monkeypatch")
    variables = {
        "AWS_ENDPOINT_URL_S3VECTORS": request.getfixturevalue("s3vectors").url,
        "AWS_ACCESS_KEY_ID": "AKIDTEST",
        "AWS_SECRET_ACCESS_KEY": "secret",
        "AWS_REGION": "us-east-1",
        "AWS_DEFAULT_REGION": "us-east-1",
    }
    for name, value in variables.items():
        monkeypatch.setenv(name, value)
    return registry.open_store("s3vectors:vectors")


STORES = {
    "qdrant-edge": _edge,
    "kilonova-server": _remote,
    "qdrant-server": _qdrant,
    "chroma": _chroma,
    "opensearch": _opensearch,
    "s3vectors": _s3vectors,
    "chroma-server": _chroma_server,
    **{f"faiss-{kind}": _faiss(kind) for kind in ("flat", "ivf", "hnsw")},
}


@pytest.fixture(scope="session")
def chroma_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of a real server of Chroma."""
    port, folder = free_port(), tmp_path_factory.mktemp("chroma")
    command = [str(BIN / "chroma"), "run", "--host", "127.0.0.1", "--port", str(port), "--path", str(folder)]
    with (folder / "log").open("w") as log:
        process = subprocess.Popen(command, stdout=log, stderr=log)
    try:
        for _ in range(300):
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                break
            time.sleep(0.1)
        yield f"http://127.0.0.1:{port}"
    finally:
        process.kill()
        process.wait()


@pytest.fixture(scope="session")
def opensearch() -> Iterator[OpensearchServer]:
    """Stands in for a cluster."""
    with OpensearchServer() as server:
        yield server


@pytest.fixture(scope="session")
def s3vectors() -> Iterator[S3VectorsServer]:
    """Stands in for Amazon S3 Vectors."""
    with S3VectorsServer() as server:
        yield server


#: What listens on a port, which tests/reach.py cannot see behind a name.
_SERVERS = ("kilonova-server", "chroma-server", "opensearch", "s3vectors")


@pytest.fixture(params=[pytest.param(name, marks=[pytest.mark.server] * (name in _SERVERS)) for name in STORES])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[VectorStore]:
    made = STORES[request.param](request, tmp_path)
    yield made
    for one in made.collections():  # servers are shared by tests
        made.drop(one.name)
    made.close()
