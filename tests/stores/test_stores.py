"""What every vector store must do, on each of ours."""

from __future__ import annotations

from kilonova.testing import StoreSuite


class TestStores(StoreSuite):
    """``conftest.store`` gives each in turn."""
