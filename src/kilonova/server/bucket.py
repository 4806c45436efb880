"""How often something may happen."""

from __future__ import annotations

import time

__all__ = ["Bucket"]


class Bucket:
    """Tokens: so many at most, and so many more each second.

    Args:
        most: tokens that it holds, and begins with.
        rate: tokens that it gets each second.
    """

    def __init__(self, most: int, rate: float) -> None:
        self._most, self._rate = float(most), rate
        self._tokens, self._since = self._most, time.monotonic()

    def take(self) -> bool:
        """Take a token, if there is one."""
        now = time.monotonic()
        self.give((now - self._since) * self._rate)
        self._since = now
        if self._tokens < 1:
            return False
        self._tokens -= 1
        return True

    def give(self, tokens: float) -> None:
        """Put tokens in, as far as there is room."""
        self._tokens = min(self._most, self._tokens + tokens)
