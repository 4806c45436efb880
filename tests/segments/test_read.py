"""What files become: texts say their encoding, audio in a video container is audio, data is not read to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kilonova.media.content import Text
from kilonova.models.cards import MINI
from kilonova.segments.files import File
from kilonova.segments.listing import look
from kilonova.segments.read import Readers
from kilonova.segments.segment import Plan, Segment
from tests import samples


def segments(folder: Path, plan: Plan | None = None, first: int = 0) -> list[Segment]:
    async def read(file: File) -> list[Segment]:
        readers = Readers(MINI)
        try:
            return [segment async for segment in readers.read(file, plan or Plan(), first=first)]
        finally:
            readers.close()

    (file,) = look([str(folder)]).files
    return asyncio.run(read(file))


@pytest.mark.parametrize(
    ("codec", "encoding"), [("gbk", "gb18030"), ("utf-16", "utf-16le"), ("utf-8", ""), ("utf-8-sig", "")]
)
def test_a_text_says_its_encoding(tmp_path: Path, codec: str, encoding: str) -> None:
    text = "年度财务报告：本公司在青岛港口建造灯塔。\n"
    (tmp_path / "报告.txt").write_bytes(text.encode(codec))
    (segment,) = segments(tmp_path)
    assert segment.contents == (Text(text),)
    assert (segment.start, segment.end, segment.encoding) == (0, len(text), encoding)


def test_two_megabytes_of_one_word_are_a_few_segments(tmp_path: Path) -> None:
    (tmp_path / "data.json").write_bytes(b"before " + b"QUJD" * 500_000 + " 之后".encode())
    found = segments(tmp_path)
    assert [segment.index for segment in found] == [0, 1, 2]
    assert found[-1].text == " 之后"
    assert (found[-1].start, found[-1].end) == (2_000_007, 2_000_010)


@pytest.mark.parametrize(("name", "form"), [("声音.mp4", "m4a"), ("voice.mkv", "ogg"), ("voice.mov", "wav")])
def test_audio_in_a_video_container_is_audio(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_bytes(samples.audio(form, 7.0))
    found = segments(tmp_path)
    assert all(segment.video is None and segment.audio is not None for segment in found)
    assert [segment.start for segment in found] == [0, 5]


def test_a_video_is_one_content_and_apart_two(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(samples.video("mp4", 2.0))
    (together,) = segments(tmp_path)
    (apart,) = segments(tmp_path, Plan(apart=True))
    assert len(together.contents) == 1
    assert together.video is not None
    assert together.video.audio is not None
    assert [content.modality for content in apart.contents] == ["video", "audio"]
    assert apart.video is not None
    assert apart.video.audio is None


def test_segments_from_a_number_on(tmp_path: Path) -> None:
    (tmp_path / "长文.txt").write_text("港口的灯塔。" * 1_000)
    every, later = segments(tmp_path), segments(tmp_path, first=3)
    assert [(one.index, one.contents) for one in later] == [(one.index, one.contents) for one in every[3:]]


def test_verbatim_segments_are_the_whole_text(tmp_path: Path) -> None:
    page = "<p>A harbour &amp; a lighthouse.</p>\n" * 100 + " " * 2_000
    (tmp_path / "page.html").write_text(page)
    verbatim = segments(tmp_path, Plan(verbatim=True))
    assert "".join(one.value for segment in verbatim for one in segment.contents if isinstance(one, Text)) == page
    readable = segments(tmp_path)
    assert "harbour & a" in readable[0].text
    assert all(segment.text.strip() for segment in readable)
