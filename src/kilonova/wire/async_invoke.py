"""Amazon Bedrock's asynchronous invocations: what StartAsyncInvoke takes, what Get and List answer.

Patterns are botocore's (service model of ``bedrock-runtime``, 2023-09-30).
"""

from __future__ import annotations

import base64
import binascii
import re
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Annotated, Any, Literal

import orjson
from pydantic import Field, ValidationError

from kilonova.errors import InvalidInput
from kilonova.media.content import Detail, Truncation
from kilonova.wire.nova import (
    AudioFormat,
    EmbeddingMode,
    EmbeddingParams,
    ImageFormat,
    S3Location,
    VideoFormat,
    WireModel,
    check_nova_body,
    malformed_request,
)

__all__ = [
    "ACCOUNT",
    "JobStatus",
    "JobView",
    "ListQuery",
    "S3Output",
    "SegmentedEmbeddingParams",
    "StartRequest",
    "job_id",
    "parse_list",
    "parse_segmented",
    "parse_start",
    "render_job",
    "render_list",
    "unknown",
]

_ARN = re.compile(r"arn:aws(?:-[^:]+)?:bedrock:([a-z0-9-]{1,20}):([0-9]{12}):async-invoke/([a-z0-9]{12})")


#: The account in ARNs; there are no others on one's own machine.
ACCOUNT = "000000000000"


class JobStatus(StrEnum):
    """What becomes of an invocation."""

    IN_PROGRESS = "InProgress"
    COMPLETED = "Completed"
    FAILED = "Failed"


class _Source(WireModel):
    s3Location: S3Location  # noqa: N815


class _TextSegments(WireModel):
    maxLengthChars: Annotated[int, Field(ge=800, le=50_000)] = 32_000  # noqa: N815


class _MediaSegments(WireModel):
    durationSeconds: Annotated[int, Field(ge=1, le=30)] = 5  # noqa: N815


class _Text(WireModel):
    source: _Source
    truncationMode: Truncation = Truncation.END  # noqa: N815
    segmentationConfig: _TextSegments = _TextSegments()  # noqa: N815


class _Image(WireModel):
    format: ImageFormat
    source: _Source
    detailLevel: Detail = Detail.STANDARD  # noqa: N815


class _Audio(WireModel):
    format: AudioFormat
    source: _Source
    segmentationConfig: _MediaSegments = _MediaSegments()  # noqa: N815


class _Video(WireModel):
    format: VideoFormat
    source: _Source
    embeddingMode: EmbeddingMode = EmbeddingMode.COMBINED  # noqa: N815
    segmentationConfig: _MediaSegments = _MediaSegments()  # noqa: N815


class SegmentedEmbeddingParams(EmbeddingParams):
    """The parameters of SEGMENTED_EMBEDDING."""

    text: _Text | None = None
    image: _Image | None = None
    audio: _Audio | None = None
    video: _Video | None = None

    @property
    def location(self) -> S3Location:
        """Where the file lies."""
        place: S3Location = getattr(self, self.modality).source.s3Location
        return place


class _ModelInput(WireModel):
    schemaVersion: Literal["nova-multimodal-embed-v1"] = "nova-multimodal-embed-v1"  # noqa: N815
    taskType: Literal["SEGMENTED_EMBEDDING"]  # noqa: N815
    segmentedEmbeddingParams: SegmentedEmbeddingParams  # noqa: N815


class S3Output(WireModel):
    """Where the vectors go; ``kmsKeyId`` and ``bucketOwner`` are passed on to S3."""

    s3Uri: Annotated[str, Field(max_length=1024, pattern=r"^s3://[a-z0-9][.\-a-z0-9]{1,61}[a-z0-9](/.*)?$")]  # noqa: N815
    kmsKeyId: (  # noqa: N815
        Annotated[
            str,
            Field(
                max_length=2048,
                pattern=r"^arn:aws(-[^:]+)?:kms:[a-zA-Z0-9-]*:[0-9]{12}:((key/[a-zA-Z0-9-]{36})|(alias/[a-zA-Z0-9\-_/]+))$",
            ),
        ]
        | None
    ) = None
    bucketOwner: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None  # noqa: N815


class _Output(WireModel):
    s3OutputDataConfig: S3Output  # noqa: N815


class _Tag(WireModel):
    key: Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9\s._:/=+@-]*$")]
    value: Annotated[str, Field(max_length=256, pattern=r"^[a-zA-Z0-9\s._:/=+@-]*$")]


class StartRequest(WireModel):
    """The body of StartAsyncInvoke."""

    modelId: Annotated[str, Field(min_length=1, max_length=256)]  # noqa: N815
    modelInput: _ModelInput  # noqa: N815
    outputDataConfig: _Output  # noqa: N815
    clientRequestToken: Annotated[str, Field(min_length=1, max_length=256, pattern=r"^[!-~]*$")] | None = None  # noqa: N815
    tags: Annotated[list[_Tag], Field(max_length=200)] = Field(default_factory=list)

    @property
    def params(self) -> SegmentedEmbeddingParams:
        """What is to be embedded, and how."""
        return self.modelInput.segmentedEmbeddingParams

    @property
    def output(self) -> S3Output:
        """Where the vectors go."""
        return self.outputDataConfig.s3OutputDataConfig


def parse_start(body: bytes) -> StartRequest:
    """Check the body of StartAsyncInvoke.

    Raises:
        InvalidInput: it is not JSON or breaks the schema.
    """
    check_nova_body(body)
    try:
        return StartRequest.model_validate_json(body)
    except ValidationError as error:
        raise malformed_request(error) from None


def parse_segmented(stored: str) -> StartRequest:
    """A request as ``StartRequest.model_dump_json`` wrote it."""
    return StartRequest.model_validate_json(stored)


@dataclass(frozen=True)
class JobView:
    """What a caller may know of an invocation; times are seconds since 1970."""

    id: str
    region: str
    account: str
    model: str
    output: S3Output
    status: JobStatus
    submitted: float
    modified: float
    ended: float | None = None
    token: str | None = None
    failure: str | None = None

    @property
    def arn(self) -> str:
        """The invocation's name."""
        return f"arn:aws:bedrock:{self.region}:{self.account}:async-invoke/{self.id}"

    @property
    def folder(self) -> str:
        """Where its files lie: ``s3://bucket/prefix/{job id}``."""
        return f"{self.output.s3Uri.rstrip('/')}/{self.id}"


def job_id(arn: str, region: str, account: str) -> str:
    """The id in an invocation's ARN.

    Raises:
        InvalidInput: no such ARN, or one of another region or account; GetAsyncInvoke knows no ResourceNotFound.
    """
    match = _ARN.fullmatch(arn)
    if match is None:
        raise InvalidInput(
            f"The invocation ARN {arn[:200]!r} is not valid.",
            "It reads arn:aws:bedrock:REGION:ACCOUNT:async-invoke/ID.",
        )
    if (match[1], match[2]) != (region, account):
        raise unknown(arn)
    return match[3]


def unknown(arn: str) -> InvalidInput:
    """What a caller learns of an invocation that is not there, or not theirs."""
    return InvalidInput(f"There is no asynchronous invocation {arn[:200]}.", "ListAsyncInvokes lists them.")


def render_job(job: JobView) -> bytes:
    """The answer of GetAsyncInvoke."""
    return orjson.dumps(_summary(job))


def render_list(jobs: Sequence[JobView], next_token: str | None) -> bytes:
    """The answer of ListAsyncInvokes."""
    answer: dict[str, Any] = {"asyncInvokeSummaries": [_summary(job) for job in jobs]}
    if next_token is not None:
        answer["nextToken"] = next_token
    return orjson.dumps(answer)


def _summary(job: JobView) -> dict[str, Any]:
    output = job.output.model_copy(update={"s3Uri": job.folder})
    found = {
        "invocationArn": job.arn,
        "modelArn": f"arn:aws:bedrock:{job.region}::foundation-model/{job.model}",
        "clientRequestToken": job.token,
        "status": job.status,
        "failureMessage": job.failure[:2048] if job.failure else None,
        "submitTime": _iso(job.submitted),
        "lastModifiedTime": _iso(job.modified),
        "endTime": _iso(job.ended) if job.ended is not None else None,
        "outputDataConfig": {"s3OutputDataConfig": output.model_dump(exclude_none=True)},
    }
    return {name: value for name, value in found.items() if value is not None}


def _iso(time: float) -> str:
    return datetime.fromtimestamp(time, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass(frozen=True)
class ListQuery:
    """What ListAsyncInvokes is asked for; ``start`` is the place after which a page begins: (submitted, id)."""

    after: float | None = None
    before: float | None = None
    status: str | None = None
    limit: int = 100
    ascending: bool = False
    start: tuple[float, str] | None = None

    def token(self, last: JobView) -> str:
        """The token of the page that begins after a job. It holds the filters too: pages of one list agree."""
        place = [last.submitted, last.id, self.after, self.before, self.status, self.ascending]
        return base64.urlsafe_b64encode(orjson.dumps(place)).decode().rstrip("=")


def parse_list(query: Sequence[tuple[str, str]]) -> ListQuery:
    """Check the query string of ListAsyncInvokes.

    Raises:
        InvalidInput: an unknown parameter, a value that is not allowed, or a token of another list.
    """
    values = dict(query)
    known = {"submitTimeAfter", "submitTimeBefore", "statusEquals", "maxResults", "nextToken", "sortBy", "sortOrder"}
    if unknown_names := sorted(values.keys() - known):
        raise InvalidInput(f"Unknown parameter {unknown_names[0]}.", f"Known: {', '.join(sorted(known))}.")
    _one_of("statusEquals", values.get("statusEquals"), tuple(JobStatus))
    _one_of("sortBy", values.get("sortBy"), ("SubmissionTime",))
    _one_of("sortOrder", values.get("sortOrder"), ("Ascending", "Descending"))
    given = values.get("maxResults", "100")
    if not re.fullmatch("[0-9]{1,4}", given) or not 1 <= int(given) <= 1000:
        raise _violation("maxResults", given, "Member must be between 1 and 1000")
    found = ListQuery(
        _time("submitTimeAfter", values.get("submitTimeAfter")),
        _time("submitTimeBefore", values.get("submitTimeBefore")),
        values.get("statusEquals"),
        int(given),
        values.get("sortOrder") == "Ascending",
    )
    token = values.get("nextToken")
    return found if token is None else _placed(found, token)


def _placed(query: ListQuery, token: str) -> ListQuery:
    try:
        place = orjson.loads(base64.urlsafe_b64decode(token + "=" * (-len(token) % 4)))
        submitted, job, *filters = place
        start = (float(submitted), str(job))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidInput("The nextToken is not one of ListAsyncInvokes.", "Start again without it.") from None
    if filters != [query.after, query.before, query.status, query.ascending]:
        raise InvalidInput("The nextToken belongs to a list with other filters.", "Send the filters of its first page.")
    return ListQuery(query.after, query.before, query.status, query.limit, query.ascending, start)


def _time(name: str, value: str | None) -> float | None:
    if value is None:
        return None
    try:
        time = datetime.fromisoformat(value)
        return (time if time.tzinfo else time.replace(tzinfo=UTC)).timestamp()
    except (ValueError, OverflowError):
        raise _violation(name, value, "Member must be an ISO 8601 time") from None


def _one_of(name: str, value: str | None, allowed: Sequence[str]) -> None:
    if value is not None and value not in allowed:
        raise _violation(name, value, f"Member must satisfy enum value set: [{', '.join(allowed)}]")


def _violation(name: str, value: str, constraint: str) -> InvalidInput:
    return InvalidInput(
        f"1 validation error detected: Value '{value[:100]}' at '{name}' failed to satisfy constraint: {constraint}"
    )
