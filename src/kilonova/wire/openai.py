"""OpenAI's embeddings API: requests, answers and errors in its words (platform.openai.com/docs/api-reference)."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from typing import Annotated, Any, Literal, Self

import numpy as np
import orjson
from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    Tag,
    ValidationError,
    model_validator,
)

from kilonova.errors import InvalidInput, KilonovaError
from kilonova.media.content import Modality
from kilonova.models.card import ModelCard, Purpose
from kilonova.wire.bedrock import name_and_status
from kilonova.wire.bodies import check_body, too_many
from kilonova.wire.nova import Source, WireModel

__all__ = [
    "MAX_INPUTS",
    "Composite",
    "EmbeddingsRequest",
    "breach",
    "check_dimension",
    "error_body",
    "parse_embeddings",
    "render_embeddings",
    "render_models",
]

MAX_INPUTS = 2048  # OpenAI's bound on the length of the input array
_MAX_STRINGS, _MAX_VALUES = 30_000, 1_000_000  # 2,048 inputs with all their keys; the commas of 25 MB of prose
_FORMS = ("str", "Words")
_TYPES = {400: "invalid_request_error", 403: "authentication_error", 404: "not_found_error", 429: "rate_limit_error"}


class Composite(WireModel):
    """An input that is not a text only: one file, or a file with a text or with others, for models that mix."""

    text: Annotated[str, Field(min_length=1)] | None = None
    image: Source | None = None
    audio: Source | None = None
    video: Source | None = None

    @model_validator(mode="after")
    def _some(self) -> Self:
        if self.text is None and not self.files:
            raise ValueError("expected text, image, audio or video")
        return self

    @property
    def files(self) -> dict[Modality, Source]:
        """The files by their kind."""
        return {kind: getattr(self, kind) for kind in Modality if kind is not Modality.TEXT and getattr(self, kind)}


_Input = Annotated[
    Annotated[str, Tag("a text")] | Annotated[Composite, Tag("an object")],
    Discriminator(lambda given: "a text" if isinstance(given, str) else "an object"),
]


class EmbeddingsRequest(BaseModel):
    """``POST /v1/embeddings``; what is null counts as left out. Ours are ``embeddingPurpose``, Nova's nine purposes, by
    default GENERIC_INDEX, and inputs that are objects."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str
    input: Annotated[
        list[_Input],
        Field(min_length=1, max_length=MAX_INPUTS, fail_fast=True),
        BeforeValidator(lambda given: given if isinstance(given, list) else [given], list[_Input] | _Input),
    ]
    dimensions: Annotated[int, Field(ge=1, strict=True)] | None = None
    encoding_format: Literal["float", "base64"] | None = None
    user: str | None = None
    embeddingPurpose: Purpose | None = None  # noqa: N815


def parse_embeddings(body: bytes) -> EmbeddingsRequest:
    """Check a request.

    Raises:
        InvalidInput: it breaks the schema, has token ids instead of text, or an empty text.
    """
    check_body(body, strings=_MAX_STRINGS, values=_MAX_VALUES)
    try:
        request = EmbeddingsRequest.model_validate_json(body)
    except ValidationError as error:
        if _has_tokens(body):
            raise InvalidInput(
                "Token ids cannot be embedded: they belong to another model's tokenizer. (parameter: input)",
                "Send strings; with LangChain set check_embedding_ctx_length=False.",
            ) from None
        raise breach(error) from None
    if any(item == "" for item in request.input):
        raise InvalidInput("An input is an empty string. (parameter: input)", "Leave it out or send some text.")
    return request


def check_dimension(request: EmbeddingsRequest, allowed: Sequence[int]) -> None:
    """Check that the dimension is one of the model's.

    Raises:
        InvalidInput: it is not.
    """
    if request.dimensions is not None and request.dimensions not in allowed:
        raise InvalidInput(
            f"{request.dimensions} is no dimension of this model. (parameter: dimensions)",
            f"Use one of {', '.join(map(str, allowed))}.",
        )


def breach(error: ValidationError) -> InvalidInput:
    """Pydantic's first finding in one sentence."""
    if refusal := too_many(error):
        return refusal
    found = [(_path(one["loc"]), one) for one in error.errors(include_url=False)]
    path = found[0][0]
    # Of what a value could be, the form whose own rule it breaks says more than the one that it is not.
    alternatives = [one for own, one in found if own == path]
    first = next((one for one in alternatives if not one["type"].endswith("_type")), alternatives[0])
    return InvalidInput(f"{first['msg']} (parameter: {path})" if path else str(first["msg"]))


def _path(place: Sequence[int | str]) -> str:
    """A place in a body without pydantic's names for the alternatives there."""
    return ".".join(
        str(part) for part in place if isinstance(part, int) or (part.isidentifier() and part not in _FORMS)
    )


def render_embeddings(vectors: Sequence[np.ndarray], request: EmbeddingsRequest, model: str, tokens: int) -> bytes:
    """The answer; vectors are float32 [dimension], base64 is of their little-endian bytes."""
    data = [
        {
            "object": "embedding",
            "index": index,
            "embedding": base64.b64encode(vector.astype("<f4").tobytes()).decode()
            if request.encoding_format == "base64"
            else vector,
        }
        for index, vector in enumerate(vectors)
    ]
    usage = {"prompt_tokens": tokens, "total_tokens": tokens}
    answer = {"object": "list", "data": data, "model": model, "usage": usage}
    return orjson.dumps(answer, option=orjson.OPT_SERIALIZE_NUMPY)


def render_models(models: dict[str, ModelCard]) -> bytes:
    """The answer of ``GET /v1/models``: the models that embed text."""
    entries = [
        {"id": model, "object": "model", "created": 0, "owned_by": "kilonova"}
        for model, card in models.items()
        if Modality.TEXT in card.modalities
    ]
    return orjson.dumps({"object": "list", "data": entries})


def error_body(error: KilonovaError) -> tuple[int, dict[str, str], bytes]:
    """Status, headers and body of an error answer."""
    name, status = name_and_status(error)
    kind = _TYPES.get(status, "server_error")
    if status == 403:  # OpenAI's clients know a wrong key as 401
        status = 401
    detail: dict[str, Any] = {
        "message": str(error),
        "type": kind,
        "param": None,
        "code": name,
    }
    return status, {}, orjson.dumps({"error": detail})


def _has_tokens(body: bytes) -> bool:
    """Whether ``input`` is an array of token ids, or of arrays of them."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        return False
    given = value.get("input") if isinstance(value, dict) else None
    first = given[0] if isinstance(given, list) and given else None
    first = first[0] if isinstance(first, list) and first else first
    return isinstance(first, int) and not isinstance(first, bool)
