"""Words from lines."""

from __future__ import annotations

import pytest

from kilonova.media.words import join_lines, printable


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("thermody\ufffenamics", "thermodynamics"),
        ("thermody\ufffe\r\nnamics", "thermodynamics"),
        ("infor\u00ad\nmation", "information"),
        ("infor-\nmation", "information"),
        ("infor\u2010 \n mation", "information"),
        ("über-\nmäßig", "übermäßig"),
        ("инфор-\nмация", "информация"),
        ("soft\u00adhyphen", "softhyphen"),
        ("Jean-\nPaul", "Jean-Paul"),
        ("2019-\n2020", "2019-2020"),
        ("well-known words", "well-known words"),
        ("a list:\n- one\n- two", "a list:\n- one\n- two"),
        ("a dash -\nhere", "a dash -\nhere"),
        ("港口的早\n晨很安静", "港口的早晨很安静"),
        ("港口，\r\n早晨", "港口，早晨"),
        ("ひらが\nな", "ひらがな"),
        ("港口。\n早晨", "港口。\n早晨"),
        ("港口\nharbour", "港口\nharbour"),
        ("港口\n\n早晨", "港口\n\n早晨"),
        ("항구\n아침", "항구\n아침"),
        ("\ufffe\uffff\ufdd0x\U0001ffff", "-x"),
    ],
)
def test_lines(text: str, right: str) -> None:
    assert join_lines(text) == right


def test_what_is_no_character() -> None:
    assert printable("a\0b\ud800c\x1bd\x7f\t\n\f好\U0001f600\u200d") == "abcd\t\n\f好\U0001f600\u200d"
