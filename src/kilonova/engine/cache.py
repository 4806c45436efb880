"""Vectors of contents seen before, by hash, least recently used first out."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from kilonova.media.content import Encoded, Text
from kilonova.models.base import Embedded
from kilonova.models.card import ModelCard, Purpose

__all__ = ["VectorCache"]


class VectorCache:
    """A cache bounded in bytes. It keeps native vectors, so that one entry serves every dimension.

    Args:
        capacity: bytes of vectors to keep; 0 keeps none.
    """

    def __init__(self, capacity: int) -> None:
        self._capacity = capacity
        self._size = 0
        self._entries: OrderedDict[bytes, Embedded] = OrderedDict()

    @staticmethod
    def key(item: Text | Encoded, card: ModelCard, purpose: Purpose) -> bytes:
        """Hash of everything that decides the vector: content, model, purpose, preprocessing."""
        head = f"{card.id}|{card.sample_rate}|{card.frame_rate}|{purpose}|{item.modality}|"
        if isinstance(item, Text):
            body = f"{item.truncation}|".encode() + item.value.encode("utf-8", "surrogatepass")
        else:
            body = item.digest()
        return hashlib.blake2b(head.encode() + body, digest_size=24).digest()

    @property
    def enabled(self) -> bool:
        """Whether anything is ever kept; without it no key need be computed."""
        return self._capacity > 0

    def get(self, key: bytes) -> Embedded | None:
        """The entry of that key, which becomes the youngest."""
        entry = self._entries.get(key)
        if entry is not None:
            self._entries.move_to_end(key)
        return entry

    def put(self, key: bytes, entry: Embedded) -> None:
        """Keep an entry, dropping the oldest ones beyond the capacity."""
        previous = self._entries.pop(key, None)
        if previous is not None:
            self._size -= previous.vector.nbytes
        self._entries[key] = entry
        self._size += entry.vector.nbytes
        while self._size > self._capacity:
            _, dropped = self._entries.popitem(last=False)
            self._size -= dropped.vector.nbytes
