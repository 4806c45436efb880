"""Sounds inside the archives that games keep them in, written out beside the package's other files."""

from __future__ import annotations

import zipfile
from collections.abc import Iterator
from pathlib import Path

__all__ = ["SUFFIXES", "unpack_sounds"]

SUFFIXES = frozenset({".ogg", ".oga", ".wav", ".flac", ".mp3", ".opus", ".aif", ".aiff"})
_ARCHIVES = {".zip", ".pk3"}
_RESOURCES = ".rcc"  # Qt's; Ogg files lie in them as they are
_FIRST, _LAST = 2, 4  # flags of an Ogg page: begins a stream, ends it (RFC 3533)


def unpack_sounds(root: Path) -> None:
    """Write the sounds of every archive under ``root`` to the folder ``unpacked``, once."""
    folder = root / "unpacked"
    if folder.is_dir():
        return
    part = root / "unpacked.part"
    part.mkdir(exist_ok=True)
    for archive in sorted(root.rglob("*")):
        if archive.suffix in _ARCHIVES:
            with zipfile.ZipFile(archive) as opened:
                for name in opened.namelist():
                    if Path(name).suffix.lower() in SUFFIXES:
                        opened.extract(name, part / archive.stem)
        elif archive.suffix == _RESOURCES:
            for index, stream in enumerate(_ogg_streams(archive.read_bytes())):
                (part / f"{archive.stem}-{index}.ogg").write_bytes(stream)
    part.rename(folder)


def _ogg_streams(data: bytes) -> Iterator[bytes]:
    """Whole Ogg streams: from a page that begins one to the page that ends it."""
    start = data.find(b"OggS\0" + bytes([_FIRST]))
    while start >= 0:
        place = start
        while data[place : place + 4] == b"OggS":
            segments = data[place + 26]
            size = 27 + segments + sum(data[place + 27 : place + 27 + segments])
            ends = data[place + 5] & _LAST
            place += size
            if ends:
                yield data[start:place]
                break
        start = data.find(b"OggS\0" + bytes([_FIRST]), max(place, start + 1))
