"""Audio as WAV files."""

from __future__ import annotations

import io
import wave

import numpy as np

from kilonova.media.content import Audio

__all__ = ["encode_wav"]


def encode_wav(audio: Audio) -> bytes:
    """A WAV file of 16 bits a sample."""
    out = io.BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(audio.rate)
        file.writeframes((np.clip(audio.samples, -1, 1) * 32_767).astype("<i2").tobytes())
    return out.getvalue()
