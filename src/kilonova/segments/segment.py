"""A stretch of a file that becomes a vector, and the plan that files are cut by."""

from __future__ import annotations

from dataclasses import dataclass

from kilonova.errors import InvalidInput
from kilonova.media.content import Audio, Content, Detail, Encoded, Truncation, Video

__all__ = ["Plan", "Segment"]


@dataclass(frozen=True)
class Plan:
    """How files are cut.

    Attributes:
        seconds: length of a segment of audio or video.
        characters: longest segment of a text.
        verbatim: whether segments of a text are the whole text and a file is of the kind that it is said to be, as
            asynchronous invocations promise. Otherwise, for search, markup, encoded data and blank segments are left
            out, and a video file without frames is read as audio.
        apart: whether frames and audio of a video become a vector each, and not one together.
        detail: how finely an image is looked at.
        truncation: which end of a segment of text is cut off where it is too long for the model.
    """

    seconds: float = 5.0
    characters: int = 800
    verbatim: bool = False
    apart: bool = False
    detail: Detail = Detail.STANDARD
    truncation: Truncation = Truncation.END

    def __post_init__(self) -> None:
        """Raises ``InvalidInput`` where a length is out of bounds."""
        if not 1 <= self.seconds <= 30:
            raise InvalidInput(f"Segments last 1 to 30 seconds, not {self.seconds:g}.")
        if not 100 <= self.characters <= 50_000:
            raise InvalidInput(f"Segments have 100 to 50,000 characters, not {self.characters:,}.")


@dataclass(frozen=True, eq=False)
class Segment:
    """A stretch of a file.

    Attributes:
        index: its number in the file, from 0.
        contents: what is embedded, each for itself: one, or the frames and the audio of a video apart; none where
            ``fault`` says why.
        start: where it begins, in seconds of audio and video and in characters of a text; None of images and pages.
        end: where it ends, likewise.
        page: of a document, from 1.
        text: its words as keyword search finds them; "" where they are not known, or belong to another segment.
        preview: words that begin like it, where ``text`` is "".
        encoding: of a text that is not UTF-8.
        fault: why something of it cannot be embedded, "" where nothing is wrong.
        position: how far into the file it reaches, in seconds or bytes.
        length: of the whole file in the same unit, as far as it is known.
    """

    index: int
    contents: tuple[Content | Encoded, ...] = ()
    start: float | None = None
    end: float | None = None
    page: int | None = None
    text: str = ""
    preview: str = ""
    encoding: str = ""
    fault: str = ""
    position: float = 0.0
    length: float | None = None

    @property
    def video(self) -> Video | None:
        """The video among its contents."""
        return next((one for one in self.contents if isinstance(one, Video)), None)

    @property
    def audio(self) -> Audio | None:
        """The audio among its contents, apart from what a video holds."""
        return next((one for one in self.contents if isinstance(one, Audio)), None)
