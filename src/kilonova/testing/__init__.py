"""For the tests of others: suites that a plug-in must pass, a real server of the fake model, and pytest fixtures.

The fixtures are there wherever Kilonova and pytest are installed, see ``kilonova.testing.plugin``. Needs pytest, which
Kilonova does not install.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kilonova.testing.models import ModelSuite
    from kilonova.testing.server import KilonovaServer
    from kilonova.testing.stores import StoreSuite

__all__ = ["KilonovaServer", "ModelSuite", "StoreSuite"]

# pytest loads this package at every start, so nothing is imported before it is used.
_MODULES = {
    "KilonovaServer": "kilonova.testing.server",
    "ModelSuite": "kilonova.testing.models",
    "StoreSuite": "kilonova.testing.stores",
}


def __getattr__(name: str) -> Any:
    if name not in _MODULES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    if name not in globals():
        pytest.register_assert_rewrite(_MODULES[name])  # so that failed assertions show their values
        globals()[name] = getattr(import_module(_MODULES[name]), name)
    return globals()[name]
