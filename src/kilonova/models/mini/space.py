"""The layout of kilonova-mini's vectors.

Of every eight of the first 1,024 dimensions five are trained for meaning across all kinds of input ("sense") and three
are a text's wording, the text encoder's own principal components, so that every Matryoshka prefix holds both in the
same proportion. Images and audio have sense and no wording: in what order texts find them, and they texts, does not
depend on how much of a text's vector is wording, which the purpose decides. The last 2,048 are what an image (1,024)
or an audio clip (1,024) is like beyond its meaning, which tells near-duplicates apart.

So that one query ranks all kinds by their cosines as they come (benchmarks/one_space.py):

- What texts have in common, their mean and the direction in which languages differ, is partly taken out for
  GENERIC_RETRIEVAL and GENERIC_INDEX. It made every Chinese text outrank every image for a Chinese query.
- Texts about what is heard differ from texts about what is seen in one direction of sense. Audio moves along it,
  images and videos move against it, and stored texts stay out of it, so that no image or audio clip prefers one.
- Images and audio spend a part of their length on their own dimensions. Stored texts spend as much on dimensions that
  audio and images leave empty, so that at 3,072 dimensions they are no nearer to queries than at 1,024.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

import numpy as np

from kilonova.models.card import Purpose
from kilonova.vectors import unit

__all__ = [
    "DIMENSION",
    "OWN",
    "SENSE",
    "SHARED",
    "WORDING",
    "Usual",
    "heard",
    "page_vectors",
    "seen",
    "text_vectors",
    "unit",
    "video_vector",
]

SHARED, OWN, DIMENSION = 1024, 1024, 3072
_GROUP, _SENSES = 8, 5
SENSE, WORDING = SHARED * _SENSES // _GROUP, SHARED * (_GROUP - _SENSES) // _GROUP

# How much of a text's vector is sense and how much wording. What is stored is mostly wording, for texts are compared
# with it; images and audio look at the sense alone (training/README.md has the figures that decided).
_GAINS = MappingProxyType(
    dict.fromkeys(Purpose, (0.7, 0.714))
    | {
        Purpose.GENERIC_INDEX: (0.3, 0.954),
        Purpose.GENERIC_RETRIEVAL: (0.8, 0.6),
        Purpose.TEXT_RETRIEVAL: (0.43, 0.903),
        Purpose.DOCUMENT_RETRIEVAL: (0.15, 0.989),
    }
)
# What stays out of the direction of what is heard: texts that images and audio look for or are sorted by.
_NEITHER = frozenset({Purpose.GENERIC_INDEX, Purpose.AUDIO_RETRIEVAL, Purpose.CLASSIFICATION})
# How much of what is usual leaves: of queries' mean sense, of mean wording, of the direction of languages, and of the
# mean sense of audio clips.
_ASKED_MEAN, _WORDING_MEAN, _LANGUAGE, _SOUNDS_MEAN = (np.float32(part) for part in (0.25, 0.5, 0.5, 0.25))
# How far images, audio, and the audio of a video move towards what is heard.
_SEEN, _HEARD, _HEARD_IN_FILM = (np.float32(step) for step in (-0.3, 0.3, -0.2))
# The share of length that a stored text has beyond the shared dimensions, and where: audio fills 852 of its
# own 1,024.
_STORED_SHARE, _EMPTY = 0.7, 168
# The share of length that an image's and an audio clip's own 1,024 dimensions have of the whole vector.
_OWN_SHARES = (0.5, 0.7)
# The weight of a page's looks beside its words, and of a video's audio beside its frames.
_PAGE_LOOKS, _FILM_SOUND = np.float32(0.2), np.float32(0.73)


@dataclass(frozen=True)
class Usual:
    """What is usual and says nothing about one text or audio clip, float32; made by ``training/space.py``.

    Attributes:
        asked_sense: [640], the mean of queries.
        asked_wording: [384], the mean of queries.
        asked_language: [384], of length one: where queries in different languages differ most.
        stored_wording: [384], the mean of stored texts.
        stored_language: [384], of length one, for stored texts.
        heard: [640], of length one: from texts about what is seen to texts about what is heard.
        sounds: [640], the mean of audio clips.
    """

    asked_sense: np.ndarray
    asked_wording: np.ndarray
    asked_language: np.ndarray
    stored_wording: np.ndarray
    stored_language: np.ndarray
    heard: np.ndarray
    sounds: np.ndarray

    @classmethod
    def read(cls, weights: Path) -> Usual:
        """What ``space.npz`` among the weights holds."""
        with np.load(weights / "space.npz") as arrays:
            return cls(**{name: arrays[name].astype(np.float32) for name in arrays})


def text_vectors(sense: np.ndarray, wording: np.ndarray, purpose: Purpose, usual: Usual) -> np.ndarray:
    """Vectors float32 [n, 3072] from sense [n, 640] and wording [n, 384], both of length one."""
    if purpose is Purpose.GENERIC_RETRIEVAL:
        sense = unit(sense - _ASKED_MEAN * usual.asked_sense)
        wording = _distinct(wording, usual.asked_wording, usual.asked_language)
    elif purpose is Purpose.GENERIC_INDEX:
        wording = _distinct(wording, usual.stored_wording, usual.stored_language)
    if purpose in _NEITHER:
        sense = unit(sense - _along(sense, usual.heard))
    vectors = np.zeros((len(sense), DIMENSION), np.float32)
    groups, (sense_gain, wording_gain) = _groups(vectors), _GAINS[purpose]
    groups[:, :, :_SENSES] = sense_gain * sense.reshape(len(sense), -1, _SENSES)
    groups[:, :, _SENSES:] = wording_gain * wording.reshape(len(sense), -1, _GROUP - _SENSES)
    if purpose is Purpose.GENERIC_INDEX:  # cosines among stored texts stay nearly the same
        vectors[:, -_EMPTY:] = np.float32(_STORED_SHARE) * unit(vectors[:, :_EMPTY])
        vectors[:, :SHARED] *= np.float32(np.sqrt(1 - _STORED_SHARE**2))
    return vectors


def _distinct(wording: np.ndarray, mean: np.ndarray, language: np.ndarray) -> np.ndarray:
    """Wording without a part of what texts, and texts of one language, have in common."""
    centred = wording - _WORDING_MEAN * mean
    return unit(centred - _LANGUAGE * _along(centred, language))


def _along(rows: np.ndarray, direction: np.ndarray) -> np.ndarray:
    """The part of rows [n, width] that lies along a direction [width] of length one."""
    return np.asarray((rows @ direction)[:, None] * direction)


def _groups(vectors: np.ndarray) -> np.ndarray:
    """The shared dimensions of vectors as a view [n, 128, 8]."""
    return vectors.reshape(len(vectors), -1, _GROUP)[:, : SHARED // _GROUP]


def seen(sense: np.ndarray, own: np.ndarray, usual: Usual) -> np.ndarray:
    """Vectors float32 [n, 3072] of images from sense [n, 640] and own dimensions [n, 1024], both of length one."""
    return _with_own(unit(sense + _SEEN * usual.heard), own, 0)


def heard(sense: np.ndarray, own: np.ndarray, usual: Usual, in_film: bool = False) -> np.ndarray:
    """Vectors float32 [n, 3072] of audio clips from sense [n, 640] and own dimensions [n, 1024], both of length one."""
    step = _HEARD_IN_FILM if in_film else _HEARD
    return _with_own(unit(unit(sense - _SOUNDS_MEAN * usual.sounds) + step * usual.heard), own, 1)


def _with_own(sense: np.ndarray, own: np.ndarray, place: int) -> np.ndarray:
    vectors, share = np.zeros((len(sense), DIMENSION), np.float32), _OWN_SHARES[place]
    _groups(vectors)[:, :, :_SENSES] = np.float32(np.sqrt(1 - share**2)) * sense.reshape(len(sense), -1, _SENSES)
    start = SHARED + place * OWN
    vectors[:, start : start + OWN] = np.float32(share) * own
    return vectors


def page_vectors(looks: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Vectors of pages [n, 3072] from those of their image and of their text."""
    return unit(_PAGE_LOOKS * looks + words)


def video_vector(frames: np.ndarray, weights: np.ndarray, sound: np.ndarray | None) -> np.ndarray:
    """The vector of a video [1, 3072] from those of its frames [n, 3072] with their weights [n], and of its audio
    [1, 3072], if it has one."""
    seen = unit(weights[None] @ frames)
    return seen if sound is None else unit(seen + _FILM_SOUND * unit(sound))
