"""How many inputs one forward pass may hold: learned from the memory that passes took."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

__all__ = ["Budget"]

_SHARE = 0.6  # of the memory that is free when the model is loaded; the rest is fragments, and other processes'
_DEFAULT_TOKENS = 8192  # a pass, where memory cannot be measured
_LEAST_FILLED = 0.5  # of a pass may be padding


class Budget:
    """Before the first pass of a kind and length, one input of them is tried alone, and its memory measured.

    Lengths are distinguished by powers of two.

    Args:
        free: bytes that passes may take, None where that is not known.
    """

    def __init__(self, free: int | None) -> None:
        self._free = None if free is None else int(free * _SHARE)
        self._cost: dict[str, dict[int, int]] = {}

    def passes(self, kind: str, tokens: Sequence[int], measure: Callable[[int], int]) -> Iterator[list[int]]:
        """Places of inputs for one pass after the other: longest first, little padding, never over the budget.

        Args:
            kind: of the inputs; each has memory of its own.
            tokens: lengths of the inputs.
            measure: tries the input at a place, and says how many bytes it took.
        """
        left = sorted(range(len(tokens)), key=lambda place: -tokens[place])
        while left:
            longest = tokens[left[0]]
            costs = self._cost.setdefault(kind, {})
            if self._free is not None and longest.bit_length() not in costs:
                costs[longest.bit_length()] = max(1, measure(left[0]))
            most = self.inputs(kind, longest)
            alike = [place for place in left[:most] if tokens[place] >= longest * _LEAST_FILLED]
            yield alike
            del left[: len(alike)]

    def inputs(self, kind: str, tokens: int) -> int:
        """How many inputs of that kind, padded to that length, a pass may hold."""
        if self._free is None:
            return max(1, _DEFAULT_TOKENS // max(1, tokens))
        return max(1, self._free // self._cost[kind][tokens.bit_length()])
