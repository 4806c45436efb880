"""In which encoding a text is written: bytes of any origin to characters.

A byte order mark decides, then whether the bytes are UTF-8, then what the text declares of itself (HTML, XML), then
chardet, which knows how often letters follow each other in each language and encoding. On 1,008 short pieces (2 to 100
characters of Chinese, Japanese, Korean, Russian and Western texts in their usual encodings) chardet 7 read 987 as
they were written, charset-normalizer about half of those in Chinese, EUC-JP and KOI8-R.
"""

from __future__ import annotations

import codecs
import re

import regex

from kilonova.errors import InvalidInput

__all__ = ["UTF8", "Decoder"]

#: The name of the encoding that needs no mention.
UTF8 = "utf-8"

# What a decision is based on: this many bytes, from the first that are not ASCII on.
_ENOUGH = 64 << 10
_MARKS = (
    (codecs.BOM_UTF8, UTF8),
    (codecs.BOM_UTF32_LE, "utf-32-le"),  # begins like UTF-16's, so it stands before it
    (codecs.BOM_UTF32_BE, "utf-32-be"),
    (codecs.BOM_UTF16_LE, "utf-16-le"),
    (codecs.BOM_UTF16_BE, "utf-16-be"),
)
_WIDE = ("utf-16-le", "utf-16-be", "utf-32-le", "utf-32-be")
# By chardet's names: those that people's files are in. EBCDIC and most of DOS's and the old Macintosh's would only
# be guessed wrongly.
_GUESSES = [
    *("gb18030", "big5hkscs", "cp932", "euc_jis_2004", "iso2022_jp_2", "cp949", "euc_kr", "iso2022_kr"),
    *("koi8-r", "koi8-u", "cp1250", "cp1251", "cp1252", "cp1253", "cp1254", "cp1255", "cp1256", "tis-620", "cp874"),
    *("cp866", "cp437", "cp850", "iso8859-2", "iso8859-7", "mac-roman"),
]
# Python's decoders by the names that it and chardet have, where another one reads the same and more.
_WIDER = {
    **dict.fromkeys(("gb2312", "gbk", "cp936"), "gb18030"),
    **dict.fromkeys(("big5", "cp950"), "big5hkscs"),
    **dict.fromkeys(("shift_jis", "shift_jis_2004"), "cp932"),
    "euc_jp": "euc_jis_2004",
    **dict.fromkeys(("euc_kr", "ks_c_5601-1987"), "cp949"),
    **dict.fromkeys(("ascii", "iso8859-1", "latin-1"), "cp1252"),
    "iso2022_jp": "iso2022_jp_2",
    "tis-620": "cp874",
    "iso8859-9": "cp1254",
}
# The names that the web has for them, https://encoding.spec.whatwg.org/.
_SPOKEN = {
    "big5hkscs": "big5",
    "cp932": "shift_jis",
    "euc_jis_2004": "euc-jp",
    "cp949": "euc-kr",
    "iso2022_jp_2": "iso-2022-jp",
    "iso2022_kr": "iso-2022-kr",
    "cp866": "ibm866",
    "cp437": "ibm437",
    "cp850": "ibm850",
    "mac-roman": "macintosh",
    "utf-16-le": "utf-16le",
    "utf-16-be": "utf-16be",
    "utf-32-le": "utf-32le",
    "utf-32-be": "utf-32be",
}
_DECLARED = re.compile(
    rb"""<meta[^>]{0,200}?charset\s*=\s*["']?\s*([-\w.:]+)|<\?xml[^>]{0,200}?encoding\s*=\s*["']([-\w.:]+)"""
    rb"""|^@charset\s+"([-\w.:]+)"|coding[:=][ \t]*([-\w.]+)""",
    re.IGNORECASE,
)
# What Python has for names of hosts and for its own programs, and no text is written in.
_NO_CHARSETS = frozenset({"idna", "punycode", "undefined", "unicode-escape", "raw-unicode-escape"})
_UNUSUAL = re.compile(rb"[\x00\x1b\x80-\xff]")
_CONTEXT = 256  # bytes before the first that is not ASCII
_HEAD = 2048  # bytes in which a declaration is looked for, as browsers do (they take 1,024)
_MULTIBYTE = frozenset({"gb18030", "big5hkscs", "cp932", "euc_jis_2004", "iso2022_jp_2", "cp949", "iso2022_kr"})
# No word mixes Latin letters with those of another alphabet; a wrong guess makes such words of é and ñ.
_MIXTURE = regex.compile(
    r"\p{Latin}[\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Thai}]|[\p{Cyrillic}\p{Greek}\p{Arabic}\p{Hebrew}\p{Thai}]\p{Latin}"
)
_KANA = re.compile("[\u3041-\u30ff]")
# What no text holds: control characters, but for those of terminals and old printers, and what is no character.
_RUBBISH = regex.compile(r"[\x00-\x06\x0e-\x1a\x1c-\x1f\x7f\ufffd\p{Cn}]")
_MOST_RUBBISH = 0.05
_PADDING = b"\0" * 4
_CONTROLS = re.compile(rb"[\x01-\x06\x0b\x0c\x0e-\x1a\x1c-\x1f]")
# What texts are made of, and of this what cannot come of pairs of bytes of another encoding by chance.
_USUAL = regex.compile(
    r"[\t\r\n\x20-\x7e\u00a0-\u05ff\u0e00-\u0e7f\u2010-\u206f\u3000-\u30ff\u4e00-\u9fff\uac00-\ud7a3\uff01-\uff9f]"
)
_WITH_ZEROS = re.compile("[\t\r\n\x20-\xff\u3000\u4e00]")
_IDEOGRAPHS = regex.compile(
    r"[\x20-\x7e\u0390-\u0460\u0e00-\u0e7f\u2010-\u2026\u3000-\u30ff\u4e00-\u9fff\uff01-\uff5e]"
)


class Decoder:
    """Decodes a text piece by piece. What stays ASCII needs no decision; the first bytes that are not ASCII make it.

    Args:
        name: of the file, for messages.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._held = self._head = b""
        self._decoder: codecs.IncrementalDecoder | None = None
        self._first = self._empty = True
        #: The encoding, by the name that the web has for it; ``UTF8`` for ASCII.
        self.encoding = UTF8

    def feed(self, data: bytes) -> str:
        """Take the next bytes.

        Returns:
            The characters that are certain.

        Raises:
            InvalidInput: it is no text.
        """
        if self._decoder is not None:
            return self._decoder.decode(data)
        self._held += data
        if len(self._head) < _HEAD:
            self._head += data[:_HEAD]
        if len(self._held) < _ENOUGH:
            return ""
        return self._decide(final=False)

    def finish(self) -> str:
        """The characters that are left after the last bytes.

        Raises:
            InvalidInput: it is no text, or empty.
        """
        made = self._decide(final=True) if self._decoder is None else self._decoder.decode(b"", final=True)
        if self._empty and not made:
            raise InvalidInput(f"{self._name} is empty.")
        return made

    def _decide(self, final: bool) -> str:
        data, self._held = self._held, b""
        unusual = _UNUSUAL.search(data)
        if unusual and not final and unusual.start() > _ENOUGH // 2:  # a decision wants more than the beginning
            begin = max(unusual.start() - _CONTEXT, data.rfind(b"\n", 0, unusual.start()) + 1)
            data, self._held = data[:begin], data[begin:]
        if _is_plain(data):
            made = data.decode("ascii")
        else:
            codec = _codec_of(data, self._name, self._first, self._head)
            self.encoding = _SPOKEN.get(codec, _name_of(codec))
            self._decoder = codecs.getincrementaldecoder(codec)("replace")
            made = self._decoder.decode(data, final=final)
        if self._first and made:
            made, self._first = made.removeprefix("\ufeff"), False
        self._empty = self._empty and not made
        return made


def _is_plain(data: bytes) -> bool:
    """Whether it is ASCII: no letters of other encodings, also none behind the signs that announce them."""
    return data.isascii() and b"\0" not in data and b"\x1b$" not in data


def _codec_of(data: bytes, name: str, first: bool, head: bytes) -> str:
    """Python's name of the encoding.

    Raises:
        InvalidInput: it is no text.
    """
    if first and (marked := next((codec for mark, codec in _MARKS if data.startswith(mark)), "")):
        return marked
    if data.endswith(_PADDING):  # a power cut fills files up with zeros
        data = data.rstrip(b"\0")
    candidates = [_wide(data), _declared(data, head), *_guesses(data)] if not _is_utf8(data) else [UTF8]
    for codec in candidates:
        if codec and _reads(data[:_ENOUGH], codec):
            return codec
    raise InvalidInput(
        f"{name} is no text in any encoding that is known.", "If it is one, convert it to UTF-8; else take it away."
    )


def _reads(data: bytes, codec: str) -> bool:
    """Whether what it makes of the bytes looks like a text."""
    made = data.decode(codec, "replace").rstrip("\0")
    return bool(made) and len(_RUBBISH.findall(made)) <= _MOST_RUBBISH * len(made) + (len(made) >= 8)


def _is_utf8(data: bytes) -> bool:
    """Whether the bytes are UTF-8, but for some that are damaged or come from elsewhere."""
    if data.count(b"\0") > len(data) // 10 or b"\x1b$" in data:
        return False
    if data.isascii() and not _CONTROLS.search(data):
        return True
    made = codecs.getincrementaldecoder(UTF8)("replace").decode(data)  # the last character may be cut in two
    bad = made.count("\ufffd")
    good = sum(map(len, re.findall("[\x80-\U0010ffff]+", made))) - bad
    return good > 0 and good >= 3 * bad


def _wide(data: bytes) -> str:
    """UTF-16 or UTF-32 without a mark: zeros show it, or, in Chinese, control characters where single bytes are read;
    and almost all characters are those of texts."""
    sample = data[: _ENOUGH & ~3]
    zeros = b"\0" in sample
    if not zeros and not _CONTROLS.search(sample):
        return ""
    usual = _USUAL if zeros else _IDEOGRAPHS
    best, most = "", 0.9
    for codec in _WIDE:
        made = codecs.getincrementaldecoder(codec)("replace").decode(sample)  # the last character may be cut in two
        share = len(usual.findall(made)) / max(len(made), 1)
        if share > most and (not zeros or _WITH_ZEROS.search(made)):
            best, most = codec, share
    return best


def _declared(data: bytes, head: bytes) -> str:
    """What the text says of its own encoding."""
    found = _DECLARED.search(head)
    if found is None:
        return ""
    label = next(group for group in found.groups() if group).decode("ascii")
    codec = _widest(label)
    if codec in ("", UTF8) or codec in _WIDE or codec.startswith("utf"):
        return ""  # it is none of those, as was seen already
    sample = data[:_ENOUGH]
    return codec if sample.decode(codec, "replace").count("\ufffd") <= len(sample) // 100 + 1 else ""


def _guesses(data: bytes) -> list[str]:
    """What chardet thinks, likeliest first; last Windows' for the West, which reads almost every byte."""
    import chardet

    unusual = _UNUSUAL.search(data)
    begin = max(0, unusual.start() - _CONTEXT) if unusual else 0
    sample = data[begin : begin + _ENOUGH]
    found = chardet.detect_all(sample, ignore_threshold=True, include_encodings=_GUESSES)
    codecs_ = [codec for one in found if one["encoding"] and (codec := _widest(one["encoding"]))]
    if codecs_ and codecs_[0] not in _MULTIBYTE and (kana := _kana(sample)):
        return [kana, *codecs_]
    pure = [codec for codec in codecs_ if not _MIXTURE.search(sample.decode(codec, "replace"))]
    return [*pure, "cp1252"]


def _kana(sample: bytes) -> str:
    """The Japanese encoding in which most of what is not ASCII is kana: chardet takes short pieces for Cyrillic."""
    for codec in ("euc_jis_2004", "cp932"):
        made = codecs.getincrementaldecoder(codec)("replace").decode(sample)
        unusual = sum(letter > "\x7f" for letter in made)
        if "\ufffd" not in made and len(_KANA.findall(made)) * 2 >= unusual:
            return codec
    return ""


def _widest(label: str) -> str:
    """Python's decoder for a label, the one that reads most; "" for labels that it does not know."""
    try:
        codec = codecs.lookup(label).name
        if codec in _NO_CHARSETS:
            return ""
        b"A".decode(codec, "replace")
    except (LookupError, UnicodeError):  # not known; rot13, hex and the like
        return ""
    return _WIDER.get(label.lower(), _WIDER.get(codec, codec))


def _name_of(codec: str) -> str:
    return re.sub(r"^cp(125\d|874)$", r"windows-\1", re.sub(r"^iso8859", "iso-8859", codec)).replace("_", "-")
