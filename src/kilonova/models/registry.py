"""Every model by name or folder: its card without importing its family's libraries, the model itself on demand."""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import replace
from functools import cache
from typing import TYPE_CHECKING, TypeGuard

from kilonova import _home, plugins
from kilonova.errors import InvalidInput, KilonovaError, NotFound, Unavailable
from kilonova.media.content import Modality
from kilonova.models import families, folder
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import ModelCard
from kilonova.models.family import ModelFamily

if TYPE_CHECKING:
    from kilonova.models.stranger import Stranger

__all__ = ["BUILT_IN", "GROUP", "NOVA_IDS", "card", "is_family", "is_here", "load", "names", "pulled_name", "require"]

#: The ids that code written for Amazon Nova sends; they mean whichever model the server runs.
NOVA_IDS = ("amazon.nova-2-multimodal-embeddings-v1:0", "amazon.nova-embedding-v1:0")

#: The entry points of families.
GROUP = "kilonova.models"
#: Kilonova's own, in the order in which they are asked for a name: the same as in ``pyproject.toml``.
BUILT_IN = {
    "mini": "kilonova.models.families:MINI",
    "fake": "kilonova.models.families:FAKE",
    "openai": "kilonova.models.families:OPENAI",
    "bedrock": "kilonova.models.families:BEDROCK",
    "embedding-gemma-2": "kilonova.models.families:EMBEDDING_GEMMA_2",
    "qwen3-vl": "kilonova.models.families:QWEN3_VL",
    "onnx": "kilonova.models.families:ONNX",
    "folder": "kilonova.models.families:FOLDER",
}
_KINDS = "|".join(Modality)
_NAME = re.compile(rf"(.+?)(:int8)?(?::((?:{_KINDS})(?:,(?:{_KINDS}))*))?")


def names() -> list[str]:
    """The names of known models, whether or not they are on this machine: ours, what was pulled, those of plug-ins.

    Plug-ins that cannot be used are left out; ``kilonova.plugins.installed`` lists them.
    """
    known = [name for family in _built_in() for name in family.names()]
    return list(dict.fromkeys([*known, *(name for family in _plugged_in()[0] for name in family.names())]))


def is_here(name: str) -> bool:
    """Whether a model can be loaded without ``kilonova pull``."""
    name = _parts(name)[0]
    try:
        return not _is_to_be_pulled(name, _family(name))
    except KilonovaError:
        return False


def pulled_name(repository: str) -> str:
    """What a model of the hub is called here, once it is pulled."""
    for family in (*_built_in(), *_plugged_in()[0]):
        for name in family.names():
            with suppress(KilonovaError):  # a pulled folder that is broken
                if family.describe(name).repository.lower() == repository.lower():
                    return name
    return repository.rpartition("/")[2]


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
        Unavailable: it is elsewhere and cannot be reached, or the plug-in that has it is broken.
    """
    name, int8, asked_for = _parts(name)
    found = _family(name).describe(name)
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
        NotFound: no family has that name.
        Unavailable: it is not on this machine.
    """
    base = _parts(name)[0]
    if _is_to_be_pulled(base, _family(base)):
        raise Unavailable(f"{base} is not on this machine.", f"kilonova pull {base}")


def load(name: str) -> EmbeddingModel:
    """Load a model into this process.

    Raises:
        NotFound: no family has that name.
        Unavailable: its weights or libraries are not installed.
    """
    require(name)
    described, name = card(name), _parts(name)[0]
    model = _family(name).load(name, described)
    model.card = described
    return model


def _parts(name: str) -> tuple[str, bool, frozenset[Modality]]:
    """A model's name without its endings, whether they say 8 bits, and the modalities that they ask for."""
    found = _NAME.fullmatch(name)
    if found is None:
        return name, False, frozenset()
    return found[1], bool(found[2]), frozenset(map(Modality, found[3].split(",") if found[3] else ()))


def _family(name: str) -> ModelFamily:
    """The family of a model, by its name without endings.

    Raises:
        NotFound: there is none.
        Unavailable: the plug-in whose name the model's begins with cannot be used.
    """
    if (ours := next((one for one in _built_in() if one.claims(name)), None)) is not None:
        return ours
    strangers, faults = _plugged_in()
    if (theirs := next((one for one in strangers if one.claims(name)), None)) is not None:
        return theirs
    plugins.find(GROUP, re.split("[:+]", name)[0], is_family)  # tells why that one cannot be used
    if folder.is_folder(name):
        return families.FOLDER  # which says what is wrong with it
    known = f"Known models: {', '.join(names())}, and any folder with one."
    raise NotFound(f"There is no model {name!r}.", " ".join([known, *(fault.message for fault in faults)]))


@cache
def _built_in() -> tuple[ModelFamily, ...]:
    return tuple(plugins.resolve(where) for where in BUILT_IN.values())


def _plugged_in() -> tuple[list[Stranger], list[Unavailable]]:
    """The families of other distributions, and why others cannot be used."""
    from kilonova.models.stranger import Stranger

    found, faults = plugins.load(GROUP, is_family)
    return [Stranger(name, family) for name, family in found.items()], faults


def is_family(value: object) -> TypeGuard[ModelFamily]:
    """Whether an object is what plug-ins of this group bring."""
    return isinstance(value, ModelFamily)


def _is_to_be_pulled(name: str, family: ModelFamily) -> bool:
    if (_home.models() / name).is_dir() or name not in family.names():
        return False
    return bool(family.describe(name).repository)
