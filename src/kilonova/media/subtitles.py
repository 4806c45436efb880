"""Subtitles of films: what is said when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kilonova.wire.errors import Validation

__all__ = ["ENDINGS", "Cue", "cues", "said"]

#: Endings of files that lie beside films; the language may stand before them: film.zh.srt.
ENDINGS = (".srt", ".vtt", ".ass", ".ssa")


@dataclass(frozen=True)
class Cue:
    """Words that are shown from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    words: str


def cues(text: str, name: str) -> list[Cue]:
    """What a file of subtitles says, without its formatting.

    Raises:
        Validation: it is none.
    """
    import pysubs2

    try:
        found = pysubs2.SSAFile.from_string(text)
    except (pysubs2.Pysubs2Error, ValueError) as error:
        raise Validation(f"{name} has no subtitles: {error}.", "Mend it or take it away.") from None
    return [Cue(one.start / 1000, one.end / 1000, one.plaintext.strip()) for one in found if one.plaintext.strip()]


def said(found: Sequence[Cue], start: float, end: float) -> str:
    """The words that are shown between two times, in seconds."""
    return "\n".join(one.words for one in found if one.start < end and one.end > start)
