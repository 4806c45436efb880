"""Every model by name or folder: its card without importing its family's libraries, its class on demand."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

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


def names() -> list[str]:
    """The names that ``load`` takes."""
    return list(_FAMILIES)


def card(name: str) -> ModelCard:
    """The card of a model.

    Args:
        name: a known one, or the path of a folder.

    Raises:
        NotFound: no family has that name.
        kilonova.wire.errors.Validation: there is no model in that folder.
    """
    return folder.described(_path(name)) if folder.is_folder(name) else _family(name)[0]


def load(name: str) -> EmbeddingModel:
    """Load a model into this process.

    Raises:
        NotFound: no family has that name.
        kilonova.wire.errors.Unavailable: its weights or libraries are not installed.
    """
    if folder.is_folder(name):
        from kilonova.models.sentence import Sentence

        return Sentence(_path(name))
    module, _, attribute = _family(name)[1].partition(":")
    model: EmbeddingModel = getattr(import_module(module), attribute)()
    return model


def _path(name: str) -> Path:
    return Path(name).expanduser().resolve()


def _family(name: str) -> tuple[ModelCard, str]:
    try:
        return _FAMILIES[name]
    except KeyError:
        raise NotFound(
            f"There is no model {name!r}.", f"Known models: {', '.join(_FAMILIES)}, and any folder with one."
        ) from None
