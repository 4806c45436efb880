"""Files that say wrong things of themselves: how long they last, how they stand, and samples that are no numbers."""

from __future__ import annotations

import io
import struct
import wave
from typing import Any

import av
import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import audio, video
from kilonova.media.content import Audio, Modality, Video, VideoPart
from kilonova.segments.timeline import Segmenter
from tests import samples

RATE = 32_000


def vbr(*parts: tuple[float, int]) -> bytes:
    """An mp3 without a Xing header of parts: seconds, and bits a second. FFmpeg takes the first frame's for all."""
    data = b""
    for seconds, bits in parts:
        buffer = io.BytesIO()
        with av.open(buffer, "w", format="mp3", options={"write_xing": "0", "id3v2_version": "0"}) as out:
            stream: Any = out.add_stream("libmp3lame", rate=RATE, layout="mono")
            stream.bit_rate = bits
            out.mux(samples.encode_audio(stream, samples.tone(seconds, RATE), "mono", RATE))
        data += buffer.getvalue()
    return data


def said(data: bytes) -> float:
    with av.open(io.BytesIO(data), "r") as container:
        return float(container.duration or 0) / av.time_base


def test_an_mp3_that_says_it_is_longer() -> None:
    data = vbr((4.0, 32_000), (20.0, 128_000))
    assert said(data) > 60
    assert audio.decode(data, RATE).seconds == pytest.approx(24.0, abs=0.3)


@pytest.mark.slow
def test_an_mp3_that_says_it_is_shorter() -> None:
    data = vbr((4.0, 128_000), (60.0, 32_000))
    assert said(data) < 30
    with pytest.raises(InvalidInput, match="InvokeModel takes 30 s"):
        audio.decode(data, RATE)


def test_a_long_mp3_is_refused_with_what_it_really_lasts() -> None:
    data = vbr((4.0, 32_000), (36.0, 128_000))
    with pytest.raises(InvalidInput, match=r"lasts 40\.\d s; InvokeModel takes 30 s"):
        audio.decode(data, RATE)


def saying(data: bytes, seconds: float) -> bytes:
    """The Matroska file with another duration, which is in milliseconds."""
    place = data.index(b"\x44\x89\x88") + 3
    made = data[:place] + struct.pack(">d", seconds * 1000) + data[place + 8 :]
    assert said(made) == pytest.approx(seconds)
    return made


@pytest.mark.slow
@pytest.mark.parametrize(("real", "claimed"), [(4, 300.0), (4, 10_000.0), (29, 31.0)])
@pytest.mark.parametrize("form", ["mkv", "webm"])
def test_a_film_that_says_it_is_longer(form: str, real: int, claimed: float) -> None:
    data = saying(samples.video(form, float(real), size=(32, 32)), claimed)
    found = video.decode(data, VideoPart.BOTH, 1.0, RATE)
    assert isinstance(found, Video)
    assert len(found.frames) == real
    heard = video.decode(data, VideoPart.AUDIO, 1.0, RATE)
    assert isinstance(heard, Audio)
    assert heard.seconds == pytest.approx(real, abs=0.1)
    assert ends(data, Modality.VIDEO)[-1] == pytest.approx(real, abs=0.15)


@pytest.mark.slow
def test_a_film_that_says_it_is_shorter() -> None:
    data = saying(samples.video("mkv", 34.0, size=(32, 32)), 3.0)
    for part in VideoPart:
        with pytest.raises(InvalidInput, match="30 s"):
            video.decode(data, part, 1.0, RATE)
    assert ends(data, Modality.VIDEO)[-1] == pytest.approx(34.0, abs=0.15)


def test_a_sound_that_says_it_lasts_for_days_is_embedded_by_segments() -> None:
    data = saying(samples.video("mkv", 12.0, size=(32, 32)), 200_000.0)
    assert ends(data, Modality.AUDIO) == pytest.approx([5.0, 10.0, 12.0], abs=0.1)


def ends(data: bytes, modality: Modality) -> list[float]:
    segmenter = Segmenter(io.BytesIO(data), modality, 5.0, 1.0, RATE)
    found: list[float] = []
    while (segment := segmenter.segment(len(found))) is not None:
        assert segment.end is not None
        found.append(segment.end)
    return found


MATRICES = {
    # a, b, c, d: a pixel at (x, y) is shown at (ax + cy, bx + dy)
    "as it is": ((1, 0, 0, 1), lambda p: p),
    "mirrored": ((-1, 0, 0, 1), lambda p: p[:, ::-1]),
    "upside down": ((-1, 0, 0, -1), lambda p: p[::-1, ::-1]),
    "mirrored and upside down": ((1, 0, 0, -1), lambda p: p[::-1]),
    "a quarter clockwise": ((0, 1, -1, 0), lambda p: np.rot90(p, -1)),
    "a quarter back": ((0, -1, 1, 0), lambda p: np.rot90(p, 1)),
    "mirrored and a quarter clockwise": ((0, 1, 1, 0), lambda p: p.transpose(1, 0, 2)),
    "mirrored and a quarter back": ((0, -1, -1, 0), lambda p: np.rot90(p, 2).transpose(1, 0, 2)),
}


@pytest.mark.parametrize("name", MATRICES)
def test_every_way_that_a_film_can_stand(name: str) -> None:
    (a, b, c, d), shown = MATRICES[name]
    one = 1 << 16
    data = samples.video("mp4", with_audio=False)
    identity = struct.pack(">9i", one, 0, 0, 0, one, 0, 0, 0, 1 << 30)
    place = data.index(identity, data.index(b"tkhd"))
    matrix = struct.pack(">9i", a * one, b * one, 0, c * one, d * one, 0, 0, 0, 1 << 30)
    turned = data[:place] + matrix + data[place + len(matrix) :]
    plain, found = (video.decode(one_of, VideoPart.FRAMES, 1.0, RATE) for one_of in (data, turned))
    assert isinstance(plain, Video)
    assert isinstance(found, Video)
    assert np.array_equal(found.frames[1], shown(plain.frames[1]))
    segment = Segmenter(io.BytesIO(turned), Modality.VIDEO, 5.0, 1.0, RATE).segment(0)
    assert segment is not None
    assert segment.video is not None
    assert np.array_equal(segment.video.frames, found.frames)


def wav(channels: np.ndarray, rate: int = RATE) -> bytes:
    """A WAV file of int16 [channels, n]."""
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(len(channels))
        file.setsampwidth(2)
        file.setframerate(rate)
        file.writeframes(np.ascontiguousarray(channels.T).astype("<i2").tobytes())
    return buffer.getvalue()


def both_ways(data: bytes) -> list[np.ndarray]:
    segment = Segmenter(io.BytesIO(data), Modality.AUDIO, 30.0, 1.0, RATE).segment(0)
    assert segment is not None
    assert segment.audio is not None
    return [audio.decode(data, RATE).samples, segment.audio.samples]


@pytest.mark.parametrize("first", [1, -1])
def test_channels_that_cancel_each_other_out_are_heard(first: int) -> None:
    one = samples.tone(2.0, RATE)[0] * first
    mono = audio.decode(wav(np.stack([one])), RATE).samples
    for channels in ([one, -one], [one, -one + 3], [one, -one, 0 * one], [one, -one, one, -one]):
        for heard in both_ways(wav(np.stack(channels))):
            assert np.abs(heard - mono).max() < 0.01


def test_usual_stereo_is_still_the_mean() -> None:
    one, other = samples.tone(2.0, RATE, 2)
    for heard in both_ways(wav(np.stack([one, other]))):
        assert np.abs(heard - (one.astype(float) + other) / 65_536).max() < 0.01
    for heard in both_ways(wav(np.stack([one, 0 * one]))):
        assert np.abs(heard - one / 65_536).max() < 0.01


@pytest.mark.parametrize("strange", [np.nan, np.inf, -np.inf, 1e38, -1e38, 3.4e38])
@pytest.mark.parametrize("share", [0.0001, 0.1])
def test_samples_that_are_no_numbers_cost_themselves(strange: float, share: float) -> None:
    values = (samples.tone(2.0, RATE)[0] / 32_768).astype("<f4")
    values[:: round(1 / share)] = strange
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="wav") as out:
        stream: Any = out.add_stream("pcm_f32le", rate=RATE, layout="mono")
        frame = av.AudioFrame.from_ndarray(values.reshape(1, -1), format="flt", layout="mono")
        frame.sample_rate = RATE
        out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    one, other = both_ways(buffer.getvalue())
    assert np.isfinite(one).all()
    assert np.abs(one).max() <= 1
    assert one.std() > 0.1
    assert np.abs(one[100:-100] - other[100:-100]).max() < 0.02


def test_a_film_of_sound_alone_is_not_a_film_for_invoke_model() -> None:
    with pytest.raises(InvalidInput, match="no video stream"):
        video.decode(samples.audio("m4a"), VideoPart.BOTH, 1.0, RATE)
    assert isinstance(video.decode(samples.audio("m4a"), VideoPart.ANY, 1.0, RATE), Audio)


def test_a_stream_that_shows_up_midway_does_not_end_the_film() -> None:
    """In MPEG program streams nothing says at the beginning which streams will come."""
    film, late = samples.video("mpeg", 14.0), samples.video("mpg", 6.0, with_audio=True)
    begin = samples.video("mpeg", 14.0, with_audio=False)
    with av.open(io.BytesIO(begin)) as container:
        assert len(container.streams) == 1
    for data in (begin + late, begin * 3 + film):
        seen = Segmenter(io.BytesIO(data), Modality.VIDEO, 5.0, 1.0, RATE)
        count = 0
        while seen.segment(count) is not None:
            count += 1
        assert count >= 3


def test_packets_go_on_after_one_of_an_unknown_stream() -> None:
    class Container:
        """As PyAV's, which raises IndexError at such a packet and goes on behind it when asked again."""

        def __init__(self) -> None:
            self.left = iter([1, 2, IndexError("list index out of range"), 3, IndexError(), IndexError(), 4])

        def demux(self, *streams: object) -> object:
            for one in self.left:
                if isinstance(one, IndexError):
                    raise one
                yield one

    assert list(audio.packets(Container())) == [1, 2, 3, 4]  # type: ignore[arg-type, comparison-overlap]
