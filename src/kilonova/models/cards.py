"""The cards of all families."""

from __future__ import annotations

from types import MappingProxyType

from kilonova.media.content import Modality
from kilonova.models.card import ModelCard, Purpose

__all__ = ["FAKE", "MINI"]

# multilingual-e5's model card: "query: " for the searching side of retrieval, "passage: " for what is found,
# "query: " on both sides of symmetric tasks (classification features, clustering).
_E5_PROMPTS = dict.fromkeys(Purpose, "query: ") | {Purpose.GENERIC_INDEX: "passage: "}

MINI = ModelCard(
    id="kilonova-mini",
    title="Kilonova Mini",
    licence="MIT AND Apache-2.0",
    source="multilingual-e5-small, DINOv2 ViT-S/14, EfficientNet-Lite2; audio tower and heads trained by training/",
    modalities=frozenset(Modality),
    native_dimension=3072,
    trained_dimensions=(256, 384, 1024, 3072),
    max_tokens=8192,
    languages="about 100, Chinese and English among them",
    frame_rate=0.6,
    background="kilonova_mini:background.npz",
    best_for="starting at once on any machine: no download, no GPU; move up when fine detail or speech matters",
    prompts=MappingProxyType(_E5_PROMPTS),
)

FAKE = ModelCard(
    id="fake",
    title="Deterministic fake for tests",
    licence="Apache-2.0",
    source="kilonova.models.fake",
    modalities=frozenset(Modality),
    native_dimension=3072,
    trained_dimensions=(256, 384, 1024, 3072),
    max_tokens=8192,
    languages="none: equal inputs get equal vectors, nothing more",
    best_for="testing client code: instant answers, and faults on demand (docs/testing.md)",
)
