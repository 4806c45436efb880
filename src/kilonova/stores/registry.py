"""Stores by their addresses: ``faiss:/data/vectors``, ``qdrant+http://host:6333``.

Kilonova's own are in ``BUILT_IN``, which is looked at first and imports none of them. Other distributions register
theirs as entry points of the group ``kilonova.stores``: the entry's name is the scheme of the addresses, its object a
``Backend``. Ours stand in that group, too.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from types import MappingProxyType
from typing import TypeGuard

from kilonova import plugins
from kilonova.errors import InvalidInput, KilonovaError
from kilonova.stores.base import VectorStore

__all__ = [
    "BUILT_IN",
    "CHROMA",
    "EDGE",
    "FAISS",
    "GROUP",
    "OPENSEARCH",
    "QDRANT",
    "S3VECTORS",
    "Backend",
    "is_backend",
    "open_store",
]

#: The group of entry points.
GROUP = "kilonova.stores"


@dataclass(frozen=True)
class Backend:
    """A kind of store.

    Attributes:
        form: how addresses read, for messages.
        open: makes the store; is given what follows the scheme in an address: a path, a name or a URL.
        extra: of Kilonova, without which ``open`` cannot import what it needs.
        library: that the extra brings, as it is imported.
    """

    form: str
    open: Callable[[str], VectorStore]
    extra: str = ""
    library: str = ""

    def missing(self) -> str:
        """What has to be installed before ``open`` works; "" where it is there. Imports nothing."""
        if not self.library or find_spec(self.library) is not None:
            return ""
        return f"{self.library} is missing. pip install 'kilonova[{self.extra}]'"


def _open_in(module: str) -> Callable[[str], VectorStore]:
    """``open_store`` of a module that is imported when the first store is opened."""

    def open_store(where: str) -> VectorStore:
        made: VectorStore = import_module(f"kilonova.stores.backends.{module}").open_store(where)
        return made

    return open_store


EDGE = Backend("edge:FOLDER", _open_in("edge"))
FAISS = Backend("faiss:FOLDER or faiss:FOLDER?index=flat|ivf|hnsw", _open_in("faiss"), "faiss", "faiss")
QDRANT = Backend("qdrant+http://HOST:6333", _open_in("qdrant"), "qdrant", "qdrant_client")
CHROMA = Backend("chroma:FOLDER or chroma+http://HOST:8000", _open_in("chroma"), "chroma", "chromadb")
OPENSEARCH = Backend("opensearch+https://USER:PASSWORD@HOST:9200", _open_in("opensearch"), "opensearch", "opensearchpy")
S3VECTORS = Backend("s3vectors:BUCKET", _open_in("s3vectors"))
#: Kilonova's own, by the scheme of their addresses; the entry points in ``pyproject.toml`` are the same.
BUILT_IN = MappingProxyType(
    {
        "edge": EDGE,
        "faiss": FAISS,
        "qdrant": QDRANT,
        "chroma": CHROMA,
        "opensearch": OPENSEARCH,
        "s3vectors": S3VECTORS,
    }
)
_ADDRESS = re.compile(r"(?P<scheme>[a-z0-9][a-z0-9_.-]*)(?:\+(?P<url>https?://.+)|:(?P<place>[^/].*|/[^/].*))")


def open_store(address: str) -> VectorStore:
    """The store at an address.

    Raises:
        InvalidInput: no such address.
        KilonovaError: the store's extra is not installed, or a plug-in cannot be imported.
    """
    found = _ADDRESS.fullmatch(address)
    backend = _backend(found["scheme"]) if found else None
    if found is None or backend is None:
        raise _no_address(address)
    try:
        return backend.open(found["url"] or found["place"])
    except ModuleNotFoundError as error:
        if not backend.extra:
            raise KilonovaError(
                f"{error.name} is missing, which {found['scheme']} needs.", "Install it beside Kilonova."
            ) from error
        raise KilonovaError(
            f"{error.name} is missing, which {found['scheme']} needs.", f"pip install 'kilonova[{backend.extra}]'"
        ) from None


def _backend(scheme: str) -> Backend | None:
    return BUILT_IN.get(scheme) or plugins.find(GROUP, scheme, is_backend)


def _no_address(address: str) -> InvalidInput:
    others, faults = plugins.load(GROUP, is_backend)
    forms = ", ".join(one.form for one in (*BUILT_IN.values(), *others.values()))
    broken = "".join(f" {fault}" for fault in faults)
    return InvalidInput(f"{address!r} is no address of a store.", f"These are: {forms}.{broken}")


def is_backend(value: object) -> TypeGuard[Backend]:
    """Whether an object is what plug-ins of this group bring."""
    return isinstance(value, Backend)
