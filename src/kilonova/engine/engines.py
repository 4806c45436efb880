"""Several models in one server."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AsyncExitStack
from types import TracebackType
from typing import Self

from kilonova.engine.engine import Engine
from kilonova.models.card import ModelCard
from kilonova.models.registry import NOVA_IDS

__all__ = ["Engines"]


class Engines:
    """Engines by their models' ids; the first one's model stands for Nova's ids, too. An async context manager.

    Args:
        engines: of different models, at least one.
    """

    def __init__(self, engines: Sequence[Engine]) -> None:
        self.first = engines[0]
        self._by_id = {engine.card.id: engine for engine in engines} | dict.fromkeys(NOVA_IDS, engines[0])

    async def __aenter__(self) -> Self:
        async with AsyncExitStack() as stack:
            for engine in self:
                await stack.enter_async_context(engine)
            self._entered = stack.pop_all()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._entered.__aexit__(kind, error, trace)

    def __iter__(self) -> Iterator[Engine]:
        return iter(dict.fromkeys(self._by_id.values()))

    def __getitem__(self, model: str) -> Engine:
        return self._by_id[model]

    def get(self, model: str) -> Engine | None:
        """The engine of that model, if it is served."""
        return self._by_id.get(model)

    @property
    def cards(self) -> dict[str, ModelCard]:
        """The cards of all ids that are served."""
        return {model: engine.card for model, engine in self._by_id.items()}
