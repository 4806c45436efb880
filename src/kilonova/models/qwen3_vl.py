"""Qwen3-VL-Embedding: texts, images and videos, see ``cards.QWEN3_VL_2B``.

Its vectors are the last token's, after an instruction that says what is looked for; its chat template holds the
instruction of everything else.
"""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np

from kilonova.media.content import Content, Video
from kilonova.models.sentence import Sentence

__all__ = ["Qwen3VL"]


class Qwen3VL(Sentence):
    """Instructions go with images and videos as with texts; the audio of a video is not heard."""

    prompts_media: ClassVar[bool] = True

    def seen(self, content: Content) -> dict[str, Any]:
        if isinstance(content, Video) and len(content.frames) == 1:  # it reads two frames at a time
            content = Video(content.frames.repeat(2, axis=0), np.array([0.0, 1 / self.card.frame_rate]))
        return super().seen(content)
