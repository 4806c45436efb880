"""What the files of a model's folder say of it, before any library is loaded: models of sentence-transformers, of
transformers as sentence-transformers takes them, and text models as ONNX files."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

from kilonova.errors import InvalidInput
from kilonova.media.content import Modality
from kilonova.models.card import ModelCard, Purpose

__all__ = ["ONNX", "describe", "home", "is_folder", "kind", "onnx_file"]

#: The kind of folders with an ONNX file.
ONNX = "onnx"

_TEXT_AND_IMAGE = ("text", "image")
#: Modalities by ``model_type``, where the folder does not list them itself; others embed text.
_MODALITIES = {
    **dict.fromkeys(("clip", "siglip", "siglip2", "chinese_clip", "align", "altclip"), _TEXT_AND_IMAGE),
    "clap": ("text", "audio"),
}
# The names that prompts have on model cards, by what they are for.
_SEARCHING = ("query", "search_query", "retrieval-query", "retrieval.query")
_FOUND = ("document", "passage", "search_document", "retrieval-document", "retrieval.passage")
_LONGEST = 1_000_000  # tokenizers say 1e30 where they have no bound


def is_folder(name: str) -> bool:
    """Whether a model's name is that of a folder."""
    return "/" in name or Path(name).is_dir()


def home(path: Path) -> Path:
    """The folder of a model that may be named by its ONNX file, which often lies in a folder of its own."""
    if path.suffix != ".onnx":
        return path
    return path.parent.parent if path.parent.name == "onnx" else path.parent


def onnx_file(path: Path) -> Path | None:
    """The ONNX file of a model: the one that is named, or the only one of a folder without other weights.

    Raises:
        InvalidInput: there are several.
    """
    if path.suffix == ".onnx":
        return path
    if any(path.rglob("*.safetensors")):
        return None
    found = sorted(path.rglob("*.onnx"))
    if len(found) > 1:
        names = ", ".join(str(one.relative_to(path)) for one in found)
        raise InvalidInput(f"{path} has several ONNX files: {names}.", f"Name one: --model {found[0]}")
    return found[0] if found else None


def kind(path: Path) -> str:
    """What decides which family loads the model in a folder: ``ONNX``, or the ``model_type`` of its configuration.

    Raises:
        InvalidInput: as ``onnx_file``, or its configuration is no JSON.
    """
    return ONNX if onnx_file(path) is not None else str(_config(path).get("model_type", ""))


def describe(path: Path, common: ModelCard | None = None, id: str = "") -> ModelCard:
    """The card of a model in a folder.

    Args:
        path: the folder, or an ONNX file.
        common: what is true of all models of its family, of those that have a file of their own.
        id: by default the path.

    Raises:
        InvalidInput: there is no model in it, or its weights are pickles.
    """
    if path.suffix == ".onnx" and not path.is_file():
        raise InvalidInput(f"There is no file {path}.")
    name, onnx, path = path, onnx_file(path), home(path)
    config = _config(path)
    if not config and not (path / "modules.json").exists():
        raise InvalidInput(
            f"There is no model in {path}.",
            "Name a folder with config.json and model.safetensors or model.onnx, or a known model. Those of the "
            "Hugging Face hub are downloaded by `kilonova pull OWNER/NAME`, then they are called NAME.",
        )
    if onnx is None and not any(path.rglob("*.safetensors")):
        raise InvalidInput(
            f"{path} has no weights in safetensors or ONNX.",
            "Pickles (.bin, .pt) are not read: they can run any program.",
        )
    transformer = _json(path / "sentence_bert_config.json")
    made = config.get("model_type", "")
    if common is not None:
        return _of_family(path, common, id or str(path), config, transformer)
    modalities = tuple(transformer.get("modality_config", ())) or _MODALITIES.get(made, ("text",))
    if onnx is not None:
        modalities = ("text",)
    native = _dimension(path, config)
    about = _front_matter(path / "README.md")
    return ModelCard(
        id=id or str(name),
        title=path.name,
        licence=about.get("license", "not said"),
        source=about.get("base_model", str(path)),
        modalities=frozenset(modality for modality in Modality if str(modality) in modalities),
        native_dimension=native,
        trained_dimensions=(native,),
        max_tokens=_tokens(path, config, transformer),
        languages=about.get("language", "not said"),
        best_for=f"{made or 'sentence-transformers'} from a folder{' by ONNX Runtime' if onnx is not None else ''}",
        prompts=MappingProxyType(_prompts(_json(path / "config_sentence_transformers.json"))),
        sample_rate=int(_json(path / "preprocessor_config.json").get("sampling_rate", 16_000)),
        mixes="message" in modalities and len(modalities) > 2,
        gpu=onnx is None,
    )


def _of_family(path: Path, known: ModelCard, id: str, config: dict[str, Any], transformer: dict[str, Any]) -> ModelCard:
    if not (path / "modules.json").exists():
        raise InvalidInput(
            f"{path} has no modules.json, so nothing says how its vectors are made.",
            f"Name a folder of the embedding model, such as {known.source}, not of one that talks.",
        )
    native = _dimension(path, config)
    return replace(
        known,
        id=id,
        title=path.name,
        source=str(path),
        native_dimension=native,
        trained_dimensions=(*(length for length in known.trained_dimensions if length < native), native),
        max_tokens=min(known.max_tokens, _tokens(path, config, transformer)),
        memory="",
        quality="",
        repository="",
    )


def _config(path: Path) -> dict[str, Any]:
    return _json(path / "config.json") or _json(path / "0_Transformer" / "config.json")


def _dimension(path: Path, config: dict[str, Any]) -> int:
    modules = json.loads((path / "modules.json").read_text()) if (path / "modules.json").exists() else []
    for module in reversed(modules):
        facts = _json(path / module["path"] / "config.json") if module["path"] else {}
        kind = module["type"].rpartition(".")[2]
        if kind == "Dense":
            return int(facts["out_features"])
        if kind == "Pooling":
            size = facts.get("embedding_dimension") or facts["word_embedding_dimension"]
            modes = [name for name, used in facts.items() if name.startswith("pooling_mode_") and used is True]
            return int(size) * max(1, len(modes))
    found = (
        config.get("projection_dim") or config.get("hidden_size") or config.get("text_config", {}).get("hidden_size")
    )
    if not found:
        raise InvalidInput(f"{path} does not say how long its vectors are.")
    return int(found)


def _tokens(path: Path, config: dict[str, Any], transformer: dict[str, Any]) -> int:
    said = (
        transformer.get("max_seq_length"),
        _json(path / "tokenizer_config.json").get("model_max_length"),
        config.get("max_position_embeddings"),
        config.get("text_config", {}).get("max_position_embeddings"),
    )
    return int(min((one for one in said if one and one < _LONGEST), default=512))


def _prompts(config: dict[str, Any]) -> dict[Purpose, str]:
    lower = {name.lower(): prompt for name, prompt in config.get("prompts", {}).items() if prompt}
    default = lower.get((config.get("default_prompt_name") or "").lower(), "")
    searching = next((lower[name] for name in _SEARCHING if name in lower), default)
    found = next((lower[name] for name in _FOUND if name in lower), default)
    prompts = dict.fromkeys(Purpose, searching) | {
        Purpose.GENERIC_INDEX: found,
        Purpose.CLASSIFICATION: lower.get("classification", default),
        Purpose.CLUSTERING: lower.get("clustering", default),
    }
    return {purpose: prompt for purpose, prompt in prompts.items() if prompt}


def _json(path: Path) -> dict[str, Any]:
    if not path.is_file():
        return {}
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is no JSON: {error}.") from None
    return found if isinstance(found, dict) else {}


def _front_matter(path: Path) -> dict[str, str]:
    """The plain fields at the head of a model card of the hub."""
    if not path.is_file():
        return {}
    head = re.match(r"---\n(.*?)\n---", path.read_text(encoding="utf-8", errors="replace"), re.DOTALL)
    lines = head[1].splitlines() if head else []
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines) if value.strip()}
