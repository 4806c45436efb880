"""The audio tower: log-mel windows of ten seconds through a small network of our own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kilonova.models.mini.mel import FRAMES_PER_SECOND, SILENCE, log_mel, semitones
from kilonova.models.mini.session import open_session

__all__ = ["AudioFeatures", "AudioTower", "Heard", "hear"]

_WINDOW = 10 * FRAMES_PER_SECOND
_LEAST = FRAMES_PER_SECOND  # a last window shorter than a second is read together with the one before it
# What is shorter is heard twice, by itself and within silence: the network learned from windows of that length, but a
# choir that silence cuts short is an effect to it (training/README.md).
_WHOLE = 4 * FRAMES_PER_SECOND


@dataclass(frozen=True)
class Heard:
    """An audio clip made ready for the tower: its spectrogram float32 [128, frames], and its semitones float32 [84]."""

    mel: np.ndarray
    semitones: np.ndarray


def hear(samples: np.ndarray) -> Heard:
    """Make samples float32 [n] at 32 kHz ready."""
    return Heard(log_mel(samples), semitones(samples))


@dataclass(frozen=True)
class AudioFeatures:
    """What the tower says of n audio clips, float32.

    Attributes:
        pooled: [n, 384]: the network's last feature map, averaged over time.
        texture: [n, 852]: means and standard deviations over time of mel bands and of an early feature map, and how
            much each semitone stands out.
        classes: [n, 527]: AudioSet logits.
    """

    pooled: np.ndarray
    texture: np.ndarray
    classes: np.ndarray


class AudioTower:
    """Audio clips to features, one at a time, so that they do not depend on what else is in the batch."""

    def __init__(self, weights: Path) -> None:
        self._session = open_session(weights / "audio.onnx")

    def __call__(self, sounds: Sequence[Heard]) -> AudioFeatures:
        """The features of audio clips, those of spectrograms averaged over windows by their length."""
        parts = []
        for sound in sounds:
            pooled, texture, classes = self._one(sound.mel)
            parts.append((pooled, np.concatenate([texture, sound.semitones]), classes))
        return AudioFeatures(*(np.stack(part) for part in zip(*parts, strict=True)))

    def _one(self, mel: np.ndarray) -> list[np.ndarray]:
        total = mel.shape[1]
        if total < _WHOLE:
            missing = _WHOLE - total
            around = ((0, 0), (missing // 2, missing - missing // 2))
            (pooled, texture, classes), padded = self._run(mel), self._run(np.pad(mel, around, constant_values=SILENCE))
            return [(pooled + padded[0]) / 2, texture, (classes + padded[2]) / 2]  # texture is of the audio alone
        starts = [start for start in range(0, total, _WINDOW) if start == 0 or total - start >= _LEAST]
        ends = [*starts[1:], total]
        sums: list[np.ndarray] = []
        for start, end in zip(starts, ends, strict=True):
            share = np.float32((end - start) / total)
            weighted = [share * value for value in self._run(mel[:, start:end])]
            sums = weighted if not sums else [a + b for a, b in zip(sums, weighted, strict=True)]
        return sums

    def _run(self, mel: np.ndarray) -> list[np.ndarray]:
        """``pooled``, ``texture`` and ``classes`` of one window."""
        found = self._session.run(["pooled", "texture", "classes"], {"log_mel": mel[None, None]})
        return [np.asarray(value)[0] for value in found]
