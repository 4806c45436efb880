"""Tell a file's format from its first bytes; names and declared formats lie."""

from __future__ import annotations

from kilonova.media.content import Modality

__all__ = ["FORMATS", "TEXTS", "format_of_name", "modality_of_name", "sniff"]

#: Format names of the wire contract by modality, with the spellings that SDKs send.
FORMATS: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: ("png", "jpeg", "gif", "webp"),
    Modality.AUDIO: ("mp3", "wav", "ogg", "flac", "m4a"),
    Modality.VIDEO: ("mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "3gp", "three_gp"),
}

#: Endings of files that are read as text.
TEXTS = (".txt", ".md", ".csv", ".json", ".jsonl", ".html", ".htm", ".srt")

_NAMES = {name: name for names in FORMATS.values() for name in names} | {"jpg": "jpeg", "oga": "ogg", "opus": "ogg"}

# Containers that may hold sound alone as well as film; the decoder looks at the streams.
_EITHER = frozenset({Modality.AUDIO, Modality.VIDEO})
_MAGIC: tuple[tuple[int, bytes, str, frozenset[Modality]], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png", frozenset({Modality.IMAGE})),
    (0, b"\xff\xd8\xff", "jpeg", frozenset({Modality.IMAGE})),
    (0, b"GIF87a", "gif", frozenset({Modality.IMAGE})),
    (0, b"GIF89a", "gif", frozenset({Modality.IMAGE})),
    (8, b"WEBP", "webp", frozenset({Modality.IMAGE})),
    (8, b"WAVE", "wav", frozenset({Modality.AUDIO})),
    (8, b"AVI ", "avi", frozenset()),
    (0, b"fLaC", "flac", frozenset({Modality.AUDIO})),
    (0, b"OggS", "ogg", _EITHER),
    (0, b"ID3", "mp3", frozenset({Modality.AUDIO})),
    (0, b"\x1aE\xdf\xa3", "matroska", _EITHER),
    (4, b"ftyp", "mp4", _EITHER),
    (4, b"moov", "mov", _EITHER),
    (4, b"mdat", "mov", _EITHER),
    (4, b"wide", "mov", _EITHER),
    (4, b"free", "mov", _EITHER),
    (4, b"skip", "mov", _EITHER),
    (0, b"FLV\x01", "flv", _EITHER),
    (0, b"\x00\x00\x01\xba", "mpeg", _EITHER),
    (0, b"\x00\x00\x01\xb3", "mpeg", _EITHER),
    (0, b"0&\xb2u\x8ef\xcf\x11", "asf", _EITHER),
    (0, b"%PDF-", "pdf", frozenset()),
    (0, b"PK\x03\x04", "zip", frozenset()),
    (0, b"BM", "bmp", frozenset()),
    (0, b"II*\x00", "tiff", frozenset()),
    (0, b"MM\x00*", "tiff", frozenset()),
)
_BRANDS_OF_IMAGES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def sniff(data: bytes) -> tuple[str, frozenset[Modality]]:
    """The format of a file and the modalities it may hold.

    Returns:
        A format's name ("unknown" when nothing fits) and the modalities Nova takes it for; empty for formats
        that are recognised but not taken, such as PDF.
    """
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS_OF_IMAGES:
        return data[8:12].decode(), frozenset()
    for offset, magic, name, modalities in _MAGIC:
        if data[offset : offset + len(magic)] == magic:
            return name, modalities
    # MPEG audio and ADTS frames begin with a sync word; an MPEG transport stream repeats its byte every 188
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0:
        return ("aac" if data[1] & 0x06 == 0 else "mp3"), frozenset({Modality.AUDIO})
    if len(data) > 376 and data[0] == data[188] == data[376] == 0x47:
        return "mpeg", _EITHER
    return "unknown", frozenset()


def format_of_name(name: str) -> str:
    """The contract's format name for a file name's ending, "" when it has none of them."""
    return _NAMES.get(name.rpartition(".")[2].lower(), "")


def modality_of_name(name: str) -> Modality | None:
    """The modality a file's ending speaks of, None for other endings."""
    form = format_of_name(name)
    return next((modality for modality, forms in FORMATS.items() if form in forms), None)
