"""One exception tree in core names. Each edge (Bedrock, OpenAI, the command line) renders it in its own words."""

from __future__ import annotations

__all__ = [
    "AccessDenied",
    "AlreadyExists",
    "Busy",
    "Conflict",
    "Gone",
    "InternalError",
    "InvalidInput",
    "KilonovaError",
    "ModelFailed",
    "ModelTimeout",
    "NoAudioTrack",
    "NotFound",
    "NotReady",
    "QuotaExceeded",
    "Unavailable",
    "UnknownOperation",
    "Unreadable",
]


class KilonovaError(Exception):
    """Base of every error a caller may see.

    Args:
        message: what is wrong, in one sentence.
        hint: what to do next, if there is something to do.

    Example:
        >>> try:
        ...     raise NotFound("There is no collection photos.", "Make one: kilonova index FOLDER.")
        ... except KilonovaError as error:
        ...     print(error.message, error.hint, sep=" / ")
        There is no collection photos. / Make one: kilonova index FOLDER.
    """

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        # Names of files may hold bytes that are not UTF-8, which no answer and no terminal can show.
        self.message, self.hint = (text.encode("utf-8", "backslashreplace").decode() for text in (message, hint))

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InvalidInput(KilonovaError):
    """The request cannot be right, however often it is sent."""


class NoAudioTrack(InvalidInput):
    """The audio of a video is asked for, which has none."""


class AlreadyExists(InvalidInput):
    """What is to be made exists already."""


class Unreadable(InvalidInput):
    """A file or object cannot be read at present, whatever is in it: it may not be, or its disk or share is away."""


class Gone(Unreadable):
    """A file or object does not exist."""


class AccessDenied(KilonovaError):
    """No credentials, unknown ones, or a signature that does not match."""


class NotFound(KilonovaError):
    """The model or object named does not exist here."""


class UnknownOperation(KilonovaError):
    """The path or method belongs to no operation of this server."""


class Conflict(KilonovaError):
    """The same idempotency token was used with another input."""


class ModelTimeout(KilonovaError):
    """The model did not answer in time."""


class ModelFailed(KilonovaError):
    """The model raised an error or its worker died on this batch."""


class Busy(KilonovaError):
    """A queue or memory bound is reached; trying again later helps."""


class NotReady(KilonovaError):
    """The model is still being loaded."""


class QuotaExceeded(KilonovaError):
    """This caller uses all that its credential allows."""


class Unavailable(KilonovaError):
    """The server cannot serve at present: it is stopping, or its model cannot be started."""


class InternalError(KilonovaError):
    """A fault of ours."""
