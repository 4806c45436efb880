"""Bedrock's three operations on asynchronous invocations, and ours: how far one is, and ending it."""

from __future__ import annotations

from typing import TYPE_CHECKING

import orjson

from kilonova.engine.engines import Engines
from kilonova.errors import InvalidInput
from kilonova.jobs.service import Jobs
from kilonova.media.content import Modality
from kilonova.server.operation import Answer, Call
from kilonova.wire import async_invoke as wire
from kilonova.wire import bedrock

if TYPE_CHECKING:
    from kilonova.jobs.records import Job

__all__ = ["AsyncInvoke"]


class AsyncInvoke:
    """The operations on the jobs of one server.

    Args:
        engines: what embeds; ``modelId`` chooses.
        jobs: what keeps and runs jobs.
    """

    def __init__(self, engines: Engines, jobs: Jobs) -> None:
        self._engines, self._jobs, self._models = engines, jobs, list(engines.cards)

    async def start(self, call: Call) -> Answer:
        """``POST /async-invoke``."""
        request = await call.parse(wire.parse_start)
        model = bedrock.parse_model_id(request.modelId, call.region, self._models)
        call.modality = str(request.params.modality)
        self._engines[model].require(request.params.modality)
        job = await self._jobs.start(request, region=call.region, model=model, caller=call.caller)
        return Answer(orjson.dumps({"invocationArn": job.view.arn}))

    async def get(self, call: Call) -> Answer:
        """``GET /async-invoke/{invocationArn}``."""
        return Answer(wire.render_job((await self._found(call)).view))

    async def list(self, call: Call) -> Answer:
        """``GET /async-invoke``."""
        query = wire.parse_list(call.request.query_params.multi_items())
        jobs = [job.view for job in await self._jobs.page(call.region, query)]
        page = jobs[: query.limit]
        return Answer(wire.render_list(page, query.token(page[-1]) if len(jobs) > query.limit else None))

    async def progress(self, call: Call) -> Answer:
        """``GET /kilonova/jobs/{invocationArn}``: what Get answers, and how far it is."""
        job = await self._found(call)
        params = job.request.params
        found = orjson.loads(wire.render_job(job.view))
        found["progress"] = {
            "sourceFileUri": params.location.uri,
            "unit": "seconds" if params.modality in (Modality.AUDIO, Modality.VIDEO) else "bytes",
            "segments": job.segments,
            "failedSegments": job.failures,
            "position": job.position,
            "length": job.length,
            "begun": job.begun,
        }
        return Answer(orjson.dumps(found))

    async def cancel(self, call: Call) -> Answer:
        """``POST /kilonova/jobs/{invocationArn}/cancel``."""
        call.take_body()
        job = await self._found(call)
        if not await self._jobs.cancel(job.view.id):
            raise InvalidInput(f"{job.view.arn} has ended already.")
        return Answer(b"{}")

    async def _found(self, call: Call) -> Job:
        arn = call.request.path_params["arn"]
        job = await self._jobs.get(wire.job_id(arn, call.region, self._jobs.settings.account))
        if job is None:
            raise wire.unknown(arn)
        return job
