"""InvokeModel: from Nova's request to vectors, and the control plane's two questions about models."""

from __future__ import annotations

import asyncio
from time import perf_counter

from kilonova.engine.engine import Embedding, Engine
from kilonova.engine.engines import Engines
from kilonova.errors import InvalidInput, NoAudioTrack
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Modality, Text, VideoPart
from kilonova.media.text import decode
from kilonova.server.operation import Answer, Call
from kilonova.server.sources import Sources
from kilonova.wire import bedrock, nova
from kilonova.wire.nova import EmbeddingMode, EmbeddingType

__all__ = ["Bedrock"]

_Part = tuple[EmbeddingType, Text | Encoded]


class Bedrock:
    """The operations of Amazon Bedrock.

    Args:
        engines: what embeds; ``modelId`` chooses.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines, self._models = engines, engines.cards
        self._sources = Sources()

    async def invoke(self, call: Call) -> Answer:
        """``POST /model/{modelId}/invoke``."""
        begin = perf_counter()
        model = bedrock.parse_model_id(call.request.path_params["model_id"], call.region, list(self._models))
        engine = self._engines[model]
        params = await call.parse(nova.parse_single)
        call.modality = str(params.modality)
        engine.check(params.modality)  # before anything is fetched or decoded
        parts = await self._parts(call, params)
        results = await _embed(engine, parts, params)
        found: list[tuple[EmbeddingType, Embedding]] = [
            (kind, embedding) for (kind, _), embedding in zip(parts, results, strict=True) if embedding is not None
        ]
        body = nova.render_single([(kind, one.vector, one.kept_characters) for kind, one in found])
        headers = {
            "x-amzn-bedrock-input-token-count": str(sum(one.tokens for _, one in found)),
            "x-amzn-bedrock-invocation-latency": str(round((perf_counter() - begin) * 1000)),
        }
        return Answer(body, headers)

    async def list_models(self, call: Call) -> Answer:
        """``GET /foundation-models``."""
        return Answer(bedrock.list_models(self._models, call.region, call.request.query_params.multi_items()))

    async def get_model(self, call: Call) -> Answer:
        """``GET /foundation-models/{modelIdentifier}``."""
        model = bedrock.parse_model_id(call.request.path_params["model_id"], call.region, list(self._models))
        return Answer(bedrock.model_details(model, self._models[model], call.region))

    async def _parts(self, call: Call, params: nova.SingleEmbeddingParams) -> list[_Part]:
        """What is to be embedded, with the type each vector has in the answer."""
        modality = params.modality
        if params.text is not None:
            return [(EmbeddingType.TEXT, await self._text(call, params.text))]
        if params.image is not None:
            image = params.image
            return [(EmbeddingType.IMAGE, await self._media(call, modality, image, detail=image.detailLevel))]
        if params.audio is not None:
            return [(EmbeddingType.AUDIO, await self._media(call, modality, params.audio))]
        assert params.video is not None
        video = await self._media(call, modality, params.video)
        if params.video.embeddingMode is EmbeddingMode.COMBINED:
            return [(EmbeddingType.AUDIO_VIDEO_COMBINED, video)]
        return [
            (EmbeddingType.VIDEO, Encoded(modality, video.data, video.format, part=VideoPart.FRAMES)),
            (EmbeddingType.AUDIO, Encoded(modality, video.data, video.format, part=VideoPart.AUDIO)),
        ]

    async def _text(self, call: Call, text: nova.TextParams) -> Text:
        if text.value is not None:
            return Text(text.value, text.truncationMode)
        assert text.source is not None
        place = text.source.s3Location
        data = await self._sources.s3.read(place.uri, limits.S3_BYTES[Modality.TEXT], place.bucketOwner, call.hold)
        value = decode(data, place.uri)
        if len(value) > limits.TEXT_S3_CHARACTERS:
            raise InvalidInput(
                f"{place.uri} has {len(value):,} characters; at most {limits.TEXT_S3_CHARACTERS:,} are taken.",
                "Cut it, or start an asynchronous invocation with SEGMENTED_EMBEDDING.",
            )
        return Text(value, text.truncationMode)

    async def _media(
        self,
        call: Call,
        modality: Modality,
        params: nova.ImageParams | nova.AudioParams | nova.VideoParams,
        detail: Detail = Detail.STANDARD,
    ) -> Encoded:
        return Encoded(modality, await self._sources.read(call, params.source, modality), params.format, detail)


async def _embed(engine: Engine, parts: list[_Part], params: nova.SingleEmbeddingParams) -> list[Embedding | None]:
    """The parts' vectors; None for the audio of a silent video, which Nova leaves out of its answer."""

    async def one(item: Text | Encoded) -> Embedding | None:
        try:
            return await engine.embed(item, params.embeddingPurpose, params.embeddingDimension)
        except NoAudioTrack:
            return None

    calls = [one(item) for _, item in parts]
    if len(calls) == 1:  # spares the usual request a task
        return [await calls[0]]
    return await asyncio.gather(*calls)
