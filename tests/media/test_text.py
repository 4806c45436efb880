"""Cutting texts: nothing lost, nothing torn apart, in any script."""

from __future__ import annotations

import time

import pytest
import regex
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.errors import InvalidInput
from kilonova.media.text import decode, decode_stream
from kilonova.segments.text import TextSpan, cut_text, readable_spans

ENGLISH = "The quick brown fox jumps over the lazy dog, and nobody was surprised. " * 100
CHINESE = "今天天气很好，我们一起去公园散步。他说：“明天再来！”然后大家回家吃晚饭。" * 100
THAI = "วันนี้อากาศดีมากเราไปเดินเล่นที่สวนสาธารณะด้วยกัน" * 100
FAMILY = "👨‍👩‍👧‍👦"


def cut(text: str, longest: int, chunk: int = 1000) -> list[TextSpan]:
    found = list(cut_text((text[at : at + chunk] for at in range(0, len(text), chunk)), longest))
    assert "".join(segment.value for segment in found) == text
    assert [segment.start for segment in found] == [0, *(segment.end for segment in found[:-1])]
    for segment in found:
        assert text[segment.start : segment.end] == segment.value
        assert 0 < len(segment.value) <= longest
    return found


@given(st.text(alphabet="ab \n。，é́👍🏽\u200d\r", min_size=1, max_size=300), st.integers(1, 40), st.integers(1, 90))
@settings(max_examples=300, deadline=None)
def test_segments_are_the_text(text: str, longest: int, chunk: int) -> None:
    cut(text, longest, chunk)


def test_words_stay_whole() -> None:
    for segment in cut(ENGLISH, 800)[:-1]:
        assert segment.value.endswith(" ")
        assert len(segment.value) > 780


def test_chinese_is_cut_after_sentences() -> None:
    for segment in cut(CHINESE, 800)[:-1]:
        assert segment.value[-1] in "。！”"
        assert len(segment.value) > 750


@pytest.mark.parametrize("text", [THAI, FAMILY * 500, "e\u0301" * 2000, "각" * 2000, "\r\n" * 1000])
def test_what_a_reader_sees_as_one_is_not_torn_apart(text: str) -> None:
    clusters = {0, len(text)} | {match.start() for match in regex.finditer(r"\X", text)}
    assert {segment.end for segment in cut(text, 800)} <= clusters


def test_the_size_of_chunks_does_not_matter() -> None:
    assert cut(CHINESE, 800, 7) == cut(CHINESE, 800, 100_000)


def test_a_text_that_fits_is_one_segment() -> None:
    assert cut("你好", 800) == [TextSpan(0, 2, "你好")]


@pytest.mark.timing
def test_ten_megabytes_in_a_second() -> None:
    text = (ENGLISH * 1500)[:10_000_000]
    begin = time.perf_counter()
    count = sum(1 for _ in cut_text([text], 5_300))
    assert time.perf_counter() - begin < 1.0
    assert count > 1_800


def test_decoding_piece_by_piece_is_decoding_whole() -> None:
    data = b"\xef\xbb\xbf" + (CHINESE + FAMILY).encode()
    assert decode(data, "x") == CHINESE + FAMILY
    assert "".join(decode_stream((data[at : at + 5] for at in range(0, len(data), 5)), "x")) == CHINESE + FAMILY


def test_nothing_is_no_text() -> None:
    with pytest.raises(InvalidInput, match="empty"):
        list(decode_stream([], "x"))


BASE64 = "QUJD+/x9" * 250_000  # two million characters without a blank


@pytest.mark.parametrize(
    ("text", "most"),
    [
        (BASE64, 1_000),
        (f"before {BASE64} after", 1_014),
        (f"![](data:image/png;base64,{BASE64})\nand after it", 1_050),
        ('{"name":"value","number":12.5},' * 60_000, 16_000),
        ("e\u0301" * 500_000, 16_000),
        ("function(a,b){return a+b};" * 60_000, 300_000 * 6),  # it has blanks
        ("👍" * 300_000, 16_000),
        (f'{{"picture":"{BASE64}","title":"灯塔"}}', 1_100),
    ],
)
def test_of_words_that_are_none_the_beginning_is_read(text: str, most: int) -> None:
    begin = time.perf_counter()
    found = [(span.start, span.value) for span in readable_spans(text)]
    assert time.perf_counter() - begin < 2
    assert all(text[place : place + len(piece)] == piece for place, piece in found)
    assert found[0][0] == 0
    assert sum(len(piece) for _, piece in found) <= most
    if not text.endswith(BASE64[-8:]):
        assert found[-1][1].endswith(text[-4:]) or most == 16_000


@pytest.mark.parametrize(
    "text", [ENGLISH, CHINESE * 30, THAI * 30, "한국어문장" * 5_000, "ことば" * 10_000, "x" * 900, ""]
)
def test_languages_are_read_whole(text: str) -> None:
    assert "".join(span.value for span in readable_spans(text)) == text
