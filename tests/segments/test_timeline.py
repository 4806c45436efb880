"""Segments of long media: every instant in exactly one of them, whatever the container says."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import audio, video
from kilonova.media.content import Modality, Video, VideoPart
from kilonova.segments.segment import Segment
from kilonova.segments.timeline import Segmenter
from tests import samples

RATE, FPS = 32_000, 1.0


def segments_of(data: bytes, modality: Modality, seconds: float = 5.0, first: int = 0) -> list[Segment]:
    segmenter = Segmenter(io.BytesIO(data), modality, seconds, FPS, RATE)
    found, index = [], first
    while (segment := segmenter.segment(index)) is not None:
        found.append(segment)
        index += 1
    return found


@pytest.mark.parametrize(
    ("seconds", "ends"),
    [(0.9, [0.9]), (5.0, [5.0]), (5.01, [5.01]), (5.4, [5.4]), (5.6, [5.0, 5.6]), (12.0, [5.0, 10.0, 12.0])],
)
def test_sound_at_the_edges_of_segments(seconds: float, ends: list[float]) -> None:
    found = segments_of(samples.audio("wav", seconds), Modality.AUDIO)
    assert [segment.end for segment in found] == pytest.approx(ends, abs=0.002)
    assert [segment.start for segment in found] == pytest.approx([0.0, *ends[:-1]], abs=0.002)
    for segment, start, end in zip(found, [0.0, *ends[:-1]], ends, strict=True):
        assert segment.audio is not None
        assert len(segment.audio.samples) == pytest.approx((end - start) * RATE, abs=2)
        assert segment.audio.samples.std() > 0.2  # the tone goes through


@pytest.mark.parametrize("form", [*samples.AUDIO_FORMATS, *samples.AUDIO_CODECS])
def test_sound_of_every_format_joins_up(form: str) -> None:
    found = segments_of(samples.audio(form, 11.0), Modality.AUDIO)
    whole = np.concatenate([segment.audio.samples for segment in found if segment.audio is not None])
    assert len(found) == 3
    assert len(whole) / RATE == pytest.approx(11.0, abs=0.1)
    steps = np.abs(np.diff(whole[2000:-4000]))  # encoders begin and end softly
    assert steps.max() < 0.05  # 440 Hz at this level moves 0.032 a sample: no clicks where segments meet


@pytest.mark.parametrize("form", [*samples.VIDEOS, *samples.CODECS])
def test_film_of_every_format(form: str) -> None:
    found = segments_of(samples.video(form, 7.0), Modality.VIDEO)
    assert [segment.start for segment in found] == [0.0, 5.0]
    assert found[1].end == pytest.approx(7.0, abs=0.15)
    for segment, count in zip(found, (5, 2), strict=True):
        assert segment.video is not None
        assert segment.audio is not None
        assert not segment.fault
        assert len(segment.video.frames) == count
    light = [
        float(frame[40:, 60:].mean()) for segment in found for frame in (segment.video.frames if segment.video else ())
    ]
    assert light == sorted(light)
    assert light[0] < 60
    assert light[-1] > 200


def test_a_segment_is_what_the_cut_film_would_be() -> None:
    data = samples.video("mp4", 4.0)
    (segment,) = segments_of(data, Modality.VIDEO)
    whole = video.decode(data, VideoPart.FRAMES, FPS, RATE)
    assert segment.video is not None
    assert isinstance(whole, Video)
    assert np.array_equal(segment.video.frames, whole.frames)
    assert segment.video.times.tolist() == whole.times.tolist()


@pytest.mark.slow
@pytest.mark.parametrize("form", ["mp4", "mkv", "webm", "mpg", "flv", "wmv"])
def test_going_on_in_the_middle_gives_the_same_pieces(form: str) -> None:
    data = samples.video(form, 17.0, fps=25)
    whole, rest = segments_of(data, Modality.VIDEO), segments_of(data, Modality.VIDEO, first=2)
    assert [(segment.index, segment.start) for segment in rest] == [(2, 10.0), (3, 15.0)]
    for one, other in zip(whole[2:], rest, strict=True):
        assert one.end == pytest.approx(other.end, abs=0.05)
        assert one.video is not None
        assert other.video is not None
        assert np.abs(one.video.frames.astype(int) - other.video.frames).max() <= 2
        assert one.audio is not None
        assert other.audio is not None
        assert _apart(one.audio.samples, other.audio.samples) < 0.02


def _apart(one: np.ndarray, other: np.ndarray) -> float:
    """The largest difference, after the shift of up to 1.5 ms that a container's rounded time stamps may cause."""
    middle = slice(800, -800)
    return min(float(np.abs(one - np.roll(other, shift))[middle].max()) for shift in range(-48, 49))


def test_film_without_sound() -> None:
    found = segments_of(samples.video("mp4", 6.0, with_audio=False), Modality.VIDEO)
    assert [segment.audio for segment in found] == [None, None]
    assert all(segment.video is not None for segment in found)


def test_sound_that_begins_late_stays_in_its_place() -> None:
    found = segments_of(samples.video("mp4", 8.0, late=6.0), Modality.VIDEO)
    assert found[0].audio is None
    assert found[1].audio is not None
    heard = np.abs(found[1].audio.samples) > 0.05
    assert np.argmax(heard) / RATE == pytest.approx(1.0, abs=0.05)


def test_dropped_frames_do_not_shift_times() -> None:
    found = segments_of(samples.video("mkv", 10.0, fps=10, drop=6), Modality.VIDEO)
    assert [segment.end for segment in found] == pytest.approx([5.0, 10.0], abs=0.11)
    assert [len(segment.video.frames) for segment in found if segment.video is not None] == [5, 5]


def test_damage_costs_only_its_own_segment() -> None:
    data = bytearray(samples.audio("flac", 30.0))
    start, end = len(data) // 3, len(data) * 7 // 10
    data[start:end] = bytes(end - start)
    found = segments_of(bytes(data), Modality.AUDIO)
    assert [segment.end for segment in found] == pytest.approx([5.0, 10.0, 15.0, 20.0, 25.0, 30.0], abs=0.1)
    assert [segment.audio is None for segment in found] == [False, False, True, True, False, False]
    assert "Nothing can be decoded between 15 and 20 s" in found[3].fault


def test_a_film_cut_short_is_used_as_far_as_it_goes() -> None:
    data = samples.video("mkv", 12.0)
    found = segments_of(data[: len(data) * 2 // 3], Modality.VIDEO)
    assert found[0].video is not None
    assert found[-1].end == pytest.approx(8.5, abs=3.5)


@pytest.mark.parametrize(
    ("data", "modality", "said"),
    [
        (b"no film at all" * 100, Modality.VIDEO, "cannot be opened"),
        (samples.audio("wav", 1.0), Modality.VIDEO, "no video stream"),
        (samples.video("mp4", 1.0, with_audio=False), Modality.AUDIO, "no audio stream"),
    ],
)
def test_refusals(data: bytes, modality: Modality, said: str) -> None:
    with pytest.raises(InvalidInput, match=said):
        Segmenter(io.BytesIO(data), modality, 5.0, FPS, RATE).segment(0)


def test_too_many_segments_are_refused_before_anything_is_decoded() -> None:
    with pytest.raises(InvalidInput, match="1,500 segments of 1 s; at most 1,434"):
        Segmenter(io.BytesIO(_silence(1500.0)), Modality.AUDIO, 1.0, FPS, RATE)


@pytest.mark.slow
def test_more_than_two_hours_are_refused() -> None:
    with pytest.raises(InvalidInput, match="over 2 hours"):
        Segmenter(io.BytesIO(_silence(7300.0)), Modality.AUDIO, 30.0, FPS, RATE)


def _silence(seconds: float) -> bytes:
    import wave

    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(1)
        file.setframerate(4_000)
        file.writeframes(bytes([128]) * round(seconds * 4_000))
    return buffer.getvalue()


def test_what_stays_on_the_screen_is_seen_in_every_segment() -> None:
    """Recordings of screens have one key frame, and a frame only where something changes."""
    buffer, times = io.BytesIO(), [0.0, 0.1, 3.0, 9.0, 11.0, 19.0, 26.0, 27.0, 33.0, 41.0]
    with av.open(buffer, "w", format="matroska") as out:
        stream = out.add_stream("libx264", rate=10, options={"g": "1000", "bf": "4"})
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        for number, time in enumerate(times):
            frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 20 * number, np.uint8), format="rgb24")
            frame.pts, frame.time_base = round(time * 1000), Fraction(1, 1000)
            out.mux(stream.encode(frame))
        out.mux(stream.encode(None))
    found = segments_of(buffer.getvalue(), Modality.VIDEO)
    assert [one.fault for one in found] == [""] * 9
    for one in found:
        assert one.video is not None
        assert (one.video.times >= 0).all()
        for time, pixels in zip(one.video.times, one.video.frames, strict=True):
            shown = sum(before <= one.start + time for before in times) - 1
            if one.start + time < 3.0:
                continue  # what is near a key frame is taken from it
            assert abs(pixels.mean() - 20 * shown) < 12


def test_sound_that_changes_its_rate_midway_is_heard() -> None:
    """Podcasts are joined of segments."""
    data = samples.audio("mp3", 6.0, rate=44_100) + samples.audio("mp3", 6.0, rate=48_000)
    found = segments_of(data, Modality.AUDIO)
    assert found[-1].end == pytest.approx(12.0, abs=0.3)
    assert all(one.audio is not None and np.abs(one.audio.samples).mean() > 0.01 for one in found)
    assert audio.decode(data, RATE).seconds == pytest.approx(12.0, abs=0.3)
