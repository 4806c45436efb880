"""Every ending that is called an image, a sound or a film is tried with a file of it; what opens others is refused."""

from __future__ import annotations

import io
import random
from fractions import Fraction
from functools import cache
from pathlib import Path
from typing import Any, cast

import av
import av.error
import numpy as np
import PIL.Image
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import audio, decoder, image, sniff
from kilonova.media.content import Audio, Encoded, Image, Modality, Video, VideoPart
from kilonova.media.video import NoVideo
from kilonova.segments.files import Kind, kind_of
from kilonova.segments.listing import look
from kilonova.segments.skipped import ending
from kilonova.segments.timeline import Segmenter
from tests import samples
from tests.server.test_corrupt_media import mutate

IMAGES = {
    **{"png": "PNG", "apng": "PNG", "jpeg": "JPEG", "jpg": "JPEG", "jfif": "JPEG", "jpe": "JPEG", "mpo": "MPO"},
    **{"gif": "GIF", "webp": "WEBP", "bmp": "BMP", "dib": "BMP", "tif": "TIFF", "tiff": "TIFF", "avif": "AVIF"},
    "jp2": "JPEG2000",
}
SOUNDS = {
    **dict.fromkeys(("m4a", "m4b", "m4r"), ("ipod", "aac")),
    **dict.fromkeys(("aif", "aiff", "aifc"), ("aiff", "pcm_s16be")),
    **dict.fromkeys(("ogg", "oga", "opus"), ("ogg", "libopus")),
    **dict.fromkeys(("au", "snd"), ("au", "pcm_s16be")),
    **{"mp3": ("mp3", "libmp3lame"), "wav": ("wav", "pcm_s16le"), "flac": ("flac", "flac"), "aac": ("adts", "aac")},
    **{"ac3": ("ac3", "ac3"), "eac3": ("eac3", "eac3"), "caf": ("caf", "pcm_s16le"), "mka": ("matroska", "flac")},
    **{"mp2": ("mp2", "mp2"), "tta": ("tta", "tta"), "w64": ("w64", "pcm_s16le"), "weba": ("webm", "libopus")},
    **{"wma": ("asf", "wmav2"), "wv": ("wv", "wavpack")},
}
VIDEOS = {
    **dict.fromkeys(("mp4", "m4v", "f4v"), ("mp4", "libx264")),
    **dict.fromkeys(("mov", "qt"), ("mov", "libx264")),
    **dict.fromkeys(("ts", "m2t"), ("mpegts", "mpeg2video")),
    **dict.fromkeys(("mts", "m2ts"), ("mpegts", "mpeg2video")),
    **dict.fromkeys(("mpg", "mpeg", "mpe"), ("mpeg", "mpeg1video")),
    **dict.fromkeys(("wmv", "asf"), ("asf", "wmv2")),
    **dict.fromkeys(("avi", "divx"), ("avi", "mpeg4")),
    **dict.fromkeys(("mkv", "mk3d"), ("matroska", "libx264")),
    **{"webm": ("webm", "libvpx"), "flv": ("flv", "flv"), "3gp": ("3gp", "libx264"), "3g2": ("3g2", "libx264")},
    **{"vob": ("vob", "mpeg2video"), "mxf": ("mxf", "mpeg2video"), "m1v": ("mpeg1video", "mpeg1video")},
    **{"m2v": ("mpeg2video", "mpeg2video"), "ogv": ("ogg", "libvpx"), "dv": ("dv", "dvvideo")},
}


def tone(ending: str) -> bytes:
    form, codec = SOUNDS[ending]
    rate = 48_000
    layout = "mono"
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as out:
        stream: Any = out.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        stream.bit_rate = 64_000  # wmav2 has no default
        out.mux(samples.encode_audio(stream, samples.tone(1.0, rate, stream.layout.nb_channels), layout, rate))
    return buffer.getvalue()


@cache
def film(ending: str) -> bytes:
    form, codec = VIDEOS[ending]
    size = (720, 576) if codec == "dvvideo" else (96, 64)
    buffer = io.BytesIO()
    options = {"mpegts_m2ts_mode": "1"} if ending in ("mts", "m2ts") else {}
    with av.open(buffer, "w", format=form, options=options) as out:
        stream: Any = out.add_stream(codec, rate=25)
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        for index in range(50):
            pixels = np.full((size[1], size[0], 3), 16 + 4 * index, np.uint8)
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, 25)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


def decoded(modality: Modality, data: bytes, part: VideoPart = VideoPart.BOTH) -> Image | Audio | Video | None:
    return decoder.decode(
        Encoded(modality, cast(bytes, memoryview(data)), part=part), 32_000, 1.0
    )  # as decoding processes get it


@pytest.mark.parametrize("ending", IMAGES)
def test_images(ending: str) -> None:
    found = decoded(Modality.IMAGE, samples.encode(PIL.Image.fromarray(samples.gradient(96, 64)), IMAGES[ending]))
    assert isinstance(found, Image)
    assert np.abs(found.pixels.astype(int) - samples.gradient(96, 64)).mean() < 12
    assert kind_of(f"照片.{ending.upper()}") is Kind.IMAGE


@pytest.mark.parametrize("ending", SOUNDS)
def test_sounds(ending: str) -> None:
    found = decoded(Modality.AUDIO, tone(ending))
    assert isinstance(found, Audio)
    assert found.seconds == pytest.approx(1.0, abs=0.1)
    assert found.samples.std() > 0.1
    assert kind_of(f"录音.{ending}") is Kind.AUDIO


@pytest.mark.parametrize("ending", VIDEOS)
def test_films(ending: str) -> None:
    data = film(ending)
    found = decoded(Modality.VIDEO, data)
    assert isinstance(found, Video)
    assert len(found.frames) == 2
    assert found.frames[0].mean() < found.frames[1].mean()
    assert kind_of(f"影片.{ending}") is Kind.VIDEO
    segment = Segmenter(io.BytesIO(data), Modality.VIDEO, 5.0, 1.0, 32_000).segment(0)
    assert segment is not None
    assert segment.end == pytest.approx(2.0, abs=0.1)


def test_no_ending_is_claimed_that_is_not_tried() -> None:
    tried: dict[Modality, Any] = {Modality.IMAGE: IMAGES, Modality.AUDIO: SOUNDS, Modality.VIDEO: VIDEOS}
    for name, modality in sniff._MODALITIES.items():
        assert name in tried[modality] or name in (*sniff.HEIC, "three_gp"), name


@pytest.mark.parametrize(
    ("form", "codec"), [("mp4", "aac"), ("mov", "aac"), ("matroska", "libopus"), ("webm", "libopus"), ("asf", "wmav2")]
)
def test_sound_alone_in_the_container_of_a_film(form: str, codec: str) -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=form) as out:
        stream: Any = out.add_stream(codec, rate=48_000, layout="mono")
        stream.bit_rate = 64_000
        out.mux(samples.encode_audio(stream, samples.tone(2.0, 48_000), "mono", 48_000))
    data = buffer.getvalue()
    for found in (decoded(Modality.AUDIO, data), decoded(Modality.VIDEO, data, VideoPart.ANY)):
        assert isinstance(found, Audio)
        assert found.seconds == pytest.approx(2.0, abs=0.1)
    with pytest.raises(NoVideo, match="For audio alone use audio"):
        decoded(Modality.VIDEO, data)
    assert Segmenter(io.BytesIO(data), Modality.AUDIO, 5.0, 1.0, 32_000).segment(0) is not None
    with pytest.raises(NoVideo):
        Segmenter(io.BytesIO(data), Modality.VIDEO, 5.0, 1.0, 32_000)


def test_a_film_is_a_film_where_either_will_do() -> None:
    found = decoded(Modality.VIDEO, samples.video("mp4"), VideoPart.ANY)
    assert isinstance(found, Video)
    assert found.audio is not None


def test_ts_is_a_film_or_a_language(tmp_path: Path) -> None:
    (tmp_path / "film.ts").write_bytes(film("ts"))
    (tmp_path / "film.mts").write_bytes(film("mts"))
    (tmp_path / "main.ts").write_text("export const lighthouse: string = '灯塔'\n")
    found = look([str(tmp_path)])
    kinds = {file.name: file.kind for file in found.files}
    assert kinds == {"film.mts": Kind.VIDEO, "film.ts": Kind.VIDEO, "main.ts": Kind.TEXT}
    assert not found.other


def test_what_cannot_be_indexed_has_an_ending_to_count_it_by() -> None:
    for name, shown in [
        ("x", "(none)"),
        ("DRAW.SVG", ".svg"),
        ("a.tar.GZ", ".gz"),
        ("照片.旧", "(none)"),
        ("x.", "(none)"),
    ]:
        assert kind_of(name) is None
        assert ending(name) == shown


PLAYLISTS = {
    "concat": b"ffconcat version 1.0\nfile '/etc/passwd'\n",
    "concat of a film": b"ffconcat version 1.0\nfile '{}'\n",
    "sdp": b"v=0\no=- 0 0 IN IP4 127.0.0.1\ns=x\nc=IN IP4 127.0.0.1\nt=0 0\nm=audio 5004 RTP/AVP 0\n",
    "hls": b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{}\n#EXT-X-ENDLIST\n",
    "dash": b'<?xml version="1.0"?><MPD xmlns="urn:mpeg:dash:schema:mpd:2011"><Period><AdaptationSet>'
    b"<Representation><BaseURL>{}</BaseURL></Representation></AdaptationSet></Period></MPD>",
    "m3u": b"#EXTM3U\n{}\n",
    "smil": b"<smil><body><video src='{}'/></body></smil>",
    "rtsp": b"[Reference]\nRef1=http://127.0.0.1:1/x\n",
    "image2": b"\xff\xd8\xff\xe0",
    "subtitles": b"1\n00:00:00,000 --> 00:00:03,000\nwords\n\n",
}


@pytest.mark.parametrize("before", [b"", b"ID3\x03\x00\x00\x00\x00\x00\x00", b"OggS", b"\xff\xfb"])
@pytest.mark.parametrize("name", PLAYLISTS)
def test_what_opens_other_files_is_no_medium(tmp_path: Path, name: str, before: bytes) -> None:
    other = tmp_path / "other.mp4"
    other.write_bytes(samples.video("mp4"))
    data = before + PLAYLISTS[name].replace(b"{}", str(other).encode())
    with pytest.raises(InvalidInput, match=r"cannot be opened|no audio stream|cannot be decoded|holds no audio"):
        audio.decode(data, 32_000)
    with pytest.raises(InvalidInput):
        Segmenter(io.BytesIO(data), Modality.VIDEO, 5.0, 1.0, 32_000)


def test_only_demuxers_of_the_list_are_reached() -> None:
    assert not {"concat", "hls", "dash", "sdp", "rtsp", "image2", "tty", "lavfi"} & set(audio.FORMATS.split(","))
    with audio.open_file(io.BytesIO(samples.video("mkv"))) as container:
        assert set(container.format.name.split(",")) & set(audio.FORMATS.split(","))


@pytest.mark.slow
def test_nothing_malformed_raises_anything_else(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files of the kinds that InvokeModel's own mutations (server/test_corrupt_media) do not have."""
    chance = random.Random(20)
    images = [
        samples.encode(PIL.Image.fromarray(samples.gradient(96, 64)), form) for form in sorted({*IMAGES.values()})
    ]
    sounds = [tone(ending) for ending in ("aiff", "au", "ac3", "caf", "mka", "tta", "w64", "wv", "aac")]
    films = [film(ending) for ending in ("avi", "ts", "m2ts", "vob", "mxf", "m2v", "3g2", "ogv")]
    kinds = [(Modality.IMAGE, images), (Modality.AUDIO, sounds), (Modality.VIDEO, films)]
    for number in range(900):
        modality, files = kinds[number % 3]
        monkeypatch.setattr(image, "_LARGE", chance.choice((1, 1 << 24)))
        try:
            decoded(modality, mutate(chance.choice(files), chance))
        except InvalidInput as refusal:
            assert "object at 0x" not in str(refusal)
            assert not refusal.message.endswith("..")
