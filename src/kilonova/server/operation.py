"""What every signed operation does around its own work: identity, admission, the body, errors, log, metrics."""

from __future__ import annotations

import asyncio
import hashlib
import logging
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from time import perf_counter
from typing import TypeVar
from uuid import uuid4

from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response

from kilonova.media.limits import INLINE_BODY_BYTES
from kilonova.server import metrics
from kilonova.server.admission import Admission, Place
from kilonova.wire import sigv4
from kilonova.wire.credential import Credential
from kilonova.wire.errors import InternalServer, KilonovaError, Validation

__all__ = ["Answer", "Call", "Operation"]

_log = logging.getLogger("kilonova.server")

_REGION = "us-east-1"  # of callers with an API key, who name none
_BODY_SECONDS = 60.0  # a caller that stalls must not hold its place for ever

_LARGE = 64 << 10  # bytes of a body whose parsing takes milliseconds

_Parsed = TypeVar("_Parsed")
ErrorBody = Callable[[KilonovaError], tuple[int, dict[str, str], bytes]]


@dataclass
class Call:
    """One authenticated request on its way through an operation."""

    request: Request
    region: str
    caller: str = ""
    place: Place | None = None
    body: bytes = b""
    modality: str = "none"

    def hold(self, length: int) -> None:
        """Count further bytes as under way until the request ends.

        Raises:
            Throttled: there are too many.
        """
        assert self.place is not None
        self.place.more(length)

    def take_body(self) -> bytes:
        """The body, which is let go here so that it is freed as soon as it is parsed."""
        body, self.body = self.body, b""
        return body

    async def parse(self, parser: Callable[[bytes], _Parsed]) -> _Parsed:
        """The body, parsed; a large one beside the event loop."""
        body = self.take_body()
        return parser(body) if len(body) < _LARGE else await asyncio.to_thread(parser, body)


@dataclass(frozen=True)
class Answer:
    """A JSON answer."""

    body: bytes
    headers: dict[str, str] = field(default_factory=dict)


class Operation:
    """An endpoint of Starlette.

    Args:
        name: for logs and metrics.
        work: what the operation does; any ``KilonovaError`` it raises becomes the answer. What is not JSON it answers
            with a ``Response`` of its own, which is sent when the work is done.
        error_body: the edge's rendering of errors.
        credentials, region, admission: who may call, from where, and how much at once.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Call], Awaitable[Answer | Response]],
        error_body: ErrorBody,
        *,
        credentials: Sequence[Credential],
        region: str,
        admission: Admission,
    ) -> None:
        self._name, self._work, self._error_body = name, work, error_body
        self._credentials, self._region, self._admission = credentials, region, admission

    async def __call__(self, request: Request) -> Response:
        begin = perf_counter()
        request_id = str(uuid4())
        call = Call(request, self._region)
        error = ""
        try:
            identity = self._authenticate(request)
            call.caller = identity.credential.name
            call.region = identity.region or self._region or _REGION
            with self._admission.request(identity.credential, _declared_length(request)) as call.place:
                call.body, digest = await _read(request)
                identity.confirm(digest)
                answer = await _while_connected(request, self._work(call))
            response = (
                answer
                if isinstance(answer, Response)
                else Response(answer.body, 200, answer.headers, "application/json")
            )
        except KilonovaError as refusal:
            error, response = refusal.name, self._refuse(refusal)
        except ClientDisconnect:
            error, response = "ClientDisconnect", Response(status_code=499)  # nobody reads it
        except Exception:
            _log.exception("unexpected error", extra={"request_id": request_id, "operation": self._name})
            fault = InternalServer("The server failed on this request.", f"Its log has the reason under {request_id}.")
            error, response = fault.name, self._refuse(fault)
        response.headers["x-amzn-RequestId"] = request_id
        self._record(call, response.status_code, error, request_id, perf_counter() - begin)
        return response

    def _authenticate(self, request: Request) -> sigv4.Caller:
        raw = request.scope.get("raw_path") or request.scope["path"].encode()
        signed = sigv4.Request(
            request.method,
            raw.decode("latin-1"),
            request.scope["query_string"].decode("latin-1"),
            dict(request.headers),
        )
        return sigv4.authenticate(signed, self._credentials, ("bedrock",), self._region)

    def _refuse(self, error: KilonovaError) -> Response:
        status, headers, body = self._error_body(error)
        return Response(body, status, headers, "application/json")

    def _record(self, call: Call, status: int, error: str, request_id: str, seconds: float) -> None:
        metrics.REQUESTS.labels(self._name, call.modality, status).inc()
        metrics.SECONDS.labels(self._name, call.modality).observe(seconds)
        if error:
            metrics.ERRORS.labels(self._name, call.modality, error).inc()
        if _log.isEnabledFor(logging.INFO):
            extra = {
                "request_id": request_id,
                "operation": self._name,
                "modality": call.modality,
                "caller": call.caller,
                "status": status,
                "error": error,
                "milliseconds": round(seconds * 1000, 2),
            }
            _log.info("request", extra=extra)


def _declared_length(request: Request) -> int:
    """The body's length as declared; a chunked body is charged with the most it may become.

    Raises:
        Validation: it declares more than a body may have.
    """
    if "transfer-encoding" in request.headers or (
        request.scope["http_version"] == "2" and "content-length" not in request.headers
    ):
        return INLINE_BODY_BYTES if request.method == "POST" else 0
    length = int(request.headers.get("content-length", "0"))
    if length > INLINE_BODY_BYTES:
        raise _too_long(length)
    return length


async def _read(request: Request) -> tuple[bytes, str]:
    """The whole body and its SHA-256.

    Raises:
        Validation: it is longer than a body may be, or does not arrive.
    """
    digest, length = hashlib.sha256(), 0
    chunks: list[bytes] = []
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            async for chunk in request.stream():
                digest.update(chunk)
                chunks.append(chunk)
                length += len(chunk)
                if length > INLINE_BODY_BYTES:
                    raise _too_long(length)
    except TimeoutError:
        raise Validation(f"The body did not arrive within {_BODY_SECONDS:g} s.") from None
    return b"".join(chunks), digest.hexdigest()


def _too_long(length: int) -> Validation:
    return Validation(
        f"The body has {length:,} bytes; at most {INLINE_BODY_BYTES:,} are taken.",
        "Put the file into S3 and send its s3Location.",
    )


async def _while_connected(request: Request, work: Awaitable[Answer | Response]) -> Answer | Response:
    """Do the work, or stop it when the caller leaves.

    Raises:
        ClientDisconnect: the caller left.
    """
    task = asyncio.current_task()
    assert task is not None
    gone = False

    async def watch() -> None:
        nonlocal gone
        await request.receive()  # the body is read: what comes next is the disconnect
        gone = True
        task.cancel()

    watcher = asyncio.create_task(watch())
    try:
        return await work
    except asyncio.CancelledError:
        if gone and not task.uncancel():
            raise ClientDisconnect from None
        raise
    finally:
        watcher.cancel()
