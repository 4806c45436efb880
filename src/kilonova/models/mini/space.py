"""The layout of kilonova-mini's vectors.

Of every eight of the first 1,024 numbers five are trained for meaning across all kinds of input ("sense") and three
are a text's wording, the text encoder's own principal components, so that every Matryoshka prefix holds both in the
same proportion. Images and sounds have sense and no wording: in what order texts find them, and they texts, does not
depend on how much of a text's vector is wording, which the purpose decides. The last 2,048 are what an image (1,024)
or a sound (1,024) is like beyond its meaning, which tells near-duplicates apart; texts have zeros there, so that
cosines between kinds of input only scale.
"""

from __future__ import annotations

from types import MappingProxyType

import numpy as np

from kilonova.models.card import Purpose

__all__ = [
    "DIMENSION",
    "OWN",
    "SENSE",
    "SHARED",
    "STORED",
    "WORDING",
    "film_vector",
    "page_vectors",
    "seen_or_heard",
    "text_vectors",
    "unit",
]

SHARED, OWN, DIMENSION = 1024, 1024, 3072
_GROUP, _SENSES = 8, 5
SENSE, WORDING = SHARED * _SENSES // _GROUP, SHARED * (_GROUP - _SENSES) // _GROUP

# How much of a text's vector is sense and how much wording: what is stored has as much of both; a query for texts
# looks at the wording (training/README.md has the figures that decided).
STORED = (0.7, 0.714)
_GAINS = MappingProxyType(
    dict.fromkeys(Purpose, STORED)
    | {
        Purpose.GENERIC_RETRIEVAL: (0.3, 0.954),
        Purpose.TEXT_RETRIEVAL: (0.15, 0.989),
        Purpose.DOCUMENT_RETRIEVAL: (0.15, 0.989),
    }
)
# The share of length that an image's and a sound's own 1,024 numbers have of the whole vector.
_OWN_SHARES = (0.5, 0.7)
# The weight of a page's looks beside its words, and of a film's sound beside its frames.
_PAGE_LOOKS, _FILM_SOUND = np.float32(0.4), np.float32(0.73)


def unit(rows: np.ndarray) -> np.ndarray:
    """Rows of length one; rows of zeros stay so."""
    lengths = np.linalg.norm(rows, axis=-1, keepdims=True)
    return np.asarray(rows / np.maximum(lengths, 1e-12), np.float32)


def text_vectors(sense: np.ndarray, wording: np.ndarray, purpose: Purpose) -> np.ndarray:
    """Vectors float32 [n, 3072] from sense [n, 640] and wording [n, 384], both of length one."""
    sense_gain, wording_gain = _GAINS[purpose]
    vectors = np.zeros((len(sense), DIMENSION), np.float32)
    groups = _groups(vectors)
    groups[:, :, :_SENSES] = sense_gain * sense.reshape(len(sense), -1, _SENSES)
    groups[:, :, _SENSES:] = wording_gain * wording.reshape(len(sense), -1, _GROUP - _SENSES)
    return vectors


def _groups(vectors: np.ndarray) -> np.ndarray:
    """The shared numbers of vectors as a view [n, 128, 8]."""
    return vectors.reshape(len(vectors), -1, _GROUP)[:, : SHARED // _GROUP]


def seen_or_heard(sense: np.ndarray, own: np.ndarray, place: int) -> np.ndarray:
    """Vectors float32 [n, 3072] of images (place 0) or sounds (place 1).

    Args:
        sense: [n, 640], of length one.
        own: [n, 1024], of length one.
        place: whose numbers ``own`` are.
    """
    vectors, share = np.zeros((len(sense), DIMENSION), np.float32), _OWN_SHARES[place]
    _groups(vectors)[:, :, :_SENSES] = np.float32(np.sqrt(1 - share**2)) * sense.reshape(len(sense), -1, _SENSES)
    start = SHARED + place * OWN
    vectors[:, start : start + OWN] = np.float32(share) * own
    return vectors


def page_vectors(looks: np.ndarray, words: np.ndarray) -> np.ndarray:
    """Vectors of pages [n, 3072] from those of their picture and of their text."""
    return unit(_PAGE_LOOKS * looks + words)


def film_vector(frames: np.ndarray, weights: np.ndarray, sound: np.ndarray | None) -> np.ndarray:
    """The vector of a film [1, 3072] from those of its frames [n, 3072] with their weights [n], and of its sound
    [1, 3072], if it has one."""
    seen = unit(weights[None] @ frames)
    return seen if sound is None else unit(seen + _FILM_SOUND * unit(sound))
