"""Subtitles in the encodings that people's files have; what is none is an error of its own type."""

from __future__ import annotations

import pytest

from kilonova.errors import InvalidInput
from kilonova.media.subtitles import BadSubtitles, Cue, read

SRT = "1\n00:00:01,000 --> 00:00:03,500\n<i>{}</i>\n\n2\n00:00:04,000 --> 00:00:05,000\n{}\n"
VTT = "WEBVTT\n\n00:00:01.000 --> 00:00:03.500\n<i>{}</i>\n\n00:00:04.000 --> 00:00:05.000\n{}\n"
ASS = (
    "[Script Info]\nScriptType: v4.00+\n\n[Events]\n"
    "Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text\n"
    "Dialogue: 0,0:00:01.00,0:00:03.50,Default,,0,0,0,,{{\\i1}}{}\n"
    "Dialogue: 0,0:00:04.00,0:00:05.00,Default,,0,0,0,,{}\n"
)


@pytest.mark.parametrize(("ending", "form"), [("srt", SRT), ("vtt", VTT), ("ass", ASS), ("srt", VTT)])
@pytest.mark.parametrize("codec", ["utf-8", "utf-8-sig", "gb18030", "gbk", "utf-16", "utf-16-le", "utf-16-be"])
def test_chinese(ending: str, form: str, codec: str) -> None:
    data = form.format("灯塔的字幕", "我们回家吧。").encode(codec)
    assert read(data, f"film.{ending}") == [Cue(1.0, 3.5, "灯塔的字幕"), Cue(4.0, 5.0, "我们回家吧。")]


@pytest.mark.parametrize(
    ("codec", "words"),
    [
        ("big5", ("港口的燈塔", "夕陽很美。")),
        ("cp932", ("灯台の字幕です", "家に帰りましょう。")),
        ("cp949", ("등대 자막입니다", "집에 갑시다.")),
        ("cp1251", ("Это субтитры к фильму", "Пойдём домой.")),
        ("cp1252", ("Où est le phare ?", "Rentrons à la maison, François.")),
    ],
)
def test_other_languages(codec: str, words: tuple[str, str]) -> None:
    assert [cue.words for cue in read(SRT.format(*words).encode(codec), "x.srt")] == list(words)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"no subtitles at all",
        bytes(range(32)) * 100,
        b"WEBVTT",
        b"{1}{2}MicroDVD without a rate",
        b"[Script Info]\n\n[Events]\nDialogue: 0,x,y\n",
        b"[Script Info]\n[Events]\nFormat: Start, End, Text\nDialogue: a\n",
    ],
)
def test_what_is_none(data: bytes) -> None:
    try:
        assert read(data, "film.srt") == []
    except BadSubtitles as error:
        assert isinstance(error, InvalidInput)
        assert "film.srt" in error.message
        assert not error.message.endswith("..")
    with pytest.raises(BadSubtitles, match="film"):
        read(b"no subtitles at all", "film.srt")
