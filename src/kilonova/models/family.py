"""The contract of a model family: models that are recognised by their names, and how to describe and load them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Protocol, runtime_checkable

if TYPE_CHECKING:
    from kilonova.models.base import EmbeddingModel
    from kilonova.models.card import ModelCard

__all__ = ["ModelFamily"]


@runtime_checkable
class ModelFamily(Protocol):
    """What the entry points of the group ``kilonova.models`` name: an object, or a module with these functions.

    A name comes without the endings ``:int8`` and ``:text,image``, which are Kilonova's business. Only ``load`` is
    called in the model's process, and only there are heavy libraries to be imported.
    """

    def names(self) -> Sequence[str]:
        """The names to list, whether or not the models are on this machine; none where names are addresses or paths."""
        ...

    def claims(self, name: str) -> bool:
        """Whether that name is one of the family's. Opens no connection."""
        ...

    def describe(self, name: str) -> ModelCard:
        """The card of a model that the family claims; a card with a ``repository`` needs ``kilonova pull``.

        Raises:
            kilonova.errors.KilonovaError: there is no such model, or it cannot be reached.
        """
        ...

    def load(self, name: str, card: ModelCard) -> EmbeddingModel:
        """Load a model into this process.

        Args:
            name: that the family claims.
            card: as described, perhaps with fewer modalities or with ``int8``: what is asked for of the model.

        Raises:
            kilonova.errors.KilonovaError: its weights or libraries are not installed.
        """
        ...
