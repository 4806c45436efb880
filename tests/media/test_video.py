import io
from fractions import Fraction

import av
import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import limits, video
from kilonova.media.content import Audio, Video, VideoPart
from tests import samples

RATE = 32_000


def decode(data: bytes, part: VideoPart = VideoPart.BOTH, fps: float = 1.0) -> Video:
    found = video.decode(data, part, fps, RATE)
    assert isinstance(found, Video)
    assert len(found.frames) == len(found.times)
    return found


@pytest.mark.parametrize("form", samples.VIDEOS)
def test_every_format(form: str) -> None:
    found = decode(samples.video(form))
    assert found.frames.shape == (2, 64, 96, 3)
    assert np.floor(found.times).tolist() == [0, 1]
    light = found.frames[:, 20:].mean(axis=(1, 2, 3))
    shown = 2.0 * (light - 16) / 220
    assert (found.times[0] - 0.2 < shown).all()
    assert (shown < found.times + 0.2).all()  # a key frame may be from before, none is from after
    assert shown[1] > shown[0] + 0.05
    assert found.audio is not None
    assert abs(found.audio.seconds - 2.0) < 0.1


def test_frames_are_taken_by_time_whatever_is_dropped() -> None:
    for drop in (0, 6):
        found = decode(samples.video("mkv", 4.0, drop=drop), fps=2.0)
        assert found.times.tolist() == [0.25, 0.75, 1.25, 1.75, 2.25, 2.75, 3.25, 3.75]
        light = found.frames[:, 20:].mean(axis=(1, 2, 3))
        shown = 4.0 * (light - 16) / 220  # by count it would drift further and further
        assert ((found.times - 2.1 < shown) & (shown < found.times + 0.1)).all()


def test_shortly_after_a_key_frame_it_is_what_is_on_the_screen() -> None:
    film = decode(_film_with_key_frames([0.0, 2.6, 7.3], seconds=16.0), fps=0.5)
    assert film.times.tolist() == [1.0, 3.0, 5.0, 7.0, 9.0, 11.0, 13.0, 15.0]
    shown = film.frames.mean(axis=(1, 2, 3)) / 1.5 / 10
    # a film's first frame is often black; 2.6 and 7.3 stand for up to three seconds after them
    assert shown == pytest.approx([0.9, 2.6, 2.6, 6.9, 7.3, 10.9, 12.9, 14.9], abs=0.2)


def _film_with_key_frames(times: list[float], seconds: float, rate: int = 10) -> bytes:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"g": "1000", "sc_threshold": "0"})
        stream.width, stream.height, stream.pix_fmt = 64, 64, "yuv420p"
        for index in range(round(seconds * rate)):
            frame = av.VideoFrame.from_ndarray(np.full((64, 64, 3), index * 1.5, np.uint8), format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            if round(index / rate, 3) in times:
                frame.pict_type = av.video.frame.PictureType.I
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    return buffer.getvalue()


@pytest.mark.parametrize(
    ("seconds", "frames"), [(0.1, 1), (0.9, 1), (1.0, 1), (1.6, 2), (5.0, 5), (5.1, 5), (30.0, 30)]
)
def test_how_many_frames(seconds: float, frames: int) -> None:
    assert len(decode(samples.video("mkv", seconds, size=(32, 32))).frames) == frames


def test_parts() -> None:
    data = samples.video("mp4")
    assert decode(data, VideoPart.FRAMES).audio is None
    found = video.decode(data, VideoPart.AUDIO, 1.0, RATE)
    assert isinstance(found, Audio)
    assert abs(found.seconds - 2.0) < 0.1


def test_a_silent_film() -> None:
    data = samples.video("mp4", with_audio=False)
    assert decode(data).audio is None
    assert video.decode(data, VideoPart.AUDIO, 1.0, RATE) is None


@pytest.mark.parametrize("degrees", [90, 180, 270])
def test_rotation(degrees: int) -> None:
    source = io.BytesIO(samples.video("mp4", with_audio=False))
    turned = io.BytesIO()
    with av.open(source, "r") as given, av.open(turned, "w", format="mp4") as out:
        stream = out.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                out.mux(packet)
    data = with_rotation(turned.getvalue(), degrees)
    plain, found = decode(source.getvalue()).frames[1], decode(data).frames[1]
    assert np.abs(found.astype(int) - np.rot90(plain, k=-degrees // 90)).mean() < 3


def with_rotation(data: bytes, degrees: int) -> bytes:
    """The mp4 with its track's display matrix set to so many degrees clockwise."""
    one = 1 << 16
    cos, sin = {90: (0, one), 180: (-one, 0), 270: (0, -one)}[degrees]
    identity = b"".join(value.to_bytes(4, "big", signed=True) for value in (one, 0, 0, 0, one, 0, 0, 0, 1 << 30))
    matrix = b"".join(value.to_bytes(4, "big", signed=True) for value in (cos, sin, 0, -sin, cos, 0, 0, 0, 1 << 30))
    track = data.index(b"tkhd")
    place = data.index(identity, track)
    return data[:place] + matrix + data[place + len(matrix) :]


def test_large_frames_are_bounded() -> None:
    found = decode(samples.video("mp4", 0.5, size=(1280, 720), with_audio=False))
    assert found.frames.shape[1:3] == (252, limits.VIDEO_SIDE)


def test_a_stream_that_changes_its_size() -> None:
    buffer = io.BytesIO()
    with av.open(buffer, "w", format="mpegts") as out:
        for part, size in enumerate([(64, 64), (128, 96)]):
            codec = av.CodecContext.create("mpeg2video", "w")
            codec.width, codec.height, codec.pix_fmt = *size, "yuv420p"
            codec.time_base = Fraction(1, 25)
            if part == 0:
                stream = out.add_stream("mpeg2video", rate=25)
                stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
            for index in range(50):
                frame = av.VideoFrame.from_ndarray(np.full((size[1], size[0], 3), 100, np.uint8), format="rgb24")
                frame.pts, frame.time_base = part * 50 + index, Fraction(1, 25)
                for packet in codec.encode(frame):
                    packet.stream = stream
                    out.mux(packet)
    found = decode(buffer.getvalue())
    assert found.frames.shape[1:] == (64, 64, 3)
    assert len(found.frames) == 4


def test_what_is_no_film() -> None:
    with pytest.raises(InvalidInput, match="no video stream"):
        decode(samples.audio("m4a"))
    with pytest.raises(InvalidInput):
        decode(b"\x00\x00\x00\x18ftypmp42" + b"\x00" * 100)


def test_at_most_30_seconds() -> None:
    with pytest.raises(InvalidInput, match="30 s"):
        decode(samples.video("mkv", 31.0, size=(32, 32), with_audio=False))
