"""Models of sentence-transformers in a folder of this machine: text, CLIP-like, or whatever they embed.

Runs in float32 on CPUs and bfloat16 on GPUs. Needs the extra ``models`` and torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from kilonova.media.content import Audio, Content, Image, Text, Video
from kilonova.models.base import EmbeddingModel, Prepared
from kilonova.models.card import Purpose
from kilonova.models.folder import described
from kilonova.models.truncation import truncate
from kilonova.wire.errors import Unavailable

__all__ = ["Sentence"]


class Sentence(EmbeddingModel):
    """A model that sentence-transformers loads.

    Args:
        path: its folder.
    """

    def __init__(self, path: Path) -> None:
        try:
            import torch
            from sentence_transformers import SentenceTransformer
            from transformers.utils import logging
        except ModuleNotFoundError as error:
            raise Unavailable(
                f"{error.name} is missing, which {path.name} needs.",
                "pip install torch 'kilonova[models]' (a CPU build of torch will do).",
            ) from None
        logging.disable_progress_bar()
        self.card = described(path)
        gpu = torch.cuda.is_available()
        self._model: Any = SentenceTransformer(
            str(path),
            device="cuda" if gpu else "cpu",
            local_files_only=True,
            model_kwargs={"dtype": torch.bfloat16 if gpu else torch.float32, "use_safetensors": True},
        )
        self._tokenizer: Any = getattr(self._model.tokenizer, "tokenizer", self._model.tokenizer)  # of a processor
        self._around = {prompt: self._count(prompt) for prompt in {"", *self.card.prompts.values()}}

    def prepare(self, content: Content, purpose: Purpose) -> Prepared:
        match content:
            case Text():
                return self._text(content, self.card.prompts.get(purpose, ""))
            case Image(pixels=pixels):
                from PIL import Image as Pillow

                return Prepared(("", Pillow.fromarray(pixels)), 1)
            case Audio(samples=samples, rate=rate):
                return Prepared(("", {"array": samples, "sampling_rate": rate}), 1)
            case Video(frames=frames, times=times):
                seen = {
                    "fps": self.card.frame_rate,
                    "frames_indices": list(range(len(times))),
                    "total_num_frames": len(times),
                }
                return Prepared(("", {"array": frames, "video_metadata": seen}), len(frames))

    def embed(self, batch: Sequence[Prepared]) -> np.ndarray:
        places: dict[str, list[int]] = defaultdict(list)
        for place, prepared in enumerate(batch):
            places[prepared.data[0]].append(place)
        vectors = np.empty((len(batch), self.card.native_dimension), np.float32)
        for prompt, those in places.items():
            items = [batch[place].data[1] for place in those]
            vectors[those] = self._model.encode(
                items, prompt=prompt or None, batch_size=len(items), convert_to_numpy=True, show_progress_bar=False
            )
        return vectors

    def _text(self, text: Text, prompt: str) -> Prepared:
        around = self._around[prompt]
        count = self._count(text.value) - self._around[""]
        kept, characters = truncate(text, count, self.card, lambda: self._spans(text.value), around)
        if characters is None:
            value = text.value
        else:
            value = text.value[:characters] if kept.start is None else text.value[-characters:]
            count = self.card.max_tokens - around
        return Prepared((prompt, value), count + around, characters)

    def _count(self, text: str) -> int:
        return len(self._tokenizer(text, truncation=False, verbose=False)["input_ids"])

    def _spans(self, text: str) -> list[tuple[int, int]]:
        found = self._tokenizer(
            text, truncation=False, verbose=False, add_special_tokens=False, return_offsets_mapping=True
        )
        return [(start, end) for start, end in found["offset_mapping"]]
