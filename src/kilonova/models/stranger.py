"""A model family of another distribution: what it raises becomes an error that names it, and harms no other family."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import TypeVar

from kilonova.errors import KilonovaError, Unavailable
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import ModelCard
from kilonova.models.family import ModelFamily

__all__ = ["Stranger"]

_log = logging.getLogger("kilonova.models")
T = TypeVar("T")


class Stranger:
    """A family that is called with care.

    Args:
        name: of its entry point.
        family: what the entry point names.
    """

    def __init__(self, name: str, family: ModelFamily) -> None:
        self._name, self._family = name, family

    def names(self) -> Sequence[str]:
        """As of the family; none when it fails, and without models that it cannot describe."""
        try:
            names = self._ask(self._family.names)
        except KilonovaError as fault:
            _log.warning("plug-in left out", extra={"plugin": self._name, "reason": str(fault)})
            return ()
        return [name for name in names if self._describes(name)]

    def claims(self, name: str) -> bool:
        """As of the family; not when it fails."""
        try:
            return self._ask(lambda: self._family.claims(name))
        except KilonovaError as fault:
            _log.warning("plug-in left out", extra={"plugin": self._name, "reason": str(fault)})
            return False

    def describe(self, name: str) -> ModelCard:
        """As of the family."""
        return self._ask(lambda: self._family.describe(name))

    def load(self, name: str, card: ModelCard) -> EmbeddingModel:
        """As of the family."""
        return self._ask(lambda: self._family.load(name, card))

    def _describes(self, name: str) -> bool:
        try:
            self.describe(name)
        except KilonovaError as fault:
            _log.warning("model left out", extra={"model": name, "plugin": self._name, "reason": str(fault)})
            return False
        return True

    def _ask(self, call: Callable[[], T]) -> T:
        """Raises: KilonovaError: the family's own, or one for whatever else it raises."""
        try:
            return call()
        except KilonovaError:
            raise
        except Exception as error:  # code of strangers: whatever it raises must not break other models
            raise Unavailable(
                f"The model plug-in {self._name!r} failed: {type(error).__name__}: {error}.",
                "`pip list` shows its version; tell whoever wrote it.",
            ) from error
