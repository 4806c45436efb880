"""How passes are filled: memory is learned from one input, lengths do not mix, nothing is lost."""

from __future__ import annotations

import pytest

from kilonova.models.budget import Budget


class Machine:
    """Inputs take a million bytes a token, squared beyond 100 tokens as attention does."""

    def __init__(self, tokens: list[int]) -> None:
        self.tokens = tokens
        self.measured: list[int] = []

    def measure(self, place: int) -> int:
        self.measured.append(self.tokens[place])
        return self.bytes(self.tokens[place])

    @staticmethod
    def bytes(tokens: int) -> int:
        return 1_000_000 * tokens * max(1, tokens // 100)


@pytest.mark.parametrize("free", [None, 3_000_000_000, 40_000_000_000])
def test_every_input_is_in_one_pass_and_no_pass_is_too_large(free: int | None) -> None:
    tokens = [3, 500, 7, 90, 8, 512, 4, 1000, 5, 3000, 6, 33, 400, 2] * 5
    machine, budget = Machine(tokens), Budget(free)
    passes = list(budget.passes("text", tokens, machine.measure))
    assert sorted(place for one in passes for place in one) == list(range(len(tokens)))
    for one in passes:
        lengths = [tokens[place] for place in one]
        assert min(lengths) * 2 >= max(lengths)  # at most half of it is padding
        if free is not None:
            assert len(one) == 1 or len(one) * machine.bytes(max(lengths)) <= free
        else:
            assert len(one) == 1 or len(one) * max(lengths) <= 8192
    assert max(len(one) for one in passes) > 10


def test_each_kind_and_length_is_measured_once() -> None:
    tokens = [10, 11, 12, 100, 90]
    machine, budget = Machine(tokens), Budget(10_000_000_000)
    for _ in range(2):
        list(budget.passes("text", tokens, machine.measure))
    assert machine.measured == [100, 12]
    list(budget.passes("image", [10], machine.measure))
    assert machine.measured == [100, 12, 10]
