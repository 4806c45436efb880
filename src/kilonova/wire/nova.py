"""Amazon Nova Multimodal Embeddings: the bodies of InvokeModel, checked, and its answers.

Field names are the wire's. Violations read like Bedrock's own: ``Malformed input request: #/path: what,
please reformat your input and try again.``
"""

from __future__ import annotations

import binascii
import io
import re
from collections.abc import Sequence
from enum import StrEnum
from typing import Annotated, Any, Literal, Self

import numpy as np
import orjson
from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from pydantic_core import ErrorDetails, PydanticCustomError

from kilonova.errors import InvalidInput
from kilonova.media.content import Detail, Modality, Truncation
from kilonova.media.limits import TEXT_VALUE_CHARACTERS
from kilonova.models.card import Purpose
from kilonova.wire.bodies import check_body, too_many

__all__ = [
    "AudioFormat",
    "AudioParams",
    "EmbeddingMode",
    "EmbeddingParams",
    "EmbeddingType",
    "ImageFormat",
    "ImageParams",
    "S3Location",
    "SingleEmbeddingParams",
    "Source",
    "TextParams",
    "VideoFormat",
    "VideoParams",
    "WireModel",
    "check_nova_body",
    "exactly_one",
    "malformed_request",
    "parse_single",
    "render_single",
]


class EmbeddingMode(StrEnum):
    """One vector for a video's frames and audio together, or one for each."""

    COMBINED = "AUDIO_VIDEO_COMBINED"
    SEPARATE = "AUDIO_VIDEO_SEPARATE"


class EmbeddingType(StrEnum):
    """What a vector in an answer stands for."""

    TEXT = "TEXT"
    IMAGE = "IMAGE"
    VIDEO = "VIDEO"
    AUDIO = "AUDIO"
    AUDIO_VIDEO_COMBINED = "AUDIO_VIDEO_COMBINED"


_BASE64_PIECE = 1 << 20  # characters decoded at once, a multiple of four: other threads run in between


def _from_base64(value: str) -> bytes:
    decoded = io.BytesIO()  # gives its buffer away without a copy
    # Padding before the end is an error, which decoding everything at once finds.
    piece = len(value) if 0 <= value.find("=") < len(value) - 2 else _BASE64_PIECE
    try:
        for first in range(0, len(value), piece or 1):
            decoded.write(binascii.a2b_base64(value[first : first + piece], strict_mode=True))
        data = decoded.getvalue()
    except ValueError as error:
        raise PydanticCustomError(
            "base64", "the value is not valid base64 ({reason})", {"reason": str(error)}
        ) from None
    if not data:
        raise PydanticCustomError("empty", "expected minLength: 1, actual: 0")
    return data


#: Formats of media. Some clients call mp3 by its MIME type, mpeg; the SDKs spell 3gp three_gp.
ImageFormat = Literal["png", "jpeg", "gif", "webp"]
AudioFormat = Literal["mp3", "wav", "ogg", "flac", "m4a", "mpeg"]
VideoFormat = Literal["mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "3gp", "three_gp"]


class WireModel(BaseModel):
    """A part of a body: unknown fields are refused, nothing is converted."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True)


class S3Location(WireModel):
    """An object in S3; ``bucketOwner`` is the account that must own the bucket."""

    uri: Annotated[str, Field(max_length=2048, pattern=r"^s3://[a-z0-9][a-z0-9.\-]{1,61}[a-z0-9]/.+$")]
    bucketOwner: Annotated[str, Field(pattern=r"^[0-9]{12}$")] | None = None  # noqa: N815


class TextSource(WireModel):
    """Where a text lies when it is not in the request; Nova takes no bytes here."""

    s3Location: S3Location  # noqa: N815


class Source(WireModel):
    """Where a media file lies: inline as base64, or in S3."""

    bytes: Annotated[str, AfterValidator(_from_base64)] | None = None
    s3Location: S3Location | None = None  # noqa: N815

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "bytes", "s3Location")
        return self


class TextParams(WireModel):
    """``truncationMode`` says what happens to a text with more tokens than the model reads."""

    truncationMode: Truncation = Truncation.NONE  # noqa: N815
    value: Annotated[str, Field(min_length=1, max_length=TEXT_VALUE_CHARACTERS)] | None = None
    source: TextSource | None = None

    @model_validator(mode="after")
    def _one(self) -> Self:
        exactly_one(self, "value", "source")
        return self


class ImageParams(WireModel):
    """A photograph or a page."""

    format: ImageFormat
    source: Source
    detailLevel: Detail = Detail.STANDARD  # noqa: N815


class AudioParams(WireModel):
    """An audio clip of at most 30 s."""

    format: AudioFormat
    source: Source


class VideoParams(WireModel):
    """A video of at most 30 s."""

    format: VideoFormat
    source: Source
    embeddingMode: EmbeddingMode = EmbeddingMode.COMBINED  # noqa: N815


class EmbeddingParams(WireModel):
    """What the parameters of both tasks share; subclasses have a field for each modality, of which one is given."""

    embeddingPurpose: Purpose  # noqa: N815
    embeddingDimension: Literal[256, 384, 1024, 3072] = 3072  # noqa: N815

    @model_validator(mode="after")
    def _one_modality(self) -> Self:
        exactly_one(self, *Modality)
        return self

    @property
    def modality(self) -> Modality:
        """The field that is given."""
        return next(modality for modality in Modality if getattr(self, modality) is not None)


class SingleEmbeddingParams(EmbeddingParams):
    """The parameters of SINGLE_EMBEDDING."""

    text: TextParams | None = None
    image: ImageParams | None = None
    audio: AudioParams | None = None
    video: VideoParams | None = None


class _SingleEmbedding(WireModel):
    schemaVersion: Literal["nova-multimodal-embed-v1"] = "nova-multimodal-embed-v1"  # noqa: N815
    taskType: Literal["SINGLE_EMBEDDING"]  # noqa: N815
    singleEmbeddingParams: SingleEmbeddingParams  # noqa: N815


def parse_single(body: bytes) -> SingleEmbeddingParams:
    """Check the body of an InvokeModel call.

    Raises:
        InvalidInput: it is not JSON or breaks the schema; the message names each field and what would be right.
    """
    check_nova_body(body)
    try:
        return _SingleEmbedding.model_validate_json(body).singleEmbeddingParams
    except ValidationError as error:
        raise malformed_request(error) from None


def check_nova_body(body: bytes) -> None:
    """Refuse a body that cannot be one of Nova's: the longest text has 8,192 characters.

    Raises:
        InvalidInput: it has more keys or values than that.
    """
    check_body(body, strings=2 * TEXT_VALUE_CHARACTERS, values=2 * TEXT_VALUE_CHARACTERS)


def render_single(embeddings: Sequence[tuple[EmbeddingType, np.ndarray, int | None]]) -> bytes:
    """The body of an InvokeModel answer: type, vector float32 [dimension], characters kept of a cut text."""
    entries: list[dict[str, Any]] = []
    for kind, vector, kept in embeddings:
        entry: dict[str, Any] = {"embeddingType": kind, "embedding": vector}
        if kept is not None:
            entry["truncatedCharLength"] = kept
        entries.append(entry)
    return orjson.dumps({"embeddings": entries}, option=orjson.OPT_SERIALIZE_NUMPY)


def malformed_request(error: ValidationError) -> InvalidInput:
    """Pydantic's findings in Bedrock's words."""
    if refusal := too_many(error):
        return refusal
    errors = error.errors(include_url=False)
    if len(errors) == 1 and errors[0]["type"] == "json_invalid":
        reason = str(errors[0].get("ctx", {}).get("error", "invalid JSON"))
        return InvalidInput(f"Malformed input request: {reason}, please reformat your input and try again.")
    found = "; ".join(_in_words(error) for error in errors[:10])
    count = f"{len(errors)} schema violations found: " if len(errors) > 1 else ""
    return InvalidInput(f"Malformed input request: {count}{found}, please reformat your input and try again.")


def exactly_one(model: BaseModel, *names: str) -> None:
    """Hold, within a validator, that one of the fields is given and no other."""
    given = [name for name in names if getattr(model, name) is not None]
    if len(given) != 1:
        raise PydanticCustomError(
            "one_of",
            "exactly one of [{names}] is required, found: {given}",
            {"names": ", ".join(names), "given": ", ".join(given) or "none"},
        )


_JSON_TYPES = {"string": "String", "model": "JSONObject", "int": "Integer", "bool": "Boolean", "list": "JSONArray"}
_PYTHON_TYPES = {
    str: "String", int: "Integer", float: "Double", bool: "Boolean", list: "JSONArray", dict: "JSONObject",
    type(None): "Null",
}  # fmt: skip


def _in_words(error: ErrorDetails) -> str:
    """One violation as ``#/path: what`` in the wording of Bedrock's JSON schema validator."""
    path, kind, context = [str(part) for part in error["loc"]], error["type"], error.get("ctx", {})
    if kind in ("missing", "extra_forbidden"):
        said = (
            f"required key [{path[-1]}] not found"
            if kind == "missing"
            else f"extraneous key [{path[-1]}] is not permitted"
        )
        return f"#{_pointer(path[:-1])}: {said}"
    said = error["msg"]
    if kind in ("literal_error", "enum"):
        value = error["input"]
        shown = value[:100] if isinstance(value, str) else repr(value)[:100]
        said = f"{shown} is not a valid enum value, expected one of: {context['expected'].replace(chr(39), '')}"
    elif kind == "string_too_long":
        said = f"expected maxLength: {context['max_length']}, actual: {len(error['input'])}"
    elif kind == "string_too_short":
        said = f"expected minLength: {context['min_length']}, actual: {len(error['input'])}"
    elif kind == "string_pattern_mismatch":
        said = f"string [{error['input'][:100]}] does not match pattern {context['pattern']}"
    elif wanted := re.fullmatch(r"(string|model|int|bool|list)_type", kind):
        found = _PYTHON_TYPES.get(type(error["input"]), type(error["input"]).__name__)
        said = f"expected type: {_JSON_TYPES[wanted[1]]}, found: {found}"
    return f"#{_pointer(path)}: {said}"


def _pointer(path: Sequence[str]) -> str:
    return "".join(f"/{part}" for part in path)
