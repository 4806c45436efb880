"""Suites of tests for what plugs into Kilonova; a plug-in's tests subclass them. They need pytest."""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kilonova.testing.stores import StoreSuite

__all__ = ["StoreSuite"]

_WHERE = {"StoreSuite": "kilonova.testing.stores"}


def __getattr__(name: str) -> Any:
    if name not in _WHERE:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    import pytest

    if name not in globals():
        pytest.register_assert_rewrite(_WHERE[name])  # so that failed assertions show their values
        globals()[name] = getattr(import_module(_WHERE[name]), name)
    return globals()[name]
