"""Log-mel spectrograms as EfficientAT computes them (Schmid et al., ICASSP 2023), in numpy."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = ["FRAMES_PER_SECOND", "MEL_BANDS", "RATE", "log_mel", "mel_filters", "window"]

RATE = 32_000
MEL_BANDS = 128
FRAMES_PER_SECOND = 100
_FFT, _WINDOW, _HOP = 1024, 800, RATE // FRAMES_PER_SECOND
_TOP = 15_000.0  # Hz
_CHUNK = 512  # frames transformed at once, which bounds the memory of long sounds


@cache
def window() -> np.ndarray:
    """The symmetric Hann window, float32 [800]."""
    return np.hanning(_WINDOW).astype(np.float32)


@cache
def mel_filters() -> np.ndarray:
    """Kaldi's mel filters, float32 [128, 513]: triangles on the scale 1127 ln(1 + f / 700), from 0 to 15 kHz."""
    edges = np.linspace(0.0, _mel(_TOP), MEL_BANDS + 2)
    bins = _mel(np.arange(_FFT // 2) * RATE / _FFT)
    rising = (bins - edges[:-2, None]) / (edges[1:-1] - edges[:-2])[:, None]
    falling = (edges[2:, None] - bins) / (edges[2:] - edges[1:-1])[:, None]
    weights = np.maximum(0.0, np.minimum(rising, falling))
    return np.pad(weights, ((0, 0), (0, 1))).astype(np.float32)  # Kaldi leaves the Nyquist bin out


def _mel(frequency: np.ndarray | float) -> np.ndarray:
    return 1127.0 * np.log1p(np.asarray(frequency) / 700.0)


def log_mel(samples: np.ndarray) -> np.ndarray:
    """Samples float32 [n] at 32 kHz → float32 [128, frames], 100 frames a second, scaled to about -1 to 1.

    Pre-emphasis 0.97, windows of 25 ms centred on their frame (ends are mirrored), power spectrum of 1,024 points,
    ``(log(mel + 1e-5) + 4.5) / 5``. Sounds shorter than 40 ms are lengthened with silence.
    """
    if len(samples) < _FFT + _WINDOW:
        samples = np.pad(samples, (0, _FFT + _WINDOW - len(samples)))
    emphasised = samples[1:] - np.float32(0.97) * samples[:-1]
    padded = np.pad(emphasised, _FFT // 2, mode="reflect")
    count = 1 + len(emphasised) // _HOP
    view = np.lib.stride_tricks.sliding_window_view(padded, _FFT)[::_HOP][:count]
    taper = np.pad(window(), (_FFT - _WINDOW) // 2)
    filters, parts = mel_filters(), []
    for first in range(0, count, _CHUNK):
        spectrum = np.fft.rfft(view[first : first + _CHUNK] * taper)
        parts.append(filters @ (spectrum.real**2 + spectrum.imag**2).T.astype(np.float32))
    return (np.log(np.concatenate(parts, axis=1) + np.float32(1e-5)) + np.float32(4.5)) / np.float32(5)
