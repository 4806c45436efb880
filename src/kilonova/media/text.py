"""Text files: decoding."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from kilonova.errors import InvalidInput
from kilonova.media.charset import UTF8, Decoder

__all__ = ["Decoded", "check_unicode", "decode", "decode_stream", "read"]


@dataclass(frozen=True)
class Decoded:
    """A text, and the name of the encoding that it was written in: "" for UTF-8."""

    value: str
    encoding: str = ""


def read(data: bytes, name: str) -> Decoded:
    """The text of a file in any encoding (``charset``), without its byte order mark; stray bytes become U+FFFD.

    Raises:
        InvalidInput: it is no text, or empty.
    """
    decoder = Decoder(name)
    value = decoder.feed(data) + decoder.finish()
    return Decoded(value, "" if decoder.encoding == UTF8 else decoder.encoding)


def decode(data: bytes, name: str) -> str:
    """The same, without the name of the encoding.

    Raises:
        InvalidInput: as ``read``.
    """
    return read(data, name).value


def decode_stream(chunks: Iterable[bytes], name: str) -> Iterator[str]:
    """The same piece by piece, for files that are read as they come.

    Raises:
        InvalidInput: as ``read``.
    """
    decoder = Decoder(name)
    for chunk in chunks:
        if piece := decoder.feed(chunk):
            yield piece
    if piece := decoder.finish():
        yield piece


def check_unicode(text: str) -> None:
    """Refuse a text with lone surrogates, which stand for bytes that are not UTF-8 and which no tokenizer takes.

    Raises:
        InvalidInput: it has some.
    """
    if not text.isascii() and any("\ud800" <= letter <= "\udfff" for letter in text):
        raise InvalidInput("The text is not valid Unicode.", "Write it in UTF-8.")
