"""What a payload may be. What no store takes is in ``StoreSuite``."""

from __future__ import annotations

from kilonova.stores.checks import MAX_DEPTH, check_payload
from kilonova.testing.stores import nested


def test_a_payload_at_the_limits() -> None:
    check_payload({"a": [0] * 9_998}, "The payload")
    check_payload(nested(MAX_DEPTH, "dict"), "The payload")
