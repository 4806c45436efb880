"""The application: which path leads where."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from kilonova._process.parent import Child
from kilonova.credentials.credential import Credential
from kilonova.engine.engine import Engine
from kilonova.engine.engines import Engines
from kilonova.errors import UnknownOperation
from kilonova.jobs.service import Jobs, JobSettings
from kilonova.server import health, metrics, openapi
from kilonova.server.admission import Admission
from kilonova.server.async_invoke import AsyncInvoke
from kilonova.server.bedrock import Bedrock
from kilonova.server.collections import Collections
from kilonova.server.edge import Edge
from kilonova.server.openai import OpenAI
from kilonova.server.operation import Answer, Call, ErrorBody, Operation
from kilonova.server.search import Search
from kilonova.stores import registry
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.wire import bedrock, openai

__all__ = ["ServerSettings", "create_app"]


@dataclass(frozen=True)
class ServerSettings:
    """What a server is started with.

    Attributes:
        models: names of the registry; the first stands for Nova's ids, too.
        credentials: who may call.
        jobs: how asynchronous invocations are kept and run.
        store: address of a store of vectors, see ``stores.registry``; "" keeps them in the data folder.
        url: where others reach this server; they are sent there when they want a collection that it has open.
        region: the only region served; "" serves each.
        queue: inputs that may wait for the model.
        max_bytes: bodies under way at once, in bytes added up.
        cache_bytes: memory for vectors of inputs seen before.
        batch_seconds: how long the model may take for one batch.
        idle_seconds: without work, after which a model is unloaded until there is some; 0 keeps it.
        hosts: see ``Edge``.
        others: what else must run for the server to be ready, see ``Readiness``.
    """

    models: Sequence[str]
    credentials: Sequence[Credential]
    jobs: JobSettings
    store: str = ""
    url: str = ""
    region: str = ""
    queue: int = 256
    max_bytes: int = 256 << 20
    cache_bytes: int = 0
    batch_seconds: float = 60.0
    idle_seconds: float = 0.0
    hosts: Collection[str] | None = None
    others: Mapping[str, Callable[[], str]] = field(default_factory=dict)


def create_app(settings: ServerSettings, worker: Child | None = None) -> Starlette:
    """The ASGI application; its lifespan starts and stops the engines.

    Args:
        settings: see there.
        worker: a process of the first model that loads already, see ``Engine``.
    """
    engines = Engines(
        [
            Engine(
                model,
                queue=settings.queue,
                cache_bytes=settings.cache_bytes,
                batch_seconds=settings.batch_seconds,
                idle_seconds=settings.idle_seconds,
                worker=worker if number == 0 else None,
            )
            for number, model in enumerate(settings.models)
        ]
    )
    admission = Admission(settings.max_bytes)

    def route(
        path: str, method: str, name: str, work: Callable[[Call], Awaitable[Answer | Response]], error: ErrorBody
    ) -> Route:
        operation = Operation(
            name,
            work,
            error,
            credentials=settings.credentials,
            region=settings.region,
            admission=admission,
        )
        return Route(path, operation.endpoint, methods=[method])

    jobs = Jobs(engines, settings.jobs)
    bedrock_operations, async_operations, openai_operations = (
        Bedrock(engines),
        AsyncInvoke(engines, jobs),
        OpenAI(engines),
    )
    folder = settings.jobs.folder
    store = registry.open_store(settings.store) if settings.store else QdrantEdge(folder / "collections", settings.url)
    collection_operations, search_operations = Collections(store, folder), Search(engines, store, folder)
    v1_handlers: dict[str, Callable[[Call], Awaitable[Answer | Response]]] = {
        "CreateEmbeddings": openai_operations.embeddings,
        "ListModels": openai_operations.models,
        "ListCollections": collection_operations.list,
        "CreateCollection": collection_operations.create,
        "GetCollection": collection_operations.get,
        "DropCollection": collection_operations.drop,
        "OptimizeCollection": collection_operations.optimize,
        "UpsertPoints": collection_operations.upsert,
        "DeletePoints": collection_operations.delete,
        "GetPoints": collection_operations.points,
        "CountPoints": collection_operations.count,
        "ScrollPoints": collection_operations.scroll,
        "QueryPoints": collection_operations.query,
        "Search": search_operations.search,
        "GetItemMedia": search_operations.media,
    }
    routes = [
        route("/model/{model_id:path}/invoke", "POST", "InvokeModel", bedrock_operations.invoke, bedrock.error_body),
        route("/foundation-models", "GET", "ListFoundationModels", bedrock_operations.list_models, bedrock.error_body),
        route(
            "/foundation-models/{model_id:path}",
            "GET",
            "GetFoundationModel",
            bedrock_operations.get_model,
            bedrock.error_body,
        ),
        route("/async-invoke", "POST", "StartAsyncInvoke", async_operations.start, bedrock.error_body),
        route("/async-invoke", "GET", "ListAsyncInvokes", async_operations.list, bedrock.error_body),
        route("/async-invoke/{arn:path}", "GET", "GetAsyncInvoke", async_operations.get, bedrock.error_body),
        route("/kilonova/jobs/{arn:path}/cancel", "POST", "CancelJob", async_operations.cancel, bedrock.error_body),
        route("/kilonova/jobs/{arn:path}", "GET", "DescribeJob", async_operations.progress, bedrock.error_body),
        *(
            route(one.path.replace("{id}", "{id:path}"), one.method, one.name, v1_handlers[one.name], openai.error_body)
            for one in openapi.OPERATIONS
        ),
        Route("/openapi.json", openapi.page),
        Route("/livez", health.livez),
        Route("/readyz", health.Readiness(engines, settings.others).page),
        Route("/metrics", metrics.MetricsPage(jobs).endpoint),
    ]

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        async with engines, jobs:
            try:
                yield
            finally:
                search_operations.close()
                store.close()

    app = Starlette(
        routes=routes,
        middleware=[Middleware(Edge, hosts=settings.hosts)],
        lifespan=lifespan,
        exception_handlers={HTTPException: _unknown},
    )
    app.router.redirect_slashes = False  # it would send whoever asks to the name in the Host header
    app.state.engines = engines
    return app


async def _unknown(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    edge = openai if request.url.path.startswith("/v1/") else bedrock
    status, headers, body = edge.error_body(
        UnknownOperation(f"There is no operation at {request.method} {request.url.path}.")
    )
    return Response(body, status, {**headers, **(error.headers or {})}, "application/json")
