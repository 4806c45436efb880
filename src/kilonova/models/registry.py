"""Every model by name or folder: its card without importing its family's libraries, its class on demand."""

from __future__ import annotations

import re
from dataclasses import replace
from importlib import import_module
from pathlib import Path
from typing import Any

from kilonova import _home
from kilonova.errors import InvalidInput, NotFound, Unavailable
from kilonova.media.content import Modality
from kilonova.models import cards, folder
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import ModelCard

__all__ = ["NOVA_IDS", "card", "is_here", "load", "names", "pulled_name", "require"]

#: The ids that code written for Amazon Nova sends; they mean whichever model the server runs.
NOVA_IDS = ("amazon.nova-2-multimodal-embeddings-v1:0", "amazon.nova-embedding-v1:0")

# Models that need no more than Kilonova's own packages, with the class that loads them.
_OWN: dict[str, tuple[ModelCard, str]] = {
    cards.MINI.id: (cards.MINI, "kilonova.models.mini:Mini"),
    cards.FAKE.id: (cards.FAKE, "kilonova.models.fake:Fake"),
}
_PULLED = {card.id: card for card in (cards.EMBEDDING_GEMMA_2, cards.QWEN3_VL_2B, cards.QWEN3_VL_8B)}

#: Modules with ``described(name)`` and ``load(name)``, by how addresses of their models begin.
_ELSEWHERE = {
    "openai+http": "kilonova.models.openai_server",
    "bedrock:": "kilonova.models.bedrock",
}
_KINDS = "|".join(Modality)
_NAME = re.compile(rf"(.+?)(:int8)?(?::((?:{_KINDS})(?:,(?:{_KINDS}))*))?")


def names() -> list[str]:
    """The names of known models, whether or not they are on this machine, and of others that were pulled."""
    folders = _home.models().iterdir() if _home.models().is_dir() else ()
    pulled = (folder.name for folder in folders if folder.is_dir() and folder.suffix != ".partial")
    return [*_OWN, *dict.fromkeys((*_PULLED, *sorted(pulled)))]


def is_here(name: str) -> bool:
    """Whether a model can be loaded without ``kilonova pull``."""
    name = _parts(name)[0]
    return name in _OWN or folder.is_folder(name) or _address(name) is not None or (_home.models() / name).is_dir()


def pulled_name(repository: str) -> str:
    """What a model of the hub is called here, once it is pulled."""
    known = next((one.id for one in _PULLED.values() if one.repository.lower() == repository.lower()), "")
    return known or repository.rpartition("/")[2]


def card(name: str) -> ModelCard:
    """The card of a model.

    Args:
        name: a known one, a folder's path, or the address of a model elsewhere; with ``:int8``, its form in 8 bits,
            whose vectors are not quite the same, so the id says it; with ``:text,image`` at its end, only that is
            loaded and served. The card keeps the id without it, for what was embedded with and without such an ending
            is of one space.

    Raises:
        NotFound: no family has that name.
        InvalidInput: there is no model there, it does not embed what is asked for, or has no form in 8 bits.
        Unavailable: it is elsewhere and cannot be reached.
    """
    name, int8, asked_for = _parts(name)
    if elsewhere := _elsewhere(name):
        found: ModelCard = elsewhere.described(name)
    elif folder.is_folder(name):
        found = folder.described(_path(name))
    else:
        found = _known(name)
    if int8:
        if not found.gpu:
            raise InvalidInput(
                f"{found.id} has no form in 8 bits here.",
                "Models that torch runs have one; other servers and ONNX files have theirs or have not.",
            )
        found = replace(found, id=f"{found.id}:int8", int8=True, gpu=False, memory="")
    if missing := asked_for - found.modalities:
        raise InvalidInput(f"{found.id} does not embed {', '.join(sorted(missing))}.")
    return replace(found, modalities=asked_for) if asked_for else found


def require(name: str) -> None:
    """Refuse a known model that was not pulled.

    Raises:
        Unavailable: it is not on this machine.
    """
    base = _parts(name)[0]
    if base in _PULLED and not is_here(base):
        raise Unavailable(f"{base} is not on this machine.", f"kilonova pull {base}")


def load(name: str) -> EmbeddingModel:
    """Load a model into this process.

    Raises:
        NotFound: no family has that name.
        Unavailable: its weights or libraries are not installed.
    """
    require(name)
    described, name = card(name), _parts(name)[0]
    if elsewhere := _elsewhere(name):
        model: EmbeddingModel = elsewhere.load(name)
    elif name in _OWN:
        model = _class(_OWN[name][1])()
    else:
        path = _path(name) if folder.is_folder(name) else _home.models() / name
        model = _class(folder.family(path))(path, described)
    model.card = described
    return model


def _parts(name: str) -> tuple[str, bool, frozenset[Modality]]:
    """A model's name without its endings, whether they say 8 bits, and the modalities that they ask for."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name, False, frozenset()
    return found[1], bool(found[2]), frozenset(map(Modality, found[3].split(",") if found[3] else ()))


def _class(where: str) -> Any:
    module, _, attribute = where.partition(":")
    return getattr(import_module(module), attribute)


def _elsewhere(name: str) -> Any:
    """The module of models that other servers run, for a name that is an address."""
    module = _address(name)
    return import_module(module) if module is not None else None


def _address(name: str) -> str | None:
    return next((module for prefix, module in _ELSEWHERE.items() if name.startswith(prefix)), None)


def _path(name: str) -> Path:
    return Path(name).expanduser().resolve()


def _known(name: str) -> ModelCard:
    if name in _OWN:
        return _OWN[name][0]
    if name in _PULLED:
        return _PULLED[name]
    if is_here(name):
        return replace(folder.described(_home.models() / name), id=name)
    raise NotFound(f"There is no model {name!r}.", f"Known models: {', '.join(names())}, and any folder with one.")
