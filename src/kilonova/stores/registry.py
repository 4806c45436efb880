"""Stores by their addresses: ``faiss:/data/vectors``, ``qdrant+http://host:6333``. One line for each kind."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from importlib import import_module

from kilonova.errors import InvalidInput, KilonovaError
from kilonova.stores.base import VectorStore

__all__ = ["STORES", "Kind", "opened"]


@dataclass(frozen=True)
class Kind:
    """A kind of store.

    Attributes:
        module: has ``opened(where)``, which is given what follows the scheme: a path, a name or a URL.
        extra: of Kilonova, without which the module cannot be imported.
        form: how addresses read.
    """

    module: str
    extra: str
    form: str


STORES = {
    "edge": Kind("kilonova.stores.backends.edge", "", "edge:FOLDER"),
    "faiss": Kind("kilonova.stores.backends.faiss", "faiss", "faiss:FOLDER or faiss:FOLDER?index=flat|ivf|hnsw"),
    "qdrant": Kind("kilonova.stores.backends.qdrant", "qdrant", "qdrant+http://HOST:6333"),
    "chroma": Kind("kilonova.stores.backends.chroma", "chroma", "chroma:FOLDER or chroma+http://HOST:8000"),
    "opensearch": Kind(
        "kilonova.stores.backends.opensearch", "opensearch", "opensearch+https://USER:PASSWORD@HOST:9200"
    ),
    "s3vectors": Kind("kilonova.stores.backends.s3vectors", "", "s3vectors:BUCKET"),
}
_ADDRESS = re.compile(r"(?P<scheme>[a-z0-9]+)(?:\+(?P<url>https?://.+)|:(?P<place>[^/].*|/[^/].*))")


def opened(address: str) -> VectorStore:
    """The store at an address.

    Raises:
        InvalidInput: no such address.
        KilonovaError: the store's extra is not installed.
    """
    found = _ADDRESS.fullmatch(address)
    kind = STORES.get(found["scheme"]) if found else None
    if found is None or kind is None:
        forms = ", ".join(one.form for one in STORES.values())
        raise InvalidInput(f"{address!r} is no address of a store.", f"These are: {forms}.")
    try:
        module = import_module(kind.module)
    except ModuleNotFoundError as error:
        if not kind.extra:
            raise
        raise KilonovaError(
            f"{error.name} is missing, which {found['scheme']} needs.", f"pip install 'kilonova[{kind.extra}]'"
        ) from None
    make: Callable[[str], VectorStore] = module.opened
    return make(found["url"] or found["place"])
