"""What a caller proves itself with."""

from __future__ import annotations

from dataclasses import dataclass, field

__all__ = ["Credential"]


@dataclass(frozen=True)
class Credential:
    """One caller's secrets: an access key pair, a bearer key, or both.

    Attributes:
        name: what logs and metrics call this caller.
        access_key_id, secret_access_key, session_token: for SigV4.
        api_key: for ``Authorization: Bearer``.
        max_in_flight: requests of this caller that may be under way at once, None for no bound.
    """

    name: str
    access_key_id: str = ""
    secret_access_key: str = field(default="", repr=False)
    session_token: str = field(default="", repr=False)
    api_key: str = field(default="", repr=False)
    max_in_flight: int | None = None
