"""Bounds on what may be under way at once: bytes of bodies over all callers, requests of each caller."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from kilonova.credentials.credential import Credential
from kilonova.errors import Busy, QuotaExceeded

__all__ = ["Admission", "Place"]


class Place:
    """What one request holds."""

    def __init__(self, admission: Admission) -> None:
        self._admission, self.length = admission, 0
        self.caller = ""

    def more(self, length: int) -> None:
        """Hold further bytes, of a body or of an object that is to be read, until the request ends.

        Raises:
            Busy: too many bytes are under way.
        """
        self._admission.check(length, self)
        self.length += length
        self._admission.bytes += length
        if not self.caller:
            self._admission.nobodys += length

    def count(self, credential: Credential) -> None:
        """Count the request as one of that caller's, whose identity is certain now; done once.

        Raises:
            QuotaExceeded: the caller has as many requests under way as its credential allows.
        """
        if self.caller:
            return
        limit, callers = credential.max_in_flight, self._admission.callers
        if limit is not None and callers[credential.name] >= limit:
            raise QuotaExceeded(f"{limit} requests of this caller are under way already.", "Wait for one to end.")
        self.caller = credential.name
        callers[self.caller] += 1
        self._admission.nobodys -= self.length

    def leave(self) -> None:
        """Hold nothing more."""
        self._admission.bytes -= self.length
        if self.caller:
            self._admission.callers[self.caller] -= 1
        else:
            self._admission.nobodys -= self.length


class Admission:
    """Counts what is under way and refuses at once what would be too much; nothing waits here.

    Args:
        max_bytes: lengths of bodies, as they arrive, and of objects read from S3, added up. A body costs about three
            times its length at the worst moment (the body, its base64 text, the decoded bytes), so memory is bounded
            by three times this. Bodies whose signature cannot be checked yet have half of it.
    """

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self.bytes = self.nobodys = 0
        self.callers: Counter[str] = Counter()

    @contextmanager
    def place(self, length: int) -> Iterator[Place]:
        """A place for a request that declares a body of ``length`` bytes; it holds nothing yet.

        Raises:
            Busy: too many bytes are under way for it. A body alone is always let in.
        """
        place = Place(self)
        self.check(length, place)
        try:
            yield place
        finally:
            place.leave()

    def check(self, length: int, place: Place) -> None:
        """Refuse further bytes of a request, if others leave no room for them.

        Raises:
            Busy: they do not.
        """
        full = self.bytes > place.length and self.bytes + length > self._max_bytes
        if not place.caller:
            full = full or (self.nobodys > place.length and self.nobodys + length > self._max_bytes // 2)
        if full:
            raise Busy(f"{self.bytes:,} bytes of input are under way.", "Try again with exponential backoff.")
