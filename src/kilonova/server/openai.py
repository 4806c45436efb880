"""OpenAI's two routes, for text, on the same engine."""

from __future__ import annotations

from kilonova.engine.engine import Engine
from kilonova.engine.matryoshka import DIMENSIONS
from kilonova.media.content import Modality, Text, Truncation
from kilonova.models.card import ModelCard
from kilonova.server.operation import Answer, Call
from kilonova.wire import bedrock, openai

__all__ = ["OpenAI"]


class OpenAI:
    """``/v1/embeddings`` and ``/v1/models``.

    Args:
        engine: what embeds.
        models: the cards of all ids that are served.
    """

    def __init__(self, engine: Engine, models: dict[str, ModelCard]) -> None:
        self._engine, self._models = engine, models

    async def embeddings(self, call: Call) -> Answer:
        """``POST /v1/embeddings``; without ``dimensions`` the model's own."""
        native = self._engine.card.native_dimension
        request = openai.parse_embeddings(call.take_body(), sorted({*DIMENSIONS, native}))
        model = bedrock.parse_model_id(request.model, "", list(self._models))
        call.modality = str(Modality.TEXT)
        results = await self._engine.embed_all(
            [Text(text, Truncation.NONE) for text in request.texts],
            request.embeddingPurpose,
            request.dimensions or native,
        )
        tokens = sum(result.tokens for result in results)
        return Answer(openai.render_embeddings([result.vector for result in results], request, model, tokens))

    async def models(self, call: Call) -> Answer:
        """``GET /v1/models``."""
        return Answer(openai.render_models(self._models))
