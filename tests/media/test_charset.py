"""Texts in any encoding: read as they were written, never refused for a stray byte; what is no text is refused."""

from __future__ import annotations

import random

import pytest

from kilonova.errors import InvalidInput
from kilonova.media.text import Decoded, decode, decode_stream, read
from tests import samples

TEXTS = {
    "chinese": "年度财务报告：本公司在青岛港口建造灯塔，编号甲乙丙。\n第二段：海上日落很美，渔船都回来了。\n",
    "taiwan": "港口的燈塔報告，夕陽很美。\n第二段：漁船都回來了，學生們在海邊唱歌。\n",
    "japanese": "会議の議事録です。次回は十一月三日に行います。\n買い物リスト：牛乳、卵、パン\n",
    "korean": "회의록: 다음 회의는 십일월 삼일입니다.\n오늘은 날씨가 좋아서 공원에서 산책합시다.\n",
    "russian": "Протокол совещания: продажи выросли на двенадцать процентов.\nСледующая встреча в ноябре.\n",
    "french": "Le phare a été bâti à Brest, façade rénovée.\nÀ bientôt, François et Hélène sont déjà là.\n",
    "german": "Die Straße ist naß, schöne Grüße aus München.\nKäse, Brötchen und Äpfel für Jürgen.\n",
    "greek": "Σήμερα ο καιρός είναι καλός και πάμε βόλτα στο πάρκο. Άνοιξη και Άγιος Νικόλαος.\n",
    "polish": "Dzień dobry, dziś jest piękna pogoda i idziemy na spacer. Żółty łabędź płynie.\n",
    "thai": "วันนี้อากาศดีมาก เราไปเดินเล่นในสวนกันเถอะ\n",
}
# language, what Python writes it in, what the payload says
ENCODINGS = [
    ("chinese", "gb18030", "gb18030"),
    ("chinese", "gbk", "gb18030"),
    ("chinese", "gb2312", "gb18030"),
    ("taiwan", "big5", "big5"),
    ("japanese", "shift_jis", "shift_jis"),
    ("japanese", "euc_jp", "euc-jp"),
    ("japanese", "iso2022_jp", "iso-2022-jp"),
    ("korean", "euc_kr", "euc-kr"),
    ("russian", "koi8_r", "koi8-r"),
    ("russian", "cp1251", "windows-1251"),
    ("russian", "cp866", "ibm866"),
    ("french", "cp1252", "windows-1252"),
    ("german", "latin-1", "windows-1252"),
    ("greek", "cp1253", "windows-1253"),
    ("polish", "cp1250", "windows-1250"),
    ("polish", "iso8859_2", "iso-8859-2"),
    ("thai", "cp874", "windows-874"),
]
WIDE = {"utf-16-le": "utf-16le", "utf-16-be": "utf-16be", "utf-32-le": "utf-32le", "utf-32-be": "utf-32be"}


@pytest.mark.parametrize("times", [1, 40, 4000])
@pytest.mark.parametrize(("language", "codec", "said"), ENCODINGS)
def test_every_encoding_at_every_length(language: str, codec: str, said: str, times: int) -> None:
    text = TEXTS[language] * times
    assert read(text.encode(codec), "x") == Decoded(text, said)


@pytest.mark.parametrize(("language", "codec", "said"), ENCODINGS)
def test_one_line_is_enough(language: str, codec: str, said: str) -> None:
    text = TEXTS[language].partition("\n")[0]
    assert read(text.encode(codec), "x").value == text


@pytest.mark.parametrize(
    "text", ["日落海滩\n红色的汽车", "你好，世界！", "购物清单\n牛奶、鸡蛋、面包", "测试", "名称,城市\n张三,北京"]
)
def test_short_chinese(text: str) -> None:
    for codec in ("gb18030", "utf-8", "utf-16"):
        assert decode(text.encode(codec), "x") == text


@pytest.mark.parametrize("language", TEXTS)
@pytest.mark.parametrize("codec", WIDE)
def test_wide_characters_with_a_mark_and_without(codec: str, language: str) -> None:
    for text in (TEXTS[language], TEXTS[language] * 3000):
        assert read(text.encode(codec), "x") == Decoded(text, WIDE[codec])
        assert read(("\ufeff" + text).encode(codec), "x") == Decoded(text, WIDE[codec])


@pytest.mark.parametrize("language", TEXTS)
def test_utf8_is_the_rule(language: str) -> None:
    text = TEXTS[language]
    assert read(text.encode(), "x") == read(text.encode("utf-8-sig"), "x") == Decoded(text)


@pytest.mark.parametrize(
    ("label", "codec"),
    [("gb2312", "gbk"), ("GBK", "gbk"), ("big5", "big5"), ("Shift_JIS", "shift_jis"), ("koi8-r", "koi8_r")],
)
@pytest.mark.parametrize(
    "form",
    [
        '<html><head><meta charset="{}"></head><body>{}',
        '<meta http-equiv="Content-Type" content="text/html; charset={}"><p>{}',
        '<?xml version="1.0" encoding="{}"?><a>{}</a>',
        "# -*- coding: {} -*-\n# {}",
    ],
)
def test_what_a_page_declares_of_itself(form: str, label: str, codec: str) -> None:
    word = {"gbk": "灯", "big5": "燈", "shift_jis": "灯台", "koi8_r": "Маяк"}[codec]  # too short to guess
    for filler in ("", " " * 100_000):  # far behind the declaration
        text = form.format(label, filler + word)
        assert decode(text.encode(codec), "x") == text


def test_a_declaration_that_lies_is_not_believed() -> None:
    text = '<meta charset="gb2312"><p>灯塔 und Größe'
    assert read(text.encode(), "x") == Decoded(text)
    text = '<meta charset="utf-8"><p>' + TEXTS["chinese"]
    assert read(text.encode("gbk"), "x") == Decoded(text, "gb18030")


@pytest.mark.parametrize("stray", [b"\xe9", b"\xff", b"\x80", b"\xed\xa0\x80", b"\x00", b"\xe7\x81"])
def test_stray_bytes_in_utf8_cost_themselves(stray: bytes) -> None:
    text = TEXTS["chinese"].encode()
    place = len("年度财务报告".encode())
    found = read(text[:place] + stray + text[place:], "x")
    assert found.encoding == ""
    assert found.value.startswith("年度财务报告")
    assert found.value.endswith(TEXTS["chinese"][6:])


def test_one_byte_of_latin_in_ascii() -> None:
    found = read(b"mostly fine text about kumquats \xe9 and more\n" + b"kumquats\n" * 500, "x")
    assert found.value.startswith("mostly fine text about kumquats é and")


def test_a_text_cut_within_a_character() -> None:
    for codec in ("utf-8", "gb18030", "utf-16-le", "shift_jis"):
        data = TEXTS["japanese"].strip().encode(codec)
        assert decode(data[:-1], "x").startswith(TEXTS["japanese"][:20])


def test_a_file_filled_up_with_zeros() -> None:
    for data in (b"log line one\nlog line two\n", TEXTS["chinese"].encode(), TEXTS["chinese"].encode("gbk")):
        assert decode(data + bytes(4000), "x").rstrip("\0") == decode(data, "x")


def test_letters_that_come_late() -> None:
    text = "id,name\n" + "1,abc\n" * 50_000 + TEXTS["chinese"]
    for codec, said in (("gbk", "gb18030"), ("utf-8", "")):
        assert read(text.encode(codec), "x") == Decoded(text, said)


@pytest.mark.parametrize("size", [1, 5, 1000, 65_537])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "utf-16", "utf-16-le", "big5"])
def test_in_pieces_as_in_one(codec: str, size: int) -> None:
    text = ("x" * 70_000 if size > 5 else "") + TEXTS["taiwan"] * (3000 if size > 5 else 20)
    data = text.encode(codec)
    assert "".join(decode_stream((data[at : at + size] for at in range(0, len(data), size)), "x")) == text


def _rubbish(size: int) -> bytes:
    return random.Random(size).randbytes(size)


@pytest.mark.parametrize(
    "data",
    [
        b"\x80\x81\x00\x01",
        bytes(5000),
        *map(_rubbish, (300, 5000, 200_000)),
        samples.image(),
        samples.image("jpeg", 400, 300),
        samples.audio("mp3"),
        samples.audio("wav"),
        samples.video("mp4"),
    ],
    ids=lambda data: f"{len(data)}",
)
def test_what_is_no_text_is_refused(data: bytes) -> None:
    with pytest.raises(
        InvalidInput, match=r"blob\.dat is no text in any encoding that is known\. If it is one, convert"
    ):
        read(data, "blob.dat")


@pytest.mark.parametrize("data", [b"", b"\xef\xbb\xbf", b"\xff\xfe"])
def test_nothing_is_empty(data: bytes) -> None:
    with pytest.raises(InvalidInput, match="x is empty"):
        read(data, "x")


@pytest.mark.parametrize(
    "label", ["rot13", "hex", "idna", "punycode", "undefined", "unicode_escape", "raw_unicode_escape"]
)
def test_a_declaration_of_what_is_no_encoding_is_passed_over(label: str) -> None:
    text = "<p>Le phare a été bâti à Brest, façade rénovée. \\ud800</p>"
    found = read(f'<meta charset="{label}">{text}'.encode("cp1252"), "x.html")
    assert found.value.endswith(text)
