"""What files become: texts say their encoding, sound in a film's container is sound, data is not read to its end."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kilonova.media.content import Audio, Text, Video
from kilonova.models.cards import MINI
from kilonova.search.items import Part, Reading, Settings
from kilonova.segments.files import File
from kilonova.segments.listing import look
from tests import samples


def parts(folder: Path, *, data: bytes | None = None) -> list[Part]:
    async def read(file: File) -> list[Part]:
        reading = Reading(MINI, Settings())
        try:
            return [part async for part in reading.parts(file, data)]
        finally:
            reading.close()

    (file,) = look([str(folder)]).files
    return asyncio.run(read(file))


@pytest.mark.parametrize(
    ("codec", "said"), [("gbk", "gb18030"), ("utf-16", "utf-16le"), ("utf-8", None), ("utf-8-sig", None)]
)
def test_a_text_says_its_encoding(tmp_path: Path, codec: str, said: str | None) -> None:
    text = "年度财务报告：本公司在青岛港口建造灯塔。\n"
    data = text.encode(codec)
    (tmp_path / "报告.txt").write_bytes(data)
    (part,) = parts(tmp_path, data=data)
    assert part.content == Text(text)
    assert part.place == {"start": 0, "end": len(text), **({"encoding": said} if said else {})}


def test_two_megabytes_of_one_word_are_a_few_parts(tmp_path: Path) -> None:
    data = b"before " + b"QUJD" * 500_000 + " 之后".encode()
    (tmp_path / "data.json").write_bytes(data)
    found = parts(tmp_path, data=data)
    assert len(found) == 3
    assert found[-1].text == " 之后"
    assert found[-1].place == {"start": 2_000_007, "end": 2_000_010}


@pytest.mark.parametrize(("name", "form"), [("声音.mp4", "m4a"), ("voice.mkv", "ogg"), ("voice.mov", "wav")])
def test_sound_in_a_file_of_a_films_kind_is_sound(tmp_path: Path, name: str, form: str) -> None:
    (tmp_path / name).write_bytes(samples.sound(form, 7.0))
    found = parts(tmp_path)
    assert [part.place["kind"] for part in found] == ["audio", "audio"]
    assert all(isinstance(part.content, Audio) for part in found)
    assert [part.place["start"] for part in found] == [0, 5]


def test_a_film_is_a_film(tmp_path: Path) -> None:
    (tmp_path / "film.mp4").write_bytes(samples.video("mp4", 2.0))
    (part,) = parts(tmp_path)
    assert isinstance(part.content, Video)
    assert "kind" not in part.place
