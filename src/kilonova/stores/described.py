"""What a folder's ``collection.json`` says of a collection. Written format 1."""

from __future__ import annotations

import json
from pathlib import Path

from kilonova.stores.base import Collection, Metric
from kilonova.wire.errors import InternalServer, Validation

__all__ = ["every", "forget", "there", "write"]

_FORMAT = 1
_FILE = "collection.json"


def there(folder: Path) -> bool:
    """Whether a folder is a collection."""
    return (folder / _FILE).exists()


def every(parent: Path) -> list[Collection]:
    """The collections of a folder, by name."""
    return [_read(path) for path in sorted(parent.glob(f"*/{_FILE}"))]


def write(folder: Path, collection: Collection) -> None:
    """Make a folder a collection, at once."""
    facts = {
        "format": _FORMAT,
        "model": collection.model,
        "dimension": collection.dimension,
        "metric": str(collection.metric),
    }
    aside = folder / f"{_FILE}.new"
    aside.write_text(json.dumps(facts, indent=1) + "\n")
    aside.rename(folder / _FILE)


def forget(folder: Path) -> None:
    """Make it none."""
    (folder / _FILE).unlink()


def _read(path: Path) -> Collection:
    try:
        facts = json.loads(path.read_text())
    except (OSError, ValueError) as error:
        raise InternalServer(f"{path} cannot be read: {error}.") from None
    if facts["format"] != _FORMAT:
        raise Validation(f"{path} has format {facts['format']}; this version reads {_FORMAT}.", "Update Kilonova.")
    return Collection(path.parent.name, facts["model"], facts["dimension"], Metric(facts["metric"]))
