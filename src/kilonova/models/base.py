"""The contract of a model family: take contents of one modality, give vectors."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kilonova.media.content import Input
from kilonova.models.card import ModelCard, Purpose

if TYPE_CHECKING:
    import numpy as np

__all__ = ["Embedded", "EmbeddingModel", "Prepared", "with_vectors"]


@dataclass(frozen=True)
class Prepared:
    """One content made ready for a forward pass.

    Attributes:
        data: whatever ``embed`` of the same family wants (token ids, a normalised array).
        tokens: what it costs in the model's own tokens, as far as that is known before the pass.
        kept_characters: length of a text after truncation, None when nothing was cut or it is not known yet.
    """

    data: Any
    tokens: int
    kept_characters: int | None = None


@dataclass(frozen=True)
class Embedded:
    """One content's vector and what it took.

    Attributes:
        vector: float32 [native_dimension], of any length but zero.
        tokens: what it cost in the model's own tokens; reported to the caller.
        kept_characters: length of a text after truncation, None when nothing was cut.
    """

    vector: np.ndarray
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
            kilonova.errors.InvalidInput: the content is one that this model cannot embed, see ``ModelCard.refusal``.
        """

    @abstractmethod
    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        """The vectors of a batch, in its order; ``with_vectors`` makes them of an array.

        The vector of a content must not depend on what else is in the batch.

        Raises:
            MemoryError: the batch does not fit into memory; it is halved and tried again.
        """


def with_vectors(batch: Sequence[Prepared], vectors: np.ndarray) -> list[Embedded]:
    """A batch and its vectors float32 [len(batch), native_dimension], where preparing found all that is reported."""
    return [
        Embedded(vector, prepared.tokens, prepared.kept_characters)
        for prepared, vector in zip(batch, vectors, strict=True)
    ]
