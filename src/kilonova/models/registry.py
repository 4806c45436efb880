"""Every model by name or folder: its card without importing its family's libraries, its class on demand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path
from typing import Any

from kilonova.models import cards, folder
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import ModelCard
from kilonova.wire.errors import NotFound

__all__ = ["NOVA_IDS", "card", "load", "names"]

#: The ids that code written for Amazon Nova sends; they mean whichever model the server runs.
NOVA_IDS = ("amazon.nova-2-multimodal-embeddings-v1:0", "amazon.nova-embedding-v1:0")

_FAMILIES: dict[str, tuple[ModelCard, str]] = {
    cards.MINI.id: (cards.MINI, "kilonova.models.mini:Mini"),
    cards.FAKE.id: (cards.FAKE, "kilonova.models.fake:Fake"),
}


#: Modules with ``described(name)`` and ``load(name)``, by how addresses of their models begin.
_ELSEWHERE = {
    "openai+http": "kilonova.models.openai_server",
    "bedrock:": "kilonova.models.bedrock",
}


def names() -> list[str]:
    """The names that ``load`` takes."""
    return list(_FAMILIES)


def card(name: str) -> ModelCard:
    """The card of a model.

    Args:
        name: a known one, a folder's path, or the address of a model elsewhere.

    Raises:
        NotFound: no family has that name.
        kilonova.wire.errors.Validation: there is no model there.
        kilonova.wire.errors.Unavailable: it is elsewhere and cannot be reached.
    """
    if elsewhere := _elsewhere(name):
        found: ModelCard = elsewhere.described(name)
        return found
    return folder.described(_path(name)) if folder.is_folder(name) else _family(name)[0]


def load(name: str) -> EmbeddingModel:
    """Load a model into this process.

    Raises:
        NotFound: no family has that name.
        kilonova.wire.errors.Unavailable: its weights or libraries are not installed.
    """
    model: EmbeddingModel
    if elsewhere := _elsewhere(name):
        model = elsewhere.load(name)
    elif folder.is_folder(name):
        model = import_module("kilonova.models.sentence").Sentence(_path(name))
    else:
        module, _, attribute = _family(name)[1].partition(":")
        model = getattr(import_module(module), attribute)()
    return model


def _elsewhere(name: str) -> Any:
    """The module of models that other servers run, for a name that is an address."""
    module = next((one for prefix, one in _ELSEWHERE.items() if name.startswith(prefix)), None)
    return import_module(module) if module is not None else None


def _path(name: str) -> Path:
    return Path(name).expanduser().resolve()


def _family(name: str) -> tuple[ModelCard, str]:
    try:
        return _FAMILIES[name]
    except KeyError:
        raise NotFound(
            f"There is no model {name!r}.", f"Known models: {', '.join(_FAMILIES)}, and any folder with one."
        ) from None
