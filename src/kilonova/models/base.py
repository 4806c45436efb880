"""The contract of a model family: take contents of one modality, give vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kilonova.errors import InvalidInput
from kilonova.media.content import Encoded, Input, Mixed
from kilonova.models.card import ModelCard, Purpose

if TYPE_CHECKING:
    import numpy as np

__all__ = ["EmbeddingModel", "Prepared", "unsupported"]


@dataclass
class Prepared:
    """One content made ready for a forward pass. What it costs and what was cut, ``embed`` may still fill in.

    Attributes:
        data: whatever ``embed`` of the same family wants (token ids, a normalised array).
        tokens: what it costs, in the model's own tokens; reported to the caller.
        kept_characters: length of a text after truncation, None when nothing was cut.
    """

    data: Any
    tokens: int
    kept_characters: int | None = None


class EmbeddingModel(ABC):
    """A loaded model. It knows nothing of HTTP, S3, dimensions or queues and is called by one thread.

    ``prepare`` judges one content alone, so that a content which the model cannot take is refused
    without failing its batch; ``embed`` sees only prepared contents of one modality.
    """

    card: ModelCard

    @abstractmethod
    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        """Tokenise or normalise one content whose modality is in the card.

        Args:
            content: decoded; an ``Encoded`` file comes only where the card has ``takes_files``, a ``Mixed`` only where
                it has ``mixes``.
            purpose: what the vector will be used for.

        Raises:
            kilonova.errors.InvalidInput: the content is one that this model cannot embed, see ``unsupported``.
        """

    @abstractmethod
    def embed(self, batch: Sequence[Prepared]) -> np.ndarray:
        """Vectors float32 [len(batch), native_dimension], of any length but zero, in the order of the batch.

        The vector of a content must not depend on what else is in the batch.
        """


def unsupported(card: ModelCard, content: Input) -> InvalidInput:
    """The refusal of a content that a model has no way to embed."""
    match content:
        case Encoded():
            kind = f"a file of {content.modality} that is not decoded"
        case Mixed():
            kind = "several contents together"
        case _:
            kind = str(content.modality)
    return InvalidInput(f"{card.id} cannot embed {kind}.", "`kilonova models` lists models and what they embed.")
