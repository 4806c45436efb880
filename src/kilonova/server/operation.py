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

from kilonova.credentials.credential import Credential
from kilonova.errors import InternalError, InvalidInput, KilonovaError, Unavailable
from kilonova.media.limits import INLINE_BODY_BYTES
from kilonova.server import limits, metrics
from kilonova.server.admission import Admission, Place
from kilonova.wire import bedrock, sigv4

__all__ = ["Answer", "Call", "Operation"]

_log = logging.getLogger("kilonova.server")

_REGION = "us-east-1"  # of callers with an API key, who name none
_FIRST_BYTE_SECONDS, _BODY_SECONDS = limits.FIRST_BYTE_SECONDS, limits.BODY_SECONDS
_BODILESS = ("GET", "HEAD", "DELETE", "OPTIONS")
_BOM = b"\xef\xbb\xbf"  # some clients on Windows write it before JSON

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
            Busy: there are too many.
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

    async def endpoint(self, request: Request) -> Response:
        begin = perf_counter()
        request_id = str(uuid4())
        call = Call(request, self._region)
        error = ""
        try:
            _check_form(request)
            identity = self._authenticate(request)
            call.region = identity.region or self._region or _REGION
            with self._admission.place(_declared_length(request)) as place:
                call.place = place
                if identity.confirmed:  # else whoever knows no more than a key id would use up its caller's share
                    place.count(identity.credential)
                body, digest = await _read(request, place)
                identity.confirm(digest)
                place.count(identity.credential)
                call.caller = identity.credential.name
                call.body = body.removeprefix(_BOM)
                del body
                answer = await _while_connected(request, self._work(call))
            response = (
                answer
                if isinstance(answer, Response)
                else Response(answer.body, 200, answer.headers, "application/json")
            )
        except KilonovaError as refusal:
            error, response = bedrock.name_and_status(refusal)[0], self._refuse(refusal)
        except ClientDisconnect:
            error, response = "ClientDisconnect", Response(status_code=499)  # nobody reads it
        except asyncio.CancelledError:  # not by a caller that left: the time to finish before the server stops is over
            stop = Unavailable("The server is stopping.", "Try again.")
            error, response = bedrock.name_and_status(stop)[0], self._refuse(stop)
        except (KeyboardInterrupt, SystemExit):
            raise
        except BaseException:  # Rust's panics are no Exceptions; this is where any fault becomes its request's answer
            _log.exception("unexpected error", extra={"request_id": request_id, "operation": self._name})
            fault = InternalError("The server failed on this request.", f"Its log has the reason under {request_id}.")
            error, response = bedrock.name_and_status(fault)[0], self._refuse(fault)
        response.headers["x-amzn-RequestId"] = request_id
        self._record(call, response.status_code, error, request_id, perf_counter() - begin)
        return response

    def _authenticate(self, request: Request) -> sigv4.Caller:
        raw = request.scope.get("raw_path") or request.scope["path"].encode()
        signed = sigv4.Request(
            request.method,
            raw.decode("latin-1"),
            request.scope["query_string"].decode("latin-1"),
            _joined(request.scope["headers"]),
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


def _check_form(request: Request) -> None:
    """Refuse what no operation takes.

    Raises:
        InvalidInput: it is.
    """
    coding = request.headers.get("content-encoding", "identity")
    if coding.strip().lower() not in ("", "identity"):
        raise InvalidInput(f"The body is sent with Content-Encoding {coding}.", "Send it uncompressed.")


def _joined(headers: Sequence[tuple[bytes, bytes]]) -> dict[str, str]:
    """Headers by name; the values of one that was sent several times stand side by side, as AWS signs them."""
    found: dict[str, str] = {}
    for raw, value in headers:
        name, text = raw.decode("latin-1").lower(), value.decode("latin-1")
        found[name] = f"{found[name]},{text}" if name in found else text
    return found


def _declared_length(request: Request) -> int:
    """The body's length as declared, 0 where it is not.

    Raises:
        InvalidInput: it declares more than a body may have.
    """
    length = int(request.headers.get("content-length", "0"))
    if length > INLINE_BODY_BYTES:
        raise _too_long(length)
    return length


async def _read(request: Request, place: Place) -> tuple[bytes, str]:
    """The whole body, counted as it arrives, and its SHA-256.

    Raises:
        InvalidInput: it is longer than a body may be, or does not arrive, or there should be none.
        Busy: too many bytes are under way.
    """
    digest, length = hashlib.sha256(), 0
    chunks: list[bytes] = []
    loop = asyncio.get_running_loop()
    begin = loop.time()
    seconds = min(_FIRST_BYTE_SECONDS, _BODY_SECONDS)
    try:
        async with asyncio.timeout(seconds) as patience:
            async for chunk in request.stream():
                if not chunk:
                    continue
                if not length:
                    seconds = _BODY_SECONDS
                    patience.reschedule(begin + seconds)
                length += len(chunk)
                if request.method in _BODILESS:
                    raise InvalidInput(f"{request.method} takes no body.", "Send what you ask for in the query.")
                if length > INLINE_BODY_BYTES:
                    raise _too_long(length)
                place.more(len(chunk))
                digest.update(chunk)
                chunks.append(chunk)
    except TimeoutError:
        raise InvalidInput(f"The body did not arrive within {seconds:g} s.") from None
    return b"".join(chunks), digest.hexdigest()


def _too_long(length: int) -> InvalidInput:
    return InvalidInput(
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
