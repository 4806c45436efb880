"""EmbeddingGemma 2: texts, images, audio, video and composite inputs, see ``cards.EMBEDDING_GEMMA_2``.

Its vectors are the mean over all tokens of a text model that images and audio clips reach as tokens, made by towers of
their own (170 and 300 of 744 million parameters); a tower that nobody asks for is not loaded.
"""

from __future__ import annotations

from typing import Any

from kilonova.media.content import Content, Modality, Video
from kilonova.models.sentence import Sentence

__all__ = ["EmbeddingGemma2"]


class EmbeddingGemma2(Sentence):
    """Never in float16, in which its activations overflow; a video's frames and its audio are read together."""

    def configuration(self) -> dict[str, Any]:
        towers = {"vision_config": {Modality.IMAGE, Modality.VIDEO}, "audio_config": {Modality.AUDIO}}
        return {tower: None for tower, of in towers.items() if not of & self.card.modalities}

    def seen(self, content: Content) -> dict[str, Any]:
        found = super().seen(content)
        if isinstance(content, Video) and content.audio is not None and Modality.AUDIO in self.card.modalities:
            return found | super().seen(content.audio)
        return found
