"""A text model behind any server of OpenAI's embeddings API: vLLM, SGLang, TEI, Infinity, llama.cpp, OpenAI itself.

The name is ``openai+http://HOST:PORT/v1#MODEL``. The key of a server that wants one is taken from ``OPENAI_API_KEY``.
Purposes are not sent: the API has no word for them.
"""

from __future__ import annotations

import base64
import os
import random
import time
from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np
import orjson
import urllib3

from kilonova.errors import Busy, InvalidInput, KilonovaError, ModelFailed, Unavailable
from kilonova.media.content import Input, Modality, Text, Truncation
from kilonova.models.base import Embedded, EmbeddingModel, Prepared, with_vectors
from kilonova.models.card import ModelCard, Purpose

__all__ = ["OpenAIServer", "describe", "load"]

_SECONDS = 60.0
_ATTEMPTS = 5
_AGAIN = (429, 500, 502, 503, 504)


@cache
def describe(name: str) -> ModelCard:
    """The card of a served model; its dimension is asked for.

    Raises:
        InvalidInput: the name is none, or the server refuses.
        Unavailable: the server cannot be reached.
    """
    url, _, model = name.removeprefix("openai+").partition("#")
    if not model:
        raise InvalidInput(f"{name!r} names no model.", "Write openai+http://HOST:PORT/v1#MODEL.")
    (vector,), _ = _Server(name).vectors(["probe 探针"])
    return ModelCard(
        id=name,
        title=model,
        licence="not said",
        source=url,
        modalities=frozenset({Modality.TEXT}),
        native_dimension=len(vector),
        trained_dimensions=(len(vector),),
        max_tokens=8192,
        languages="not said",
        best_for="a model that another server runs",
    )


def load(name: str) -> OpenAIServer:
    """The model of that name."""
    return OpenAIServer(name)


class OpenAIServer(EmbeddingModel):
    """Texts go to the server as they are; it cuts or refuses those that are too long."""

    def __init__(self, name: str) -> None:
        self.card = describe(name)
        self._server = _Server(name)

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        if not isinstance(content, Text):
            raise self.card.refusal(content)
        if content.truncation is Truncation.START:
            raise InvalidInput("The server of this model cannot keep the end of a text.", "Use truncationMode END.")
        return Prepared(content.value, 0)

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        return with_vectors(batch, self._server.vectors([prepared.data for prepared in batch])[0])


class _Server:
    def __init__(self, name: str) -> None:
        self._url, _, self._model = name.removeprefix("openai+").partition("#")
        self._pool = urllib3.PoolManager(timeout=urllib3.Timeout(connect=5, read=_SECONDS))

    def vectors(self, texts: Sequence[str]) -> tuple[np.ndarray, int]:
        """Vectors float32 [len(texts), dimension], and the tokens that they cost.

        Raises:
            InvalidInput, Busy, Unavailable, ModelFailed: as the server answers, after some attempts.
        """
        said = self._ask({"model": self._model, "input": list(texts), "encoding_format": "base64"})
        rows = sorted(said["data"], key=lambda one: int(one["index"]))
        found = np.stack([_vector(one["embedding"]) for one in rows])
        if len(found) != len(texts) or not np.isfinite(found).all():
            raise ModelFailed(f"{self._url} answered {len(found)} vectors for {len(texts)} texts, or broken ones.")
        return found, int(said.get("usage", {}).get("total_tokens", 0))

    def _ask(self, body: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json"}
        if key := os.environ.get("OPENAI_API_KEY"):
            headers["Authorization"] = f"Bearer {key}"
        for attempt in range(_ATTEMPTS):
            last: KilonovaError
            try:
                answer = self._pool.request(
                    "POST", f"{self._url}/embeddings", body=orjson.dumps(body), headers=headers, retries=False
                )
            except urllib3.exceptions.HTTPError as error:
                last = Unavailable(f"{self._url} cannot be reached ({type(error).__name__}).", "Is it running?")
            else:
                if answer.status < 400:
                    return orjson.loads(answer.data)
                last = _refusal(self._url, answer.status, answer.data)
                if answer.status not in _AGAIN:
                    break
            if attempt < _ATTEMPTS - 1:
                time.sleep(random.uniform(0.5, 1.0) * 0.25 * 2**attempt)
        raise last


def _vector(given: str | list[float]) -> np.ndarray:
    """Some servers send numbers whatever they are asked for."""
    if isinstance(given, str):
        return np.frombuffer(base64.b64decode(given), "<f4").astype(np.float32)
    return np.array(given, np.float32)


def _refusal(url: str, status: int, body: bytes) -> KilonovaError:
    said = f"{url} answered {status}: {body[:300].decode(errors='replace')}"
    if status == 429:
        return Busy(said)
    return Unavailable(said) if status >= 500 else InvalidInput(said)
