"""Models of sentence-transformers in a folder of this machine: text, CLIP-like, or whatever they embed.

Runs in float32 or 8 bits on CPUs and bfloat16 on GPUs. Needs the extra ``models`` and torch.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from kilonova.errors import InvalidInput, Unavailable
from kilonova.media.content import Audio, Content, Encoded, Image, Input, Mixed, Text, Video
from kilonova.models.base import Embedded, EmbeddingModel, Prepared
from kilonova.models.budget import Budget
from kilonova.models.card import ModelCard, Purpose
from kilonova.models.int8 import quantize
from kilonova.models.torch import Memory, libraries
from kilonova.models.truncation import truncate

__all__ = ["Sentence"]


class Sentence(EmbeddingModel):
    """A model that sentence-transformers loads.

    Args:
        path: its folder.
        card: what is known of it; only what its modalities need is loaded, where the family can do without the rest.
    """

    #: Whether images, audio and video are prompted, as texts are.
    prompts_media: ClassVar[bool] = False

    def __init__(self, path: Path, card: ModelCard) -> None:
        self._torch, sentence_transformers = libraries(path.name)
        self.card = card
        gpu = card.gpu and self._torch.cuda.is_available()
        try:
            self._model: Any = sentence_transformers.SentenceTransformer(
                str(path),
                device="cuda" if gpu else "cpu",
                local_files_only=True,
                model_kwargs={"dtype": self._torch.bfloat16 if gpu else self._torch.float32, "use_safetensors": True},
                config_kwargs=self.configuration(),
            )
        except ImportError as error:  # what only some models' preprocessing needs
            said = str(error).strip().splitlines()[0]
            raise Unavailable(f"{path.name} cannot be loaded: {said}", "Probably: pip install torchvision.") from None
        self._model.eval()
        if card.int8:
            quantize(self._torch, self._model[0])
        self._memory = Memory(self._torch, "cuda" if gpu else "cpu")
        self._budget = Budget(self._memory.free())
        self._moved = partial(sentence_transformers.util.batch_to_device, target_device=self._model.device)
        self._tokenizer: Any = getattr(self._model.tokenizer, "tokenizer", self._model.tokenizer)  # of a processor
        one = "a"
        self._around = {
            prompt: self._features([{"text": one}], prompt)["input_ids"].shape[-1] - len(self._spans(one))
            for prompt in {"", *card.prompts.values()}
        }

    def configuration(self) -> dict[str, Any]:
        """What of the model's configuration to change before it is loaded."""
        return {}

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        prompt = self.card.prompts.get(purpose, "")
        if isinstance(content, Mixed):
            return self._composite(content, prompt)
        if isinstance(content, Text):
            return self._text(content, prompt)
        if isinstance(content, Encoded):
            raise self.card.refusal(content)
        prompt, seen = prompt if self.prompts_media else "", self.seen(content)
        tokens = _tokens(content)
        if tokens * 2 > self.card.max_tokens or _is_odd(content):
            tokens = self._check(seen, prompt)
        return Prepared((prompt, seen), tokens)

    def seen(self, content: Content) -> dict[str, Any]:
        """A content as sentence-transformers takes it: by its kind."""
        match content:
            case Text(value=value):
                return {"text": value}
            case Image(pixels=pixels):
                from PIL import Image as Pillow

                return {"image": Pillow.fromarray(pixels)}
            case Audio(samples=samples, rate=rate):
                samples = np.pad(samples, (0, max(0, rate // 10 - len(samples))))  # shorter than what is looked at once
                return {"audio": {"array": samples, "sampling_rate": rate}}
            case Video(frames=frames, times=times):
                facts = {
                    "fps": self.card.frame_rate,
                    "duration": len(times) / self.card.frame_rate,
                    "frames_indices": list(range(len(times))),
                    "total_num_frames": len(times),
                }
                return {"video": {"array": frames.copy(), "video_metadata": facts}}  # torch wants to be able to write

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        # sentence-transformers takes one prompt a batch, and inputs of one make
        places: dict[tuple[str, str], list[int]] = defaultdict(list)
        for place, prepared in enumerate(batch):
            prompt, item = prepared.data
            places[prompt, "+".join(item)].append(place)
        results: dict[int, Embedded] = {}
        for (prompt, kind), those in places.items():
            tokens = [batch[place].tokens for place in those]

            def measure(place: int, those: list[int] = those, prompt: str = prompt) -> int:
                return self._memory.peak(lambda: self._forward([batch[those[place]]], prompt))

            for few in self._budget.passes(kind, tokens, measure):
                chosen = [those[place] for place in few]
                results.update(zip(chosen, self._forward([batch[place] for place in chosen], prompt), strict=True))
        return [results[place] for place in range(len(batch))]

    def _forward(self, batch: Sequence[Prepared], prompt: str) -> list[Embedded]:
        try:
            return self._pass(batch, prompt)
        except self._torch.OutOfMemoryError:
            self._memory.release()
            raise MemoryError(f"{len(batch)} inputs at once") from None

    def _pass(self, batch: Sequence[Prepared], prompt: str) -> list[Embedded]:
        features = self._features([prepared.data[1] for prepared in batch], prompt)
        tokens = [prepared.tokens for prepared in batch]
        if "attention_mask" in features:  # what the pass really reads
            tokens = [int(count) for count in features["attention_mask"].sum(1).tolist()]
        with self._torch.inference_mode():
            found = self._model(self._moved(features))["sentence_embedding"]
        vectors = np.asarray(found.float().cpu().numpy(), np.float32)
        return [
            Embedded(vector, count, prepared.kept_characters)
            for vector, count, prepared in zip(vectors, tokens, batch, strict=True)
        ]

    def _features(self, items: list[dict[str, Any]], prompt: str) -> Any:
        return self._model.preprocess(items, prompt=prompt or None)

    def _composite(self, mixture: Mixed, prompt: str) -> Prepared:
        """All parts as one input."""
        item: dict[str, Any] = {}
        for part in mixture.parts:
            if isinstance(part, Encoded):
                raise self.card.refusal(part)
            item |= self.seen(part)
        return Prepared((prompt, item), self._check(item, prompt))

    def _check(self, item: dict[str, Any], prompt: str) -> int:
        """The tokens of an input that the model may refuse, which would then fail its whole batch.

        Raises:
            InvalidInput: it is too long, of an unsupported shape, or has words that stand for media.
        """
        try:
            features = self._features([item], prompt)
        except ValueError as error:
            raise InvalidInput(
                f"{self.card.id} cannot read this: {error}", f"It reads {self.card.max_tokens} tokens."
            ) from None
        return int(features["input_ids"].shape[-1]) if "input_ids" in features else 1

    def _text(self, text: Text, prompt: str) -> Prepared:
        around = self._around[prompt]
        count = len(self._tokenizer(text.value, truncation=False, verbose=False, add_special_tokens=False)["input_ids"])
        kept, characters = truncate(text, count, self.card, lambda: self._spans(text.value), around)
        if characters is None:
            value = text.value
        else:
            value = text.value[:characters] if kept.start is None else text.value[-characters:]
            count = self.card.max_tokens - around
        return Prepared((prompt, {"text": value}), count + around, characters)

    def _spans(self, text: str) -> list[tuple[int, int]]:
        found = self._tokenizer(
            text, truncation=False, verbose=False, add_special_tokens=False, return_offsets_mapping=True
        )
        return [(start, end) for start, end in found["offset_mapping"]]


def _is_odd(content: Image | Audio | Video) -> bool:
    """Whether processors may stumble over an image's shape: Qwen's takes none 200 times as wide as it is high."""
    if isinstance(content, Audio):
        return False
    height, width = content.pixels.shape[:2] if isinstance(content, Image) else content.frames.shape[1:3]
    return bool(max(height, width) > 100 * min(height, width))


def _tokens(content: Image | Audio | Video) -> int:
    """About as many as EmbeddingGemma 2 makes of it; what a pass really read is known afterwards."""
    match content:
        case Image():
            return 280
        case Audio(seconds=seconds):
            return 1 + round(25 * seconds)
        case Video(frames=frames, audio=audio):
            return 140 * len(frames) + (round(25 * audio.seconds) if audio is not None else 0)
