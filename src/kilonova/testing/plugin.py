"""Fixtures for pytest, which loads this module by itself: ``def test_mine(bedrock): …``.

``-p no:kilonova`` turns it off.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from kilonova.testing.server import KilonovaServer

__all__ = ["bedrock", "kilonova_environment", "kilonova_options", "kilonova_server"]

# Their assertions are to show values, as those of test files do.
pytest.register_assert_rewrite("kilonova.testing.models", "kilonova.testing.stores")


@pytest.fixture(scope="session")
def kilonova_options() -> Sequence[str]:
    """Options of ``kilonova serve`` for the server below; override it in your ``conftest.py``: ``("--queue", "1")``."""
    return ()


@pytest.fixture(scope="session")
def kilonova_server(kilonova_options: Sequence[str]) -> Iterator[KilonovaServer]:
    """A running server of the fake model, one for all tests: ``url``, ``env``, ``api_key`` and ``client(service)``."""
    from kilonova.testing.server import KilonovaServer

    with KilonovaServer(*kilonova_options) as server:
        yield server.wait_ready()


@pytest.fixture(scope="session")
def bedrock(kilonova_server: KilonovaServer) -> Any:
    """boto3's client of ``bedrock-runtime`` for that server."""
    return kilonova_server.client()


@pytest.fixture
def kilonova_environment(kilonova_server: KilonovaServer, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """Points every AWS client that the test makes at that server, for as long as the test runs; the variables set."""
    for name, value in kilonova_server.env.items():
        monkeypatch.setenv(name, value)
    return kilonova_server.env
