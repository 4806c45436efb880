"""The cards of all families."""

from __future__ import annotations

from dataclasses import replace
from types import MappingProxyType

from kilonova.media.content import Modality
from kilonova.models.card import ModelCard, Purpose

__all__ = ["EMBEDDING_GEMMA_2", "FAKE", "MINI", "QWEN3_VL_2B", "QWEN3_VL_8B"]

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
    memory="0.5 GB, 1.2 GB with batches of videos",
    quality="own measurements, recall@10: words to 1,000 photographs 0.70 in English and 0.54 in Chinese, questions to "
    "answers 0.88 in both; no MTEB or MMEB figures (README)",
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

# The prompts of EmbeddingGemma 2's model card. Only texts have them: images, audio and video go without.
_GEMMA_PROMPTS = dict.fromkeys(Purpose, "task: search result | query: ") | {
    Purpose.GENERIC_INDEX: "title: none | text: ",
    Purpose.CLASSIFICATION: "task: classification | query: ",
    Purpose.CLUSTERING: "task: clustering | query: ",
}

EMBEDDING_GEMMA_2 = ModelCard(
    id="embeddinggemma-2",
    title="EmbeddingGemma 2",
    licence="Apache-2.0",
    source="https://huggingface.co/google/embeddinggemma-2",
    modalities=frozenset(Modality),
    native_dimension=768,
    trained_dimensions=(128, 256, 512, 768),
    max_tokens=8192,
    languages="more than 100, and code",
    best_for="all five kinds of media by a serious model that still runs on a laptop; a small GPU makes it quick",
    prompts=MappingProxyType(_GEMMA_PROMPTS),
    sample_rate=16_000,
    memory="weights 1.5 GB on a GPU, 3.0 GB without; texts alone (embeddinggemma-2:text) 0.5 and 1.1 GB",
    quality="MTEB multilingual 61.4, MTEB code 78.7, MIEB lite 64.6, MMEB-V2 images 57.3, documents 67.8, video 50.7 "
    "(Google's model card, 6 October 2026); at 256 dimensions MTEB multilingual 60.4",
    repository="google/embeddinggemma-2",
    mixes=True,
    gpu=True,
)

# Qwen3-VL-Embedding's README: the searching side says what it looks for, everything else keeps the model's own
# default, which its chat template holds. Images and videos have instructions, too.
_QWEN_PROMPTS = dict.fromkeys(
    (purpose for purpose in Purpose if purpose.endswith("RETRIEVAL")),
    "Retrieve images or text relevant to the user's query.",
)

QWEN3_VL_2B = ModelCard(
    id="qwen3-vl-embedding-2b",
    title="Qwen3-VL-Embedding 2B",
    licence="Apache-2.0",
    source="https://huggingface.co/Qwen/Qwen3-VL-Embedding-2B",
    modalities=frozenset({Modality.TEXT, Modality.IMAGE, Modality.VIDEO}),
    native_dimension=2048,
    trained_dimensions=(256, 384, 1024, 2048),  # every length from 64 up is trained
    max_tokens=8192,
    languages="more than 30, Chinese and English first",
    best_for="images, pages and videos at high quality, on a GPU of 8 GB; no audio",
    prompts=MappingProxyType(_QWEN_PROMPTS),
    memory="weights 4.2 GB on a GPU, 8.4 GB without",
    quality="MMEB-V2 73.2: images 75.0, video 61.9, documents 79.2; MTEB multilingual 63.9 (Qwen's README)",
    repository="Qwen/Qwen3-VL-Embedding-2B",
    mixes=True,
    gpu=True,
)

QWEN3_VL_8B = replace(
    QWEN3_VL_2B,
    id="qwen3-vl-embedding-8b",
    title="Qwen3-VL-Embedding 8B",
    source="https://huggingface.co/Qwen/Qwen3-VL-Embedding-8B",
    native_dimension=4096,
    trained_dimensions=(256, 384, 1024, 3072, 4096),
    best_for="the best open vectors of images, pages and videos, in all of Nova's dimensions; a GPU of 24 GB; no audio",
    memory="weights 16 GB on a GPU, 32 GB without",
    quality="MMEB-V2 77.8: images 80.1, video 67.1, documents 82.4; MTEB multilingual 67.9 (Qwen's README)",
    repository="Qwen/Qwen3-VL-Embedding-8B",
)
