"""OpenAI's two routes, on the same engines."""

from __future__ import annotations

from kilonova.engine.engine import Engine
from kilonova.engine.engines import Engines
from kilonova.engine.matryoshka import dimensions_of
from kilonova.media.content import Encoded, Mixed, Modality, Text, Truncation
from kilonova.models.card import Purpose
from kilonova.server.operation import Answer, Call
from kilonova.server.sources import Sources
from kilonova.wire import bedrock, openai

__all__ = ["OpenAI"]


class OpenAI:
    """``/v1/embeddings`` and ``/v1/models``.

    Args:
        engines: what embeds; ``model`` chooses.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines, self._models = engines, engines.cards
        self._sources = Sources()

    async def embeddings(self, call: Call) -> Answer:
        """``POST /v1/embeddings``; without ``dimensions`` the model's own."""
        request = await call.parse(openai.parse_embeddings)
        model = bedrock.parse_model_id(request.model, "", list(self._models))
        engine = self._engines[model]
        native = engine.card.native_dimension
        openai.check_dimension(request, dimensions_of(engine.card))
        items = [await self._item(call, engine, one) for one in request.input]
        kinds = {one.modality if not isinstance(one, Mixed) else "mixed" for one in items}
        call.modality = str(kinds.pop()) if len(kinds) == 1 else "mixed"
        results = await engine.embed_all(
            items, request.embeddingPurpose or Purpose.GENERIC_INDEX, request.dimensions or native
        )
        tokens = sum(result.tokens for result in results)
        return Answer(openai.render_embeddings([result.vector for result in results], request, model, tokens))

    async def models(self, call: Call) -> Answer:
        """``GET /v1/models``."""
        return Answer(openai.render_models(self._models))

    async def _item(self, call: Call, engine: Engine, given: str | openai.Composite) -> Text | Encoded | Mixed:
        if isinstance(given, str):
            return Text(given, Truncation.NONE)
        kinds = [*([Modality.TEXT] if given.text is not None else []), *given.files]
        engine.check(*kinds)  # before anything is fetched
        parts: list[Text | Encoded] = [Text(given.text, Truncation.NONE)] if given.text is not None else []
        for kind, source in given.files.items():
            parts.append(Encoded(kind, await self._sources.read(call, source, kind)))
        return parts[0] if len(parts) == 1 else Mixed(tuple(parts))
