"""One exception tree and one status table; every edge (Bedrock, OpenAI, CLI) renders these same errors."""

from __future__ import annotations

__all__ = [
    "STATUS",
    "AccessDenied",
    "Busy",
    "Conflict",
    "Gone",
    "InternalError",
    "InvalidInput",
    "KilonovaError",
    "ModelFailed",
    "ModelTimeout",
    "NotFound",
    "NotReady",
    "QuotaExceeded",
    "Unavailable",
    "UnknownOperation",
    "Unreadable",
]

#: HTTP status by Bedrock error name, from botocore's service model of ``bedrock-runtime`` 2023-09-30;
#: ``UnknownOperationException`` is what AWS front ends answer to a path that no operation has.
STATUS = {
    "ValidationException": 400,
    "AccessDeniedException": 403,
    "ResourceNotFoundException": 404,
    "UnknownOperationException": 404,
    "ConflictException": 400,
    "ModelTimeoutException": 408,
    "ModelErrorException": 424,
    "ThrottlingException": 429,
    "ModelNotReadyException": 429,
    "ServiceQuotaExceededException": 400,
    "InternalServerException": 500,
    "ServiceUnavailableException": 503,
}


class KilonovaError(Exception):
    """Base of every error a caller may see.

    Args:
        message: what is wrong, in one sentence.
        hint: what to do next, if there is something to do.
    """

    name = "InternalServerException"

    def __init__(self, message: str, hint: str = "") -> None:
        super().__init__(message, hint)
        # Names of files may hold bytes that are not UTF-8, which no answer and no terminal can show.
        self.message, self.hint = (text.encode("utf-8", "backslashreplace").decode() for text in (message, hint))

    @property
    def status(self) -> int:
        """The HTTP status of this error."""
        return STATUS[self.name]

    def __str__(self) -> str:
        return f"{self.message} {self.hint}" if self.hint else self.message


class InvalidInput(KilonovaError):
    """The request cannot be right, however often it is sent."""

    name = "ValidationException"


class Unreadable(InvalidInput):
    """A file or object cannot be read at present, whatever is in it: it may not be, or its disk or share is away."""


class Gone(Unreadable):
    """A file or object does not exist."""


class AccessDenied(KilonovaError):
    """No credentials, unknown ones, or a signature that does not match."""

    name = "AccessDeniedException"


class NotFound(KilonovaError):
    """The model or object named does not exist here."""

    name = "ResourceNotFoundException"


class UnknownOperation(KilonovaError):
    """The path or method belongs to no operation of this server."""

    name = "UnknownOperationException"


class Conflict(KilonovaError):
    """The same idempotency token was used with another input."""

    name = "ConflictException"


class ModelTimeout(KilonovaError):
    """The model did not answer in time."""

    name = "ModelTimeoutException"


class ModelFailed(KilonovaError):
    """The model raised an error or its worker died on this batch."""

    name = "ModelErrorException"


class Busy(KilonovaError):
    """A queue or memory bound is reached; trying again later helps."""

    name = "ThrottlingException"


class NotReady(KilonovaError):
    """The model is still being loaded."""

    name = "ModelNotReadyException"


class QuotaExceeded(KilonovaError):
    """This caller uses all that its credential allows."""

    name = "ServiceQuotaExceededException"


class Unavailable(KilonovaError):
    """The server cannot serve at present: it is stopping, or its model cannot be started."""

    name = "ServiceUnavailableException"


class InternalError(KilonovaError):
    """A fault of ours."""
