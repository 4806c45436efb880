"""The API of collections and search (``/v1/…``): requests, checked, and answers. ``server/openapi.py`` documents it."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated, Any, Literal, Self, TypeVar

import numpy as np
import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

from kilonova.errors import InvalidInput
from kilonova.media.content import Modality
from kilonova.media.limits import TEXT_S3_CHARACTERS
from kilonova.stores.base import Collection, Match, Metric, Point
from kilonova.stores.checks import MAX_ID, MAX_TEXT
from kilonova.stores.filters.tree import MAX_LENGTH
from kilonova.wire.bodies import check_body, without_nulls
from kilonova.wire.nova import Source, WireModel
from kilonova.wire.openai import breach

__all__ = [
    "FILES",
    "MAX_CONTENTS",
    "MAX_HITS",
    "MAX_POINTS",
    "CollectionAnswer",
    "CollectionsAnswer",
    "CountAnswer",
    "CountRequest",
    "CreateRequest",
    "DocumentPage",
    "HitAnswer",
    "IdsRequest",
    "MatchesAnswer",
    "Media",
    "PointAnswer",
    "PointsAnswer",
    "QueryRequest",
    "ScrollRequest",
    "SearchAnswer",
    "SearchRequest",
    "UpsertRequest",
    "Words",
    "decode_vector",
    "encode_vector",
    "parse",
    "plain_collection",
    "plain_match",
    "plain_point",
    "render",
]

#: Fields of a search in which files come, and their modalities; a document is a page of a PDF file.
FILES = {"image": Modality.IMAGE, "audio": Modality.AUDIO, "video": Modality.VIDEO, "document": Modality.IMAGE}
MAX_HITS = 1_000
MAX_POINTS, _MAX_IDS, _MAX_MARKS = 10_000, 10_000, 1_000
MAX_CONTENTS = 32  # of a query, of each kind
#: Keys and texts, and values, that a body may have: 10,000 points with payloads, or vectors as numbers.
_MAX_STRINGS, _MAX_VALUES = 200_000, 1_000_000
_Request = TypeVar("_Request", bound=BaseModel)
_Weight = Annotated[float, Field(ge=-100, le=100)]
_Numbers = Annotated[list[float], Field(max_length=65_536, fail_fast=True)]
_Vector = Annotated[
    str | _Numbers, Field(description="Numbers, or base64 of little-endian float32 as in /v1/embeddings.")
]
_Where = Annotated[str, Field(max_length=MAX_LENGTH, description='A filter: year >= 2020 and camera = "X100".')]
_Text = Annotated[str, Field(min_length=1, max_length=TEXT_S3_CHARACTERS)]


def _several(value: Any) -> Any:
    return value if isinstance(value, list) else [value]


_Several = BeforeValidator(_several)
_Contents = Field(max_length=MAX_CONTENTS, fail_fast=True)
_Marks = Field(max_length=_MAX_MARKS, fail_fast=True)


class _Loose(BaseModel):
    """Unknown fields are refused; numbers and truths may come as words, as forms send them. What is null counts as left
    out."""

    model_config = ConfigDict(extra="forbid", frozen=True, defer_build=True)

    _nulls = model_validator(mode="before")(without_nulls)


class _Bulk(WireModel):
    model_config = ConfigDict(defer_build=True)  # servers start sooner


class _Strict(_Bulk):
    """What is null counts as left out."""

    _nulls = model_validator(mode="before")(without_nulls)


class _Answer(BaseModel):
    model_config = ConfigDict(defer_build=True)


class CreateRequest(_Strict):
    """An empty collection for vectors of a model."""

    name: str
    model: str = "kilonova-mini"
    dimension: Annotated[int, Field(ge=1, le=65_536)] = 1024
    metric: Annotated[Metric, Field(strict=False)] = Metric.COSINE


class PointRequest(_Bulk):
    """A vector under an id, what is known of it, and the words that BM25 finds it by."""

    id: Annotated[str, Field(min_length=1, max_length=MAX_ID)]
    vector: _Vector
    payload: dict[str, Any] | None = None
    text: Annotated[str, Field(max_length=MAX_TEXT)] | None = None


class UpsertRequest(_Bulk):
    """Points to write, all of them or none."""

    points: Annotated[list[PointRequest], Field(max_length=MAX_POINTS, fail_fast=True)]


class IdsRequest(_Strict):
    """Points by their ids."""

    ids: Annotated[list[str], Field(max_length=_MAX_IDS, fail_fast=True)]


class CountRequest(_Strict):
    """Which points are counted; without a filter all."""

    where: _Where = ""


class ScrollRequest(CountRequest):
    """Which points are wanted, with or without their vectors."""

    vectors: bool = True


class QueryRequest(CountRequest):
    """The points nearest to a vector, or whose words fit a text best."""

    vector: _Vector | None = None
    text: Annotated[str, Field(max_length=TEXT_S3_CHARACTERS)] | None = None
    limit: Annotated[int, Field(ge=1, le=100_000)] = 10
    exact: bool = False

    @model_validator(mode="after")
    def _one(self) -> Self:
        if (self.vector is None) == (self.text is None):
            raise ValueError("exactly one of vector and text is required")
        return self


class Words(_Loose):
    """Words with a weight; below zero they say what hits should not be like."""

    text: _Text
    weight: _Weight = 1.0


class Media(Source):
    """A file, inline as base64 or in S3, with a weight."""

    model_config = ConfigDict(defer_build=True)

    weight: _Weight = 1.0


class DocumentPage(Media):
    """A page of a PDF file, from 1."""

    page: Annotated[int, Field(ge=1)] = 1


class SearchRequest(_Loose):
    """What is looked for: words, files, a vector, or several of them, which are added up by their weights."""

    collection: str = "files"
    text: Annotated[list[_Text | Words], _Contents, _Several] = []
    unlike: Annotated[list[_Text], _Contents, _Several, Field(alias="not")] = []
    image: Annotated[list[Media], _Contents, _Several] = []
    audio: Annotated[list[Media], _Contents, _Several] = []
    video: Annotated[list[Media], _Contents, _Several] = []
    document: Annotated[list[DocumentPage], _Contents, _Several] = []
    vector: _Vector | None = None
    kinds: Annotated[
        list[Literal["text", "document", "image", "audio", "video"]],
        _Contents,
        _Several,
        Field(description="What is searched; all when empty."),
    ] = []
    where: _Where = ""
    limit: Annotated[int, Field(ge=1, le=MAX_HITS)] = 10
    mode: Literal["hybrid", "vector", "keyword"] = "hybrid"
    fusion: Literal["weights", "ranks"] = "weights"
    min_similarity: Annotated[float, Field(description="Similarity that a hit must have.")] | None = None
    diversity: Annotated[float, Field(ge=0, le=1)] = 0.0
    segments: Annotated[bool, Field(description="Each segment by itself, not one hit for a file.")] = False
    relevant: Annotated[list[str], _Marks, _Several, Field(description="Ids: more like these hits.")] = []
    irrelevant: Annotated[list[str], _Marks, _Several, Field(description="Ids: less like these hits.")] = []
    exact: bool = False


class CollectionAnswer(_Answer):
    """A collection."""

    name: str
    model: str
    dimension: int
    metric: Metric
    count: Annotated[int | None, Field(description="null where its points cannot be read; faults says why.")]


class CollectionsAnswer(_Answer):
    """All collections, and why some cannot be read, by name."""

    collections: list[CollectionAnswer]
    faults: dict[str, str]


class CountAnswer(_Answer):
    """How many points there are."""

    count: int


class PointAnswer(_Answer):
    """A point; its vector is base64 of little-endian float32, "" where none was asked for."""

    id: str
    vector: str
    payload: dict[str, Any]
    text: str


class PointsAnswer(_Answer):
    """The points that there are, in the order asked for."""

    points: list[PointAnswer]


class MatchAnswer(_Answer):
    """A point that was found: by score where higher is better, by distance where lower is."""

    id: str
    payload: dict[str, Any]
    score: float | None = None
    distance: float | None = None


class MatchesAnswer(_Answer):
    """Points that were found, best first."""

    matches: list[MatchAnswer]


class HitAnswer(_Answer):
    """A file or a point that was found, with the other moments of its file. With ``relevant`` or ``irrelevant``,
    ``before`` is its rank without them, 0 where it was no hit."""

    id: str
    score: float
    similarity: float | None = None
    distance: float | None = None
    before: int | None = None
    payload: dict[str, Any]
    moments: list[dict[str, Any]]


class SearchAnswer(_Answer):
    """Hits, best first."""

    hits: list[HitAnswer]


def parse(model: type[_Request], given: bytes | dict[str, Any]) -> _Request:
    """A request from a JSON body, or from a form's fields.

    Raises:
        InvalidInput: it breaks the schema; the message names the field.
    """
    if isinstance(given, bytes):
        check_body(given, strings=_MAX_STRINGS, values=_MAX_VALUES)
    try:
        return model.model_validate(given) if isinstance(given, dict) else model.model_validate_json(given or b"{}")
    except ValidationError as error:
        raise breach(error) from None


def decode_vector(vector: str | list[float]) -> np.ndarray:
    """A vector float32 [n] from what crossed the wire.

    Raises:
        InvalidInput: it is no base64 of float32, or not finite.
    """
    try:
        found = np.frombuffer(base64.b64decode(vector, validate=True), "<f4") if isinstance(vector, str) else vector
        made = np.array(found, np.float32)
    except (binascii.Error, ValueError, OverflowError) as error:
        raise InvalidInput(f"A vector cannot be read: {error}.", "Send numbers, or base64 of float32.") from None
    if not np.isfinite(made).all():
        raise InvalidInput("A vector has values that are not finite.")
    return made


def encode_vector(vector: np.ndarray) -> str:
    """A vector as base64 of little-endian float32."""
    return base64.b64encode(vector.astype("<f4").tobytes()).decode()


def plain_collection(collection: Collection, count: int | None) -> dict[str, Any]:
    """``CollectionAnswer``."""
    return {**collection.facts, "count": count}


def plain_point(point: Point) -> dict[str, Any]:
    """``PointAnswer``, and what ``PointRequest`` takes."""
    return {"id": point.id, "vector": encode_vector(point.vector), "payload": dict(point.payload), "text": point.text}


def plain_match(match: Match) -> dict[str, Any]:
    """``MatchAnswer``."""
    return {"id": match.id, "payload": dict(match.payload), "score": match.score, "distance": match.distance}


def render(found: dict[str, Any]) -> bytes:
    """An answer's body."""
    return orjson.dumps(found)
