"""Tell a file's format from its first bytes; names and declared formats lie."""

from __future__ import annotations

from kilonova.media.content import Modality

__all__ = ["FORMATS", "HEIC", "TEXTS", "format_of_name", "modality_of_name", "sniff"]

#: Format names of the wire contract by modality, with the spellings that SDKs send.
FORMATS: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: ("png", "jpeg", "gif", "webp"),
    Modality.AUDIO: ("mp3", "wav", "ogg", "flac", "m4a"),
    Modality.VIDEO: ("mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "3gp", "three_gp"),
}

#: Endings of photographs in HEVC, which need ``kilonova[heic]``.
HEIC = ("heic", "heif", "hif")
# Further endings of files that are decoded; tests make a file of each.
_MORE: dict[Modality, tuple[str, ...]] = {
    Modality.IMAGE: (*("jfif", "jpe", "apng", "bmp", "dib", "tif", "tiff", "avif", "jp2", "mpo"), *HEIC),
    Modality.AUDIO: (
        *("aac", "ac3", "eac3", "aif", "aiff", "aifc", "au", "snd", "caf", "m4b", "m4r", "mka", "mp2", "opus", "oga"),
        *("tta", "w64", "weba", "wma", "wv"),
    ),
    Modality.VIDEO: (
        *("3g2", "asf", "avi", "divx", "f4v", "m1v", "m2t", "m2ts", "m2v", "m4v", "mk3d", "mpe", "mts", "mxf", "ogv"),
        *("qt", "ts", "vob", "dv"),
    ),
}

#: Endings of files that are read as text.
TEXTS = (
    *(".txt", ".text", ".md", ".markdown", ".rst", ".adoc", ".org", ".tex", ".bib", ".log"),
    *(".csv", ".tsv", ".json", ".jsonl", ".ndjson", ".geojson", ".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf"),
    *(".html", ".htm", ".xhtml", ".xml", ".srt", ".vtt", ".lrc"),
    *(".py", ".js", ".jsx", ".tsx", ".java", ".kt", ".c", ".h", ".cc", ".cpp", ".hpp", ".cs", ".go", ".rs", ".rb"),
    *(".php", ".swift", ".sh", ".sql", ".lua", ".pl"),
)

_NAMES = {name: name for names in FORMATS.values() for name in names}
_NAMES |= {"jpg": "jpeg", "jfif": "jpeg", "jpe": "jpeg", "apng": "png", "oga": "ogg", "opus": "ogg", "m4b": "m4a"}
_NAMES |= {"m4v": "mp4", "qt": "mov", "mpe": "mpeg", "3g2": "3gp"}
_MODALITIES = {name: modality for table in (FORMATS, _MORE) for modality, names in table.items() for name in names}
_MODALITIES["jpg"] = Modality.IMAGE

# Containers that may hold audio alone as well as video; the decoder looks at the streams.
_EITHER = frozenset({Modality.AUDIO, Modality.VIDEO})
_IMAGE, _AUDIO, _VIDEO = (frozenset({one}) for one in (Modality.IMAGE, Modality.AUDIO, Modality.VIDEO))
_MAGIC: tuple[tuple[int, bytes, str, frozenset[Modality]], ...] = (
    (0, b"\x89PNG\r\n\x1a\n", "png", _IMAGE),
    (0, b"\xff\xd8\xff", "jpeg", _IMAGE),
    (0, b"GIF87a", "gif", _IMAGE),
    (0, b"GIF89a", "gif", _IMAGE),
    (8, b"WEBP", "webp", _IMAGE),
    (0, b"II*\x00", "tiff", _IMAGE),
    (0, b"MM\x00*", "tiff", _IMAGE),
    (0, b"\x00\x00\x00\x0cjP  \r\n\x87\n", "jp2", _IMAGE),
    (8, b"WAVE", "wav", _AUDIO),
    (0, b"fLaC", "flac", _AUDIO),
    (0, b"ID3", "mp3", _AUDIO),
    (0, b"caff\x00", "caf", _AUDIO),
    (0, b".snd\x00", "au", _AUDIO),
    (0, b"riff\x2e\x91\xcf\x11", "w64", _AUDIO),
    (0, b"wvpk", "wavpack", _AUDIO),
    (0, b"TTA1", "tta", _AUDIO),
    (0, b"\x0b\x77", "ac3", _AUDIO),
    (8, b"AIFF", "aiff", _AUDIO),
    (8, b"AIFC", "aiff", _AUDIO),
    (8, b"AVI ", "avi", _EITHER),
    (0, b"OggS", "ogg", _EITHER),
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
    (0, b"\x06\x0e\x2b\x34\x02\x05\x01\x01", "mxf", _EITHER),
    (0, b"\x1f\x07\x00", "dv", _VIDEO),
    (0, b"%PDF-", "pdf", frozenset()),
    (0, b"PK\x03\x04", "zip", frozenset()),
)
# Containers that begin with another sign: only together the two mean them.
_OUTER = {
    b"WAVE": (b"RIFF", b"RIFX", b"RF64"),
    b"WEBP": (b"RIFF",),
    b"AVI ": (b"RIFF",),
    b"AIFF": (b"FORM",),
    b"AIFC": (b"FORM",),
}
_HEAD = 1024  # bytes that signs are looked for in
_BRANDS_OF_IMAGES = (b"avif", b"avis", b"heic", b"heix", b"mif1", b"msf1")


def sniff(data: bytes) -> tuple[str, frozenset[Modality]]:
    """The format of a file and the modalities it may hold.

    Returns:
        A format's name ("unknown" when nothing fits) and the modalities it is taken for; empty for formats
        that are recognised but not taken, such as PDF.
    """
    data = bytes(data[:_HEAD])  # it may be a view of a file's bytes
    if data[4:8] == b"ftyp" and data[8:12] in _BRANDS_OF_IMAGES:
        return data[8:12].decode(), _IMAGE
    if data[:2] == b"BM" and data[6:10] == bytes(4) and data[15:18] == bytes(3):  # its header's length is below 256
        return "bmp", _IMAGE
    for offset, magic, name, modalities in _MAGIC:
        if data[offset : offset + len(magic)] == magic and _fits(data, offset, magic):
            return name, modalities
    # MPEG audio and ADTS frames begin with a sync word, but so does UTF-16's byte order mark; an MPEG transport stream
    # repeats its byte every 188, or 192 behind a time stamp of 4
    if len(data) > 1 and data[0] == 0xFF and data[1] & 0xE0 == 0xE0 and data[1] not in (0xFE, 0xFF):
        return ("aac" if data[1] & 0x06 == 0 else "mp3"), _AUDIO
    for first, step in ((0, 188), (4, 192)):
        if len(data) > first + 2 * step and all(data[first + place * step] == 0x47 for place in range(3)):
            return "mpeg", _EITHER
    return "unknown", frozenset()


def _fits(data: bytes, offset: int, magic: bytes) -> bool:
    """Whether what stands before a sign fits it: texts may have the same letters there."""
    if magic in _OUTER:
        return data[:4] in _OUTER[magic]
    return offset != 4 or not (data[:4].isascii() and data[:4].decode("ascii").isprintable())


def format_of_name(name: str) -> str:
    """The contract's format name for a file name's ending, "" when it has none of them."""
    return _NAMES.get(name.rpartition(".")[2].lower(), "")


def modality_of_name(name: str) -> Modality | None:
    """The modality a file's ending speaks of, None for other endings."""
    return _MODALITIES.get(name.rpartition(".")[2].lower()) if "." in name else None
