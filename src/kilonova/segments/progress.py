"""How far indexing or bulk embedding is."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

__all__ = ["OnProgress", "Progress"]


@dataclass
class Progress:
    """Counts of files and segments, and what went wrong.

    Attributes:
        total: files that can be embedded, as far as they are listed.
        complete: whether all are listed.
        unchanged, moved, added, changed, removed: what became of files.
        segments: vectors written.
        failed: files that could not be embedded, or not all of them, and why; files, folders and roots that could not
            be looked at.
        warnings: what lies beside files and could not be read, and why.
        other: files of kinds that cannot be embedded, by ending.
        skipped: what was passed over, by kind (``segments.skipped``).
        seconds: how long it took.

    Example:
        >>> Progress(total=3, added=1, unchanged=1).done
        2
    """

    total: int = 0
    complete: bool = False
    unchanged: int = 0
    moved: int = 0
    added: int = 0
    changed: int = 0
    removed: int = 0
    segments: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    other: Counter[str] = field(default_factory=Counter)
    skipped: Counter[str] = field(default_factory=Counter)
    seconds: float = 0.0

    @property
    def done(self) -> int:
        """Files dealt with."""
        return self.unchanged + self.moved + self.added + self.changed + len(self.failed)


#: Called after every file.
OnProgress = Callable[[Progress], None]
