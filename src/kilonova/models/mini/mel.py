"""What is heard of an audio clip: log-mel spectrograms as EfficientAT computes them (Schmid et al., ICASSP 2023), and
which semitones stand out. In numpy."""

from __future__ import annotations

from functools import cache

import numpy as np

__all__ = [
    "FRAMES_PER_SECOND",
    "MEL_BANDS",
    "RATE",
    "SEMITONES",
    "SILENCE",
    "log_mel",
    "mel_filters",
    "semitones",
    "window",
]

RATE = 32_000
MEL_BANDS = 128
FRAMES_PER_SECOND = 100
_FFT, _WINDOW, _HOP = 1024, 800, RATE // FRAMES_PER_SECOND
_TOP = 15_000.0  # Hz
_CHUNK = 512  # frames transformed at once, which bounds the memory of long audio clips
SEMITONES = 84
_LOWEST = 55.0  # Hz, the note A1
_LONG, _LONG_HOP = 8192, 4096  # long windows tell low notes apart
_AROUND = 6  # semitones on each side that one is compared with


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
    ``(log(mel + 1e-5) + 4.5) / 5``. Audio clips shorter than 40 ms are lengthened with silence.
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
    return _scaled(np.concatenate(parts, axis=1))


def _scaled(mel: np.ndarray) -> np.ndarray:
    return (np.log(mel + np.float32(1e-5)) + np.float32(4.5)) / np.float32(5)


#: What ``log_mel`` says of silence.
SILENCE = float(_scaled(np.zeros(1, np.float32))[0])


@cache
def _note_filters() -> np.ndarray:
    """Triangles of one semitone to each side, float32 [84, 4097], each with a sum of one."""
    notes = 12 * np.log2(np.maximum(np.fft.rfftfreq(_LONG, 1 / RATE), 1.0) / _LOWEST)
    weights = np.maximum(0.0, 1.0 - np.abs(notes - np.arange(SEMITONES)[:, None]))
    return np.asarray(weights / weights.sum(1, keepdims=True), np.float32)


def semitones(samples: np.ndarray) -> np.ndarray:
    """Samples float32 [n] at 32 kHz → how much each of 84 semitones from 55 Hz stands out, float32 [84].

    The mean over time of the logarithm of a semitone's magnitude, less the mean of the octave around it: a piece's key
    and instruments without its loudness or tone colour.
    """
    padded = np.pad(samples, (0, max(0, _LONG - len(samples))))
    view = np.lib.stride_tricks.sliding_window_view(padded, _LONG)[::_LONG_HOP]
    taper, filters = np.hanning(_LONG).astype(np.float32), _note_filters()
    total = np.zeros(SEMITONES, np.float32)
    for first in range(0, len(view), _CHUNK):
        magnitudes = np.abs(np.fft.rfft(view[first : first + _CHUNK] * taper)).astype(np.float32)
        total += np.log(magnitudes @ filters.T + np.float32(1e-3)).sum(0)
    loud = total / np.float32(len(view))
    octave = np.ones(2 * _AROUND + 1, np.float32) / np.float32(2 * _AROUND + 1)
    return np.asarray(loud - np.convolve(np.pad(loud, _AROUND, mode="edge"), octave, "valid"), np.float32)
