"""A bank of sounds for distillation: free sounds, music and speech of Debian's packages, and kitchen20.

Nothing here has labels that matter: the teacher says what is heard (``training/audio_tower.py``).
"""

from __future__ import annotations

import csv
import subprocess
import zlib
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

import av
import numpy as np
from rich.progress import track

from training.sound_classes import TEST_PACKAGES, test_clips
from training.sources import debian
from training.unpack import SUFFIXES, unpack_sounds

__all__ = [
    "PACKAGES",
    "RATE",
    "Bank",
    "bank",
    "class_names",
    "class_phrases",
    "coloured",
    "files",
    "kitchen20",
    "made",
    "read",
    "speech",
]

RATE = 32_000
#: Debian packages with sounds, and how many seconds of each file are used (music is long and much alike).
PACKAGES = {
    "tuxpaint-stamps-default": 10, "ktuberling-data": 10, "sonic-pi-samples": 30, "freedroidrpg-data": 60,
    "wesnoth-1.16-data": 30, "wesnoth-1.16-music": 60, "asterisk-moh-opsound-wav": 120, "unknown-horizons": 60,
    "minetest-data": 30, "simutrans-pak64": 30, "megaglest-data": 40, "hedgewars-data": 30, "openttd-opensfx": 30,
    "warzone2100-data": 30, "lmms-common": 30, "hydrogen-drumkits": 8, "freepats": 8, "openarena-data": 30,
    "supertux-data": 40, "pingus-data": 30, "frozen-bubble-data": 30, "sound-theme-freedesktop": 10,
    "colobot-common-sounds": 60, "flare-game": 40, "widelands-data": 30, "torcs-data": 60,
    "trigger-rally-data": 60, "scorched3d-data": 30, "extremetuxracer-data": 60, "0ad-data": 60, "ufoai-sound": 60,
    "gcompris-qt-data": 60, "searchandrescue-data": 60, "lincity-ng-data": 60, "boswars-data": 30,
    "supertuxkart-data": 40, "endless-sky-data": 30, "redeclipse-data": 30, "flightgear-data-base": 60,
    "tuxtype-data": 20, "bucklespring-data": 10, "lugaru-data": 40, "triplea": 30, "warmux-data": 40,
    "xemacs21-basesupport": 10, "castle-game-engine-doc": 30, "naev-data": 40, "cube2-data": 20,
    "freetennis-common": 20, "csmash-data": 20, "crrcsim-data": 30, "bzflag-data": 20, "micropolis-data": 20,
    "freeciv-data": 30, "ardentryst": 30, "berusky2-data": 30, "planetblupi-common": 20, "brainparty-data": 30,
    "gamine-data": 60, "neverball-common": 30, "enigma-data": 30, "marsshooter-data": 30, "hyperrogue-music": 60,
    "singularity-music": 60, "warzone2100-music": 60, "drascula-music": 30, "fillets-ng-data": 40,
    "fillets-ng-data-nl": 10, "gcin-voice": 10,
}  # fmt: skip
_SHARE = 2_400  # seconds of one package at most, taken evenly over its files
_SPOKEN = 1_200  # seconds of a package of mostly spoken words
_VOICES = ("tuxpaint-stamps-default", "ktuberling-data", "fillets-ng-data-nl", "gcin-voice")


def read(file: Path | BinaryIO, seconds: float) -> np.ndarray:
    """The first seconds of a file as float32 mono at ``RATE``; empty when it has no sound that can be read."""
    resampler = av.AudioResampler("flt", "mono", RATE)
    parts, count = [], 0
    try:
        with av.open(str(file) if isinstance(file, Path) else file, "r", metadata_errors="ignore") as container:
            for frame in container.decode(audio=0):
                for piece in resampler.resample(frame):
                    parts.append(piece.to_ndarray()[0])
                    count += len(parts[-1])
                if count >= seconds * RATE:
                    break
    except (av.FFmpegError, IndexError, ValueError) as error:
        print(f"{file}: {error}")  # games ship odd files; the bank does not need every one
    return np.concatenate(parts)[: int(seconds * RATE)] if parts else np.zeros(0, np.float32)


@dataclass(frozen=True)
class Bank:
    """Sounds one after the other, int16, and where each starts."""

    samples: np.ndarray
    starts: np.ndarray

    def __len__(self) -> int:
        return len(self.starts) - 1

    def sound(self, index: int) -> np.ndarray:
        """One sound, int16 [n]."""
        return self.samples[self.starts[index] : self.starts[index + 1]]


def kitchen20(shared: Path, folds: Sequence[int]) -> Iterator[tuple[Path, str]]:
    """File and class of the clips of some folds."""
    for line in (shared / "kitchen20/labels.tsv").read_text().splitlines():
        name, label, fold = line.split("\t")
        if fold.isdigit() and int(fold) in folds:
            yield shared / "kitchen20/audio" / name, label


def files(work: Path, package: str) -> list[Path]:
    """The recordings of a package that may teach, in a fixed random order."""
    root = debian(work, package)
    unpack_sounds(root)
    held_out = {path for path, _ in test_clips(work)} if package in TEST_PACKAGES else frozenset()
    found = sorted(
        path for path in root.rglob("*") if path.suffix.lower() in SUFFIXES and path.is_file() and path not in held_out
    )
    found.sort(key=lambda path: zlib.crc32(str(path.relative_to(root)).encode()))  # a fixed shuffle
    return found


def speech(work: Path) -> list[Path]:
    """Sentences spoken by espeak-ng in many languages, voices and speeds."""
    folder = work / "speech"
    if not folder.is_dir():
        part = folder.with_name("speech.part")
        part.mkdir(parents=True, exist_ok=True)
        sentences = {
            "en": "The quick brown fox jumps over the lazy dog, and nobody in the village was surprised.",
            "cmn": "今天天气很好，我们一起去公园散步，然后回家吃晚饭。",
            "de": "Am Wochenende fahren wir mit dem Zug in die Berge und wandern bis zum See.",
            "fr": "Le marché est ouvert tous les matins, sauf le lundi et les jours de fête.",
            "es": "Mañana por la tarde vamos a preparar una cena para toda la familia.",
            "ru": "Вчера вечером мы долго гуляли по городу и говорили о книгах.",
            "ja": "きょうはとてもいいてんきですから、そとであそびましょう。",
            "hi": "आज शाम को हम सब मिलकर खाना बनाएंगे और गाने सुनेंगे।",
            "pt": "Na praia havia muitas crianças a brincar com a areia e a água.",
            "it": "Questa sera andiamo al cinema con gli amici di mio fratello.",
        }
        for language, sentence in sentences.items():
            for voice in ("", "+m3", "+f2", "+f4", "+m7", "+croak", "+whisper"):
                for speed in (120, 170, 230):
                    name = part / f"{language}{voice}{speed}.wav"
                    subprocess.run(
                        ["espeak-ng", "-v", f"{language}{voice}", "-s", str(speed), "-w", str(name), sentence],
                        check=True,
                    )
        part.rename(folder)
    return sorted(folder.glob("*.wav"))


def bank(work: Path, shared: Path, folds: Sequence[int]) -> Bank:
    """Everything that may teach, read once and kept in the work folder (about 3 GB)."""
    place = work / f"bank-{''.join(map(str, folds))}.npz"
    if not place.is_file():
        jobs = [(path, 10.0) for path, _ in kitchen20(shared, folds)] + [(path, 10.0) for path in speech(work)]
        groups: list[tuple[str | None, list[tuple[Path, float]]]] = [(None, jobs)]
        groups += [
            (package, [(path, float(limit)) for path in files(work, package)]) for package, limit in PACKAGES.items()
        ]
        sounds: list[np.ndarray] = []
        with ProcessPoolExecutor(2) as pool:
            for package, group in track(groups, "sounds"):
                left = np.inf if package is None else _SPOKEN if package in _VOICES else _SHARE
                for samples in pool.map(read, *zip(*group, strict=True), chunksize=8):
                    if len(samples) >= RATE // 5 and float(np.abs(samples).max()) > 1e-3:
                        sounds.append((samples.clip(-1, 1) * 32767).astype(np.int16))
                        left -= len(samples) / RATE
                        if left <= 0:  # leaving the loop cancels what is not decoded yet
                            break
        starts = np.concatenate([[0], np.cumsum([len(sound) for sound in sounds])])
        part = place.with_suffix(".part.npz")
        np.savez(part, samples=np.concatenate(sounds), starts=starts)
        part.rename(place)
    with np.load(place) as found:
        return Bank(found["samples"], found["starts"])


def class_phrases(language: str) -> list[str]:
    """AudioSet's 527 classes as people would ask for them, "en" or "zh", written for Kilonova."""
    return Path(__file__).with_name(f"sound_phrases_{language}.txt").read_text().splitlines()


def coloured(rng: np.random.Generator, size: int, slope: float) -> np.ndarray:
    """Noise [size] whose amplitude falls with that power of the frequency: 0 is white, 1 is brown."""
    spectrum = rng.normal(size=size // 2 + 1) + 1j * rng.normal(size=size // 2 + 1)
    return np.fft.irfft(spectrum / np.maximum(np.arange(len(spectrum)), 20.0) ** slope, size)


def made(count: int, seed: int) -> Iterator[tuple[np.ndarray, str]]:
    """Made sounds float32 [n] of one to five seconds: coloured noise, noise too quiet to be heard, and beeps."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        size = int(RATE * rng.uniform(1, 5))
        label = ("noise", "silence", "beep")[index % 3]
        if label == "beep":
            time = np.arange(size) / RATE
            wave = np.sin(2 * np.pi * 10 ** rng.uniform(2.3, 3.7) * time)
            if rng.random() < 0.5:  # a row of beeps
                wave *= (time * rng.uniform(1, 5)) % 1 < rng.uniform(0.2, 0.8)
        else:
            wave = coloured(rng, size, rng.uniform(0, 1.2))
        level = 10 ** (rng.uniform(-7, -4) if label == "silence" else rng.uniform(-1.6, 0))
        yield (wave / np.abs(wave).max() * level).astype(np.float32), label


def class_names(shared: Path) -> list[str]:
    """AudioSet's 527 class names, in the order of the teacher's outputs."""
    with (shared / "mn04/class_labels_indices.csv").open() as file:
        return [row["display_name"] for row in csv.DictReader(file)]
