"""The directories of Kilonova's own files."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["config", "data", "models"]


def config() -> Path:
    """Where credentials are: ``KILONOVA_HOME``, else ``kilonova`` in the user's configuration."""
    if given := os.environ.get("KILONOVA_HOME"):
        return Path(given)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kilonova"


def data() -> Path:
    """Where jobs, collections and models are kept: ``KILONOVA_DATA``, else ``kilonova`` in the user's data."""
    if given := os.environ.get("KILONOVA_DATA"):
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kilonova"


def models() -> Path:
    """The directory of the models that ``kilonova pull`` brought."""
    return data() / "models"
