"""Kilonova: text, images, audio, video and pages as vectors of one space, and the search built on them.

Everything named here is public, and is loaded when it is first used.
"""

from __future__ import annotations

TYPE_CHECKING = False  # importing typing would take longer than all the rest
if TYPE_CHECKING:
    from kilonova.api.client import AsyncClient, Client
    from kilonova.api.contents import Audio, Document, Image, Mixed, Text, Video
    from kilonova.api.embedder import AsyncEmbedder, Embedder
    from kilonova.api.hits import Classification, Hits
    from kilonova.api.index import Index
    from kilonova.engine.engine import Embedding
    from kilonova.errors import (
        AccessDenied,
        AlreadyExists,
        Busy,
        Conflict,
        Gone,
        InternalError,
        InvalidInput,
        KilonovaError,
        ModelFailed,
        ModelTimeout,
        NoAudioTrack,
        NotFound,
        NotReady,
        QuotaExceeded,
        Unavailable,
        UnknownOperation,
        Unreadable,
    )
    from kilonova.models.card import ModelCard, Purpose
    from kilonova.search.query import Hit
    from kilonova.segments.progress import Progress

__version__ = "0.1.0"

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "AsyncClient",
    "AsyncEmbedder",
    "Audio",
    "Busy",
    "Classification",
    "Client",
    "Conflict",
    "Document",
    "Embedder",
    "Embedding",
    "Gone",
    "Hit",
    "Hits",
    "Image",
    "Index",
    "InternalError",
    "InvalidInput",
    "KilonovaError",
    "Mixed",
    "ModelCard",
    "ModelFailed",
    "ModelTimeout",
    "NoAudioTrack",
    "NotFound",
    "NotReady",
    "Progress",
    "Purpose",
    "QuotaExceeded",
    "Text",
    "Unavailable",
    "UnknownOperation",
    "Unreadable",
    "Video",
]

_MODULES = {
    "kilonova.api.client": ("AsyncClient", "Client"),
    "kilonova.api.contents": ("Audio", "Document", "Image", "Mixed", "Text", "Video"),
    "kilonova.api.embedder": ("AsyncEmbedder", "Embedder"),
    "kilonova.api.hits": ("Classification", "Hits"),
    "kilonova.api.index": ("Index",),
    "kilonova.engine.engine": ("Embedding",),
    "kilonova.models.card": ("ModelCard", "Purpose"),
    "kilonova.search.query": ("Hit",),
    "kilonova.segments.progress": ("Progress",),
}
_PLACES = {name: module for module, names in _MODULES.items() for name in names}


def __getattr__(name: str) -> object:
    if name not in __all__:
        raise AttributeError(f"module 'kilonova' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_PLACES.get(name, "kilonova.errors")), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
