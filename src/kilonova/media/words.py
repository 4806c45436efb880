"""What text layers and office files hand out, as words that people read and look for."""

from __future__ import annotations

import regex

__all__ = ["join_lines", "printable"]

# Controls that are no blanks, halves of surrogate pairs, and code points that Unicode keeps for no character (U+FFFE
# among them, which PDFium writes for the hyphen at the end of a line). Form feeds part what stands in a point's text.
_UNPRINTABLE = regex.compile(r"[\p{Cs}\p{Noncharacter_Code_Point=Yes}\x00-\x08\x0b\x0e-\x1f\x7f]")
_BREAK = r"[^\S\r\n]*(?:\r\n|\r|\n)[^\S\r\n]*"
# the word goes on: a hyphen that a line's end made is no part of it, one before a capital is (Jean-\nPaul)
_DIVIDED = regex.compile(rf"(?<=\p{{L}})(?:\ufffe(?:{_BREAK})?|[\u00ad\u2010-]{_BREAK})(?=\p{{Ll}})")
_COMPOUND = regex.compile(
    rf"(?<=[\p{{L}}\p{{N}}])(?:\ufffe(?:{_BREAK})?|[\u00ad\u2010-]{_BREAK})(?=[\p{{Lu}}\p{{Lt}}\p{{N}}])"
)
# scripts without blanks between words: a line's end inside a sentence is none either
_UNSPACED = r"[\p{Han}\p{Hiragana}\p{Katakana}々ー、，，；：（）「」『』“”《》〈〉]"
_FLOWING = regex.compile(rf"(?<={_UNSPACED}){_BREAK}(?={_UNSPACED})")


def printable(text: str) -> str:
    """A text without what is no character: NUL and other controls, single surrogates, non-characters."""
    return str(_UNPRINTABLE.sub("", text))


def join_lines(text: str) -> str:
    """A text whose words are not divided by the ends of lines: hyphens are taken out, and lines of Chinese and Japanese
    follow each other without a blank."""
    text = _DIVIDED.sub("", text)
    text = _COMPOUND.sub("-", text).replace("\u00ad", "")
    text = _FLOWING.sub("", text)
    return printable(text.replace("\ufffe", "-"))
