"""Which tokens of a text a model reads, and how many characters they are: one rule for every family."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from kilonova.errors import InvalidInput
from kilonova.media.content import Text, Truncation
from kilonova.models.card import ModelCard

__all__ = ["truncate"]


def truncate(
    text: Text, tokens: int, card: ModelCard, spans: Callable[[], Sequence[tuple[int, int]]], around: int = 0
) -> tuple[slice, int | None]:
    """The slice of the tokens to keep, and the length of the text that they cover (None when nothing is cut).

    Args:
        text: the text and its truncation mode.
        tokens: how many tokens it has.
        card: whose ``max_tokens`` bounds it.
        spans: gives the start and end character of each token; called only when the text is too long.
        around: tokens that are added to it, of a prompt and at its ends.

    Raises:
        InvalidInput: it is too long and must not be cut.
    """
    limit = card.max_tokens - around
    if tokens <= limit:
        return slice(None), None
    if text.truncation is Truncation.NONE:
        raise InvalidInput(
            f"The text has {tokens + around} tokens; {card.id} reads {card.max_tokens}.",
            "Shorten it, or set truncationMode to START or END.",
        )
    if text.truncation is Truncation.END:
        return slice(limit), spans()[limit - 1][1]
    return slice(-limit, None), len(text.value) - spans()[-limit][0]
