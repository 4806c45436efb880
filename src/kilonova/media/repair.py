"""Image files whose pixels are there and whose other parts are broken: what libraries need to open them."""

from __future__ import annotations

import struct
import zlib

__all__ = ["is_heic", "mend", "webp_size"]

_PNG = b"\x89PNG\r\n\x1a\n"
# Chunks that decide what the pixels look like, and how the image is turned; all others may be left out.
_PIXELS = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS", b"eXIf"})
_SLACK = 1 << 16
_HEIC = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def is_heic(data: bytes) -> bool:
    """Whether it is an image in HEVC, as telephones make them."""
    return data[4:8] == b"ftyp" and data[8:12] in _HEIC and b"avif" not in data[8:40]


def webp_size(data: bytes) -> tuple[int, int]:
    """Width and height that a WebP file says it has, 0 and 0 for other files (RFC 9649)."""
    if data[:4] != b"RIFF" or data[8:12] != b"WEBP" or len(data) < 30:
        return 0, 0
    if data[12:16] == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if data[12:16] == b"VP8L":
        bits = int.from_bytes(data[21:25], "little")
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    return int.from_bytes(data[26:28], "little") & 0x3FFF, int.from_bytes(data[28:30], "little") & 0x3FFF


def mend(data: bytes) -> bytes:
    """The file without what is broken beside its pixels, and filled up where its end is missing."""
    if data.startswith(_PNG):
        return _png(data)
    if data.startswith(b"\xff\xd8"):
        return _jpeg(data)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        return _webp(data)
    return data


def _png(data: bytes) -> bytes:
    """Only the chunks that the pixels need, with checksums that are right."""
    parts, place = [_PNG], len(_PNG)
    while place + 8 <= len(data):
        size, name = struct.unpack_from(">I4s", data, place)
        body = data[place + 8 : place + 8 + size]
        if name in _PIXELS:
            parts.append(struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body)))
        place += 12 + size
    if parts[-1][4:8] != b"IEND":
        parts.append(struct.pack(">I4sI", 0, b"IEND", zlib.crc32(b"IEND")))
    return b"".join(parts)


def _jpeg(data: bytes) -> bytes:
    """Without the segments of applications and comments; Adobe's stays, which says how colours are coded."""
    parts, place = [b"\xff\xd8"], 2
    while place + 4 <= len(data) and data[place] == 0xFF:
        marker, size = data[place + 1], int.from_bytes(data[place + 2 : place + 4], "big")
        if marker == 0xFF:  # filling
            place += 1
            continue
        if marker == 0xDA:  # the pixels begin
            break
        adobe = marker == 0xEE and size == 14 and data[place + 4 : place + 9] == b"Adobe"
        if adobe or not (0xE0 <= marker <= 0xEF or marker == 0xFE):
            parts.append(data[place : place + 2 + size])
        place += 2 + size
    return b"".join(parts) + data[place:]


def _webp(data: bytes) -> bytes:
    """With zeros where the last chunk is cut, more than were there: libwebp refuses what ends within its last byte."""
    place = 12
    while place + 8 <= len(data):
        size = int.from_bytes(data[place + 4 : place + 8], "little")
        if place + 8 + size + size % 2 > len(data):
            size = (min(size, 1 << 27) + _SLACK) & ~1
            filled = data[: place + 4] + size.to_bytes(4, "little") + data[place + 8 :]
            filled += bytes(place + 8 + size - len(filled))
            return filled[:4] + (len(filled) - 8).to_bytes(4, "little") + filled[8:]
        place += 8 + size + size % 2
    return data
