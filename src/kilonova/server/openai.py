"""OpenAI's two routes, for text, on the same engines."""

from __future__ import annotations

from kilonova.engine.engines import Engines
from kilonova.engine.matryoshka import DIMENSIONS
from kilonova.media.content import Modality, Text, Truncation
from kilonova.server.operation import Answer, Call
from kilonova.wire import bedrock, openai

__all__ = ["OpenAI"]


class OpenAI:
    """``/v1/embeddings`` and ``/v1/models``.

    Args:
        engines: what embeds; ``model`` chooses.
    """

    def __init__(self, engines: Engines) -> None:
        self._engines, self._models = engines, engines.cards

    async def embeddings(self, call: Call) -> Answer:
        """``POST /v1/embeddings``; without ``dimensions`` the model's own."""
        request = openai.parse_embeddings(call.take_body())
        model = bedrock.parse_model_id(request.model, "", list(self._models))
        engine = self._engines[model]
        native = engine.card.native_dimension
        openai.check_dimension(request, sorted({*DIMENSIONS, *engine.card.trained_dimensions, native}))
        call.modality = str(Modality.TEXT)
        results = await engine.embed_all(
            [Text(text, Truncation.NONE) for text in request.texts],
            request.embeddingPurpose,
            request.dimensions or native,
        )
        tokens = sum(result.tokens for result in results)
        return Answer(openai.render_embeddings([result.vector for result in results], request, model, tokens))

    async def models(self, call: Call) -> Answer:
        """``GET /v1/models``."""
        return Answer(openai.render_models(self._models))
