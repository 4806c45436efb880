"""Bounds on what may be under way at once: bytes of bodies over all callers, requests of each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kilonova.wire.credential import Credential
from kilonova.wire.errors import QuotaExceeded, Throttled

__all__ = ["Admission"]


class Admission:
    """Counts what is under way and refuses at once what would be too much; nothing waits here.

    Args:
        max_bytes: bodies' lengths added up. A body costs about three times its length at the worst moment
            (the body, its base64 text, the decoded bytes), so memory is bounded by three times this.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._callers: Counter[str] = Counter()

    @contextmanager
    def request(self, credential: Credential, length: int) -> Iterator[None]:
        """Hold a place for a request with a body of ``length`` bytes.

        Raises:
            QuotaExceeded: the caller has as many requests under way as its credential allows.
            Throttled: too many bytes are under way. A body alone is always let in.
        """
        limit = credential.max_in_flight
        if limit is not None and self._callers[credential.name] >= limit:
            raise QuotaExceeded(f"{limit} requests of this caller are under way already.", "Wait for one to end.")
        if self._bytes and self._bytes + length > self._max_bytes:
            raise Throttled(f"Bodies of {self._bytes:,} bytes are under way.", "Try again with exponential backoff.")
        self._callers[credential.name] += 1
        self._bytes += length
        try:
            yield
        finally:
            self._bytes -= length
            self._callers[credential.name] -= 1
