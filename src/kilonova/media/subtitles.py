"""Subtitles of videos: what is said when."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kilonova.errors import InvalidInput
from kilonova.media.text import decode

__all__ = ["ENDINGS", "BadSubtitles", "Cue", "cues", "read", "words_between"]

#: Endings of files that lie beside videos; the language may stand before them: video.zh.srt.
ENDINGS = (".srt", ".vtt", ".ass", ".ssa")


class BadSubtitles(InvalidInput):
    """A file of subtitles that cannot be read; the video beside it can be embedded without them."""


@dataclass(frozen=True)
class Cue:
    """Words that are shown from ``start`` to ``end``, in seconds."""

    start: float
    end: float
    words: str


def read(data: bytes, name: str) -> list[Cue]:
    """What a file of subtitles in any encoding says, without its formatting.

    Raises:
        BadSubtitles: it is none.
    """
    try:
        text = decode(data, name)
    except InvalidInput as error:
        raise BadSubtitles(error.message, error.hint) from None
    return cues(text, name)


def cues(text: str, name: str) -> list[Cue]:
    """The same of the file's text.

    Raises:
        BadSubtitles: it is none.
    """
    import pysubs2

    try:
        # pysubs2 knows them by their list of styles, which some do without
        form = "ass" if name.lower().endswith((".ass", ".ssa")) and "[Events]" in text else None
        found = pysubs2.SSAFile.from_string(text, format_=form)
        return [Cue(one.start / 1000, one.end / 1000, said) for one in found if (said := one.plaintext.strip())]
    except Exception as error:  # its parsers raise whatever Python does on what they do not expect
        why = str(error).rstrip(".") or type(error).__name__
        raise BadSubtitles(f"{name} has no subtitles that can be read: {why}.", "Mend it or take it away.") from None


def words_between(found: Sequence[Cue], start: float, end: float) -> str:
    """The words that are shown between two times, in seconds."""
    return "\n".join(one.words for one in found if one.start < end and one.end > start)
