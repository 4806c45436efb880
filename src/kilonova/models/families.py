"""Kilonova's own model families. Their libraries are imported when a model of theirs is loaded."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from kilonova import _home, plugins
from kilonova.models import cards, folder
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import ModelCard

__all__ = ["BEDROCK", "EMBEDDING_GEMMA_2", "FAKE", "FOLDER", "MINI", "ONNX", "OPENAI", "QWEN3_VL"]


class _Packaged:
    """One model whose weights come with packages.

    Args:
        card: of the model.
        where: ``module:class``, made without arguments.
    """

    def __init__(self, card: ModelCard, where: str) -> None:
        self._card, self._where = card, where

    def names(self) -> Sequence[str]:
        return (self._card.id,)

    def claims(self, name: str) -> bool:
        return name == self._card.id

    def describe(self, name: str) -> ModelCard:
        return self._card

    def load(self, name: str, card: ModelCard) -> EmbeddingModel:
        make: Callable[[], EmbeddingModel] = plugins.resolve(self._where)
        return make()


class _Served:
    """Models that other servers run; a name is an address.

    Args:
        prefix: how their addresses begin.
        module: has ``describe(name)`` and ``load(name)``.
    """

    def __init__(self, prefix: str, module: str) -> None:
        self._prefix, self._module = prefix, module

    def names(self) -> Sequence[str]:
        return ()

    def claims(self, name: str) -> bool:
        return name.startswith(self._prefix)

    def describe(self, name: str) -> ModelCard:
        describe: Callable[[str], ModelCard] = plugins.resolve(f"{self._module}:describe")
        return describe(name)

    def load(self, name: str, card: ModelCard) -> EmbeddingModel:
        load: Callable[[str], EmbeddingModel] = plugins.resolve(f"{self._module}:load")
        return load(name)


class _InFolders:
    """Models in folders of this machine, named by their paths, or by their names if ``kilonova pull`` brought them.

    Args:
        kind: of the folders, see ``folder.kind``.
        where: ``module:class``, made of a path and a card.
        known: cards of models that ``kilonova pull`` finds by name; the first says what is true of all of the kind.
    """

    def __init__(self, kind: str, where: str, *known: ModelCard) -> None:
        self._kind, self._where = kind, where
        self._known = {card.id: card for card in known}
        self._common = known[0] if known else None

    def names(self) -> Sequence[str]:
        return tuple(self._known)

    def claims(self, name: str) -> bool:
        if name in self._known and not folder.is_folder(name):
            return True
        path = _place(name)
        return path.exists() and folder.kind(path) == self._kind

    def describe(self, name: str) -> ModelCard:
        if folder.is_folder(name):
            return folder.describe(_place(name), self._common)
        return self._known.get(name) or folder.describe(_place(name), self._common, id=name)

    def load(self, name: str, card: ModelCard) -> EmbeddingModel:
        make: Callable[[Path, ModelCard], EmbeddingModel] = plugins.resolve(self._where)
        return make(_place(name), card)


class _InOtherFolders(_InFolders):
    """What no other family of folders claims: models that sentence-transformers loads."""

    def __init__(self, where: str) -> None:
        super().__init__("", where)

    def names(self) -> Sequence[str]:
        """What was pulled, of whatever kind it is."""
        folders = _home.models().iterdir() if _home.models().is_dir() else ()
        return sorted(folder.name for folder in folders if folder.is_dir() and folder.suffix != ".partial")

    def claims(self, name: str) -> bool:
        return _place(name).exists()


def _place(name: str) -> Path:
    """Where a model's files are."""
    return Path(name).expanduser().resolve() if folder.is_folder(name) else _home.models() / name


MINI = _Packaged(cards.MINI, "kilonova.models.mini:Mini")
FAKE = _Packaged(cards.FAKE, "kilonova.models.fake:Fake")
OPENAI = _Served("openai+http", "kilonova.models.openai_server")
BEDROCK = _Served("bedrock:", "kilonova.models.bedrock")
EMBEDDING_GEMMA_2 = _InFolders(
    "embedding_gemma2", "kilonova.models.embedding_gemma2:EmbeddingGemma2", cards.EMBEDDING_GEMMA_2
)
QWEN3_VL = _InFolders("qwen3_vl", "kilonova.models.qwen3_vl:Qwen3VL", cards.QWEN3_VL_2B, cards.QWEN3_VL_8B)
ONNX = _InFolders(folder.ONNX, "kilonova.models.onnx_text:OnnxText")
FOLDER = _InOtherFolders("kilonova.models.sentence:Sentence")
