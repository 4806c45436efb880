"""Bounds on what may be under way at once: bytes of bodies over all callers, requests of each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kilonova.wire.credential import Credential
from kilonova.wire.errors import QuotaExceeded, Throttled

__all__ = ["Admission", "Place"]


class Place:
    """What one request holds."""

    def __init__(self, admission: Admission, length: int) -> None:
        self._admission, self.length = admission, 0
        self.more(length)

    def more(self, length: int) -> None:
        """Hold further bytes, of an object that is to be read, until the request ends.

        Raises:
            Throttled: too many bytes are under way.
        """
        self._admission.take(length)
        self.length += length


class Admission:
    """Counts what is under way and refuses at once what would be too much; nothing waits here.

    Args:
        max_bytes: lengths of bodies and of objects read from S3, added up. A body costs about three times its
            length at the worst moment (the body, its base64 text, the decoded bytes), so memory is bounded by
            three times this.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._bytes = 0
        self._callers: Counter[str] = Counter()

    @contextmanager
    def request(self, credential: Credential, length: int) -> Iterator[Place]:
        """Hold a place for a request with a body of ``length`` bytes.

        Raises:
            QuotaExceeded: the caller has as many requests under way as its credential allows.
            Throttled: too many bytes are under way. A body alone is always let in.
        """
        limit = credential.max_in_flight
        if limit is not None and self._callers[credential.name] >= limit:
            raise QuotaExceeded(f"{limit} requests of this caller are under way already.", "Wait for one to end.")
        place = Place(self, length)
        self._callers[credential.name] += 1
        try:
            yield place
        finally:
            self._bytes -= place.length
            self._callers[credential.name] -= 1

    def take(self, length: int) -> None:
        """Count further bytes, see ``Place.more``."""
        if self._bytes and self._bytes + length > self._max_bytes:
            raise Throttled(f"{self._bytes:,} bytes of input are under way.", "Try again with exponential backoff.")
        self._bytes += length
