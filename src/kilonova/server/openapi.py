"""``/openapi.json``: what ``/v1`` is, for people and for generators of clients (spec.openapis.org, 3.1)."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import orjson
from pydantic import BaseModel
from pydantic.json_schema import models_json_schema
from starlette.requests import Request
from starlette.responses import Response

from kilonova import __version__
from kilonova.wire import search as wire
from kilonova.wire.openai import EmbeddingsRequest

__all__ = ["OPERATIONS", "Described", "page"]

_SCHEMAS = "#/components/schemas/{model}"


@dataclass(frozen=True)
class Described:
    """An operation: its name, method and path, what it does, what it takes and what it answers.

    Attributes:
        answer: a model of JSON, None for ``{}``, or a media type.
        query: parameters of the query string and what they are.
    """

    name: str
    method: str
    path: str
    summary: str
    request: type[BaseModel] | None = None
    answer: type[BaseModel] | str | None = None
    query: tuple[tuple[str, str], ...] = ()


_POINTS = "/v1/collections/{name}/points"
OPERATIONS = (
    Described("ListCollections", "GET", "/v1/collections", "All collections.", answer=wire.CollectionsAnswer),
    Described("CreateCollection", "POST", "/v1/collections", "Make one.", wire.CreateRequest, wire.CollectionAnswer),
    Described("GetCollection", "GET", "/v1/collections/{name}", "A collection.", answer=wire.CollectionAnswer),
    Described("DropCollection", "DELETE", "/v1/collections/{name}", "Delete it with everything in it."),
    Described("OptimizeCollection", "POST", "/v1/collections/{name}/optimize", "Build its index, after many writes."),
    Described("UpsertPoints", "POST", _POINTS, "Write points; known ids are replaced.", wire.UpsertRequest),
    Described("DeletePoints", "POST", f"{_POINTS}/delete", "Delete points.", wire.IdsRequest),
    Described("GetPoints", "POST", f"{_POINTS}/get", "Points by their ids.", wire.IdsRequest, wire.PointsAnswer),
    Described("CountPoints", "POST", f"{_POINTS}/count", "Count points.", wire.CountRequest, wire.CountAnswer),
    Described(
        "ScrollPoints", "POST", f"{_POINTS}/scroll", "All points, a PointAnswer a line.", wire.ScrollRequest,
        "application/x-ndjson",
    ),
    Described(
        "QueryPoints", "POST", f"{_POINTS}/query", "The points nearest to a vector, or by BM25.", wire.QueryRequest,
        wire.MatchesAnswer,
    ),
    Described(
        "Search", "POST", "/v1/search", "Search by words, files, a vector, or several of them at once.",
        wire.SearchRequest, wire.SearchAnswer,
    ),
    Described(
        "GetItemMedia", "GET", "/v1/items/{id}/media", "The file of a point; takes Range.", None,
        "application/octet-stream", (("collection", "Where the point is; files by default."),),
    ),
    Described("CreateEmbeddings", "POST", "/v1/embeddings", "OpenAI's, of texts, files or both.", EmbeddingsRequest),
    Described("ListModels", "GET", "/v1/models", "OpenAI's list of models."),
)  # fmt: skip


def document() -> dict[str, Any]:
    """The OpenAPI document."""
    models = {one for each in OPERATIONS for one in (each.request, each.answer) if isinstance(one, type)}
    both = [(one, "validation") for one in sorted(models, key=lambda one: one.__name__)]
    _, schemas = models_json_schema(both, ref_template=_SCHEMAS)  # type: ignore[arg-type]
    paths: dict[str, dict[str, Any]] = {}
    for one in OPERATIONS:
        paths.setdefault(one.path, {})[one.method.lower()] = _operation(one)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Kilonova", "version": __version__, "license": {"name": "Apache-2.0"}},
        "paths": paths,
        "components": {
            "schemas": schemas["$defs"],
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "Or AWS SigV4."}},
        },
        "security": [{"key": []}],
    }


def _operation(one: Described) -> dict[str, Any]:
    names = [part[1:-1] for part in one.path.split("/") if part.startswith("{")]
    parameters: list[dict[str, Any]] = [
        {"name": name, "in": "path", "required": True, "schema": {"type": "string"}} for name in names
    ]
    parameters += [
        {"name": name, "in": "query", "description": said, "schema": {"type": "string"}} for name, said in one.query
    ]
    found: dict[str, Any] = {
        "operationId": one.name,
        "summary": one.summary,
        "parameters": parameters,
        "responses": {
            "200": {"description": "Done.", "content": _answer(one.answer)},
            "default": {"description": 'An error: {"error": {"message", "type", "code"}}.'},
        },
    }
    if one.request is not None:
        content = {"application/json": {"schema": _reference(one.request)}}
        if one.request is wire.SearchRequest:  # the same fields as a form, in which files are files
            content["multipart/form-data"] = {"schema": _form(tuple(wire.FILES))}
        found["requestBody"] = {"required": True, "content": content}
    return found


def _answer(answer: type[BaseModel] | str | None) -> dict[str, Any]:
    if isinstance(answer, str):
        return {answer: {}}
    return {"application/json": {"schema": _reference(answer) if answer is not None else {"type": "object"}}}


def _reference(model: type[BaseModel]) -> dict[str, Any]:
    return {"$ref": _SCHEMAS.format(model=model.__name__)}


def _form(files: Sequence[str]) -> dict[str, Any]:
    binary = {"type": "array", "items": {"type": "string", "format": "binary"}}
    fields = wire.SearchRequest.model_json_schema(ref_template=_SCHEMAS)["properties"]
    return {"type": "object", "properties": {**fields, **dict.fromkeys(files, binary)}}


@cache
def _bytes() -> bytes:
    return orjson.dumps(document())


async def page(request: Request) -> Response:
    """``GET /openapi.json``."""
    made = _bytes() if _bytes.cache_info().currsize else await asyncio.to_thread(_bytes)
    return Response(made, media_type="application/json")
