"""Facts about a model as frozen data."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from types import MappingProxyType
from typing import Any

from kilonova.errors import InvalidInput
from kilonova.media.content import Encoded, Input, Mixed, Modality

__all__ = ["ModelCard", "Purpose"]


class Purpose(StrEnum):
    """Nova's ``embeddingPurpose``: what the vector will be used for.

    Example:
        >>> Purpose("IMAGE_RETRIEVAL") is Purpose.IMAGE_RETRIEVAL
        True
    """

    GENERIC_INDEX = "GENERIC_INDEX"
    GENERIC_RETRIEVAL = "GENERIC_RETRIEVAL"
    TEXT_RETRIEVAL = "TEXT_RETRIEVAL"
    IMAGE_RETRIEVAL = "IMAGE_RETRIEVAL"
    VIDEO_RETRIEVAL = "VIDEO_RETRIEVAL"
    DOCUMENT_RETRIEVAL = "DOCUMENT_RETRIEVAL"
    AUDIO_RETRIEVAL = "AUDIO_RETRIEVAL"
    CLASSIFICATION = "CLASSIFICATION"
    CLUSTERING = "CLUSTERING"


@dataclass(frozen=True)
class ModelCard:
    """What is known of a model before it is loaded.

    Attributes:
        id: the name that ``--model`` and ``modelId`` take.
        title: a name for people.
        licence: SPDX identifier of the weights.
        source: where the weights come from.
        modalities: the kinds of input it embeds; all others are refused.
        native_dimension: of the vectors that ``embed`` returns.
        trained_dimensions: prefixes that Matryoshka training made meaningful, the native dimension included.
            Other prefixes are served and marked as untrained; above the native one zeros are added.
        max_tokens: text tokens it reads at most.
        prompts: text put in front of a text input, by purpose.
        languages: in words.
        best_for: one line for whoever chooses between models.
        sample_rate: Hz of the audio it wants.
        frame_rate: frames per second of video it wants.
        background: ``package:file`` of vectors of usual texts, images and audio, see ``models.background``; "" where
            there is none.
        takes_files: it is given images, audio and video as the files they came in, not decoded.
        mixes: it makes one vector of contents of several kinds together.
        gpu: it runs on a GPU where there is one.
        int8: its matrices are 8-bit integers, see ``models.int8``.
        memory: what it takes while it runs, in words.
        quality: figures of its quality and whose they are.
        repository: where ``kilonova pull`` finds its files, as ``owner/name``; "" for models that need none.

    Example:
        >>> import kilonova
        >>> with kilonova.Embedder() as embedder:
        ...     card = embedder.card
        >>> card.id, card.native_dimension
        ('kilonova-mini', 3072)
    """

    id: str
    title: str
    licence: str
    source: str
    modalities: frozenset[Modality]
    native_dimension: int
    trained_dimensions: tuple[int, ...]
    max_tokens: int
    languages: str
    best_for: str
    prompts: Mapping[Purpose, str] = field(default_factory=lambda: MappingProxyType({}))
    sample_rate: int = 32_000
    frame_rate: float = 1.0
    background: str = ""
    takes_files: bool = False
    mixes: bool = False
    gpu: bool = False
    int8: bool = False
    memory: str = ""
    quality: str = ""
    repository: str = ""

    def __reduce__(self) -> tuple[Callable[..., ModelCard], tuple[dict[str, Any]]]:
        """So that a card crosses to other processes: a mapping that cannot be changed does not."""
        return _rebuild, ({**vars(self), "prompts": dict(self.prompts)},)

    def dimension_note(self, dimension: int) -> str:
        """How a vector of that length comes about: "trained", "untrained prefix" or "padded with zeros"."""
        if dimension > self.native_dimension:
            return "padded with zeros"
        return "trained" if dimension in self.trained_dimensions else "untrained prefix"

    def refusal(self, content: Input) -> InvalidInput:
        """The error for a content that the model has no way to embed, for ``prepare`` to raise."""
        kind = str(content.modality)
        if isinstance(content, Encoded):
            kind = f"a file of {kind} that is not decoded"
        elif isinstance(content, Mixed):
            kind = "several contents together"
        return InvalidInput(f"{self.id} cannot embed {kind}.", "`kilonova models` lists models and what they embed.")


def _rebuild(facts: dict[str, Any]) -> ModelCard:
    return ModelCard(**{**facts, "prompts": MappingProxyType(facts["prompts"])})
