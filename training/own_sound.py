"""What of a sound's texture tells one recording from others, whichever part of it is heard.

Within-class covariance normalisation (Hatch et al., Interspeech 2006): the texture is turned and scaled so that parts
of the same piece, some of them at 64 kbit/s or quieter, differ equally in all directions. What changes from one part
of a piece to the next counts little, what stays counts much.
"""

from __future__ import annotations

import io
import zlib
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from functools import cache, partial
from pathlib import Path

import av
import numpy as np
from rich.progress import track

from kilonova.models.mini.audio import AudioTower, hear
from training.audio_data import RATE, files, read
from training.features import Features

__all__ = ["PIECES", "at_64_kbit", "heard", "projection"]

#: Debian packages with long pieces. The songs that ``benchmarks/mini_quality.py`` looks for come from others.
PIECES = (
    "ardentryst", "berusky2-data", "colobot-common-sounds", "drascula-music", "enigma-data", "fillets-ng-data",
    "hyperrogue-music", "marsshooter-data", "naev-data", "neverball-common", "singularity-music", "ufoai-sound",
    "warmux-data", "warzone2100-music",
)  # fmt: skip
_WHOLE, _CUT, _CUTS = 30 * RATE, 10 * RATE, 4
_LEAST = 100_000  # bytes of a file that may be long enough
_RIDGE = 0.3  # times the mean variance, added to every direction's


def at_64_kbit(samples: np.ndarray) -> np.ndarray:
    """Samples float32 [n] at ``RATE`` after MP3 at 64 kbit/s."""
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp3") as out:
        stream = out.add_stream("mp3", rate=RATE, layout="mono", bit_rate=64_000)
        whole = (samples.clip(-1, 1) * 32767).astype(np.int16)[None]
        frame = av.AudioFrame.from_ndarray(whole, format="s16", layout="mono")
        frame.sample_rate = RATE
        resampler = av.AudioResampler(stream.format, "mono", RATE, stream.codec_context.frame_size or 1152)
        for piece in [*resampler.resample(frame), *resampler.resample(None)]:
            out.mux(stream.encode(piece))
        out.mux(stream.encode(None))
    buffer.seek(0)
    return read(buffer, len(samples) / RATE)


def heard(work: Path, weights: Path) -> Features:
    """``whole`` [n, 852]: textures of 30 seconds of n pieces, and ``cuts`` [n, 4, 852] of ten seconds of each."""
    paths = [path for package in PIECES for path in files(work, package) if path.stat().st_size > _LEAST]
    with ProcessPoolExecutor(2) as pool:
        told = pool.map(partial(_piece, weights), paths)
        textures = np.stack([one for one in track(told, "pieces", total=len(paths)) if one is not None])
    return {"whole": textures[:, 0], "cuts": textures[:, 1:]}


_tower = cache(AudioTower)


def _piece(weights: Path, path: Path) -> np.ndarray | None:
    samples = read(path, 60)
    if len(samples) <= _WHOLE or float(np.abs(samples).max()) < 1e-3:
        return None
    parts = [hear(part) for part in _parts(samples, np.random.default_rng(zlib.crc32(path.name.encode())))]
    return _tower(weights)(parts).texture


def _parts(samples: np.ndarray, rng: np.random.Generator) -> Iterator[np.ndarray]:
    start = int(rng.integers(len(samples) - _WHOLE))
    whole = samples[start : start + _WHOLE]
    yield whole
    for number in range(_CUTS):
        start = int(rng.integers(_WHOLE - _CUT))
        cut = whole[start : start + _CUT] * np.float32(10 ** rng.uniform(-0.5, 0.2))
        yield at_64_kbit(cut) if number % 2 else cut


def projection(spread: np.ndarray, found: Features) -> np.ndarray:
    """float32 [852, 852]: from standardised textures to a sound's own numbers.

    Args:
        spread: standard deviations of the textures of all kinds of sounds, [852].
        found: what ``heard`` gives.
    """
    differences = ((found["cuts"] - found["whole"][:, None]) / spread).reshape(-1, len(spread)).astype(np.float64)
    within = differences.T @ differences / len(differences)
    variances, axes = np.linalg.eigh(within + _RIDGE * within.trace() / len(within) * np.eye(len(within)))
    return np.asarray(axes / np.sqrt(variances) @ axes.T, np.float32)
