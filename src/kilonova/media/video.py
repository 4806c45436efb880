"""Films to frames and sound."""

from __future__ import annotations

import io
import math

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from kilonova.media import audio, limits
from kilonova.media.content import Audio, Video, VideoPart
from kilonova.media.frames import Fault, Frames
from kilonova.wire.errors import Validation

__all__ = ["decode", "video_stream"]


def decode(data: bytes, part: VideoPart, frame_rate: float, sample_rate: int) -> Video | Audio | None:
    """Decode a film of at most 30 s.

    Frames are taken by their time stamps, one for each ``1 / frame_rate`` seconds (``media.frames``).

    Returns:
        A ``Video``; for ``VideoPart.SOUND`` an ``Audio``, or None when the film is silent.

    Raises:
        Validation: no video stream, damaged, too long, or outside the bounds in ``limits``.
    """
    with audio.open_file(io.BytesIO(data)) as container:
        stream = video_stream(container)
        audio.check_duration(container)
        if part is VideoPart.SOUND:
            return _sound(container, sample_rate)
        film = _sample(container, stream, frame_rate)
    if part is VideoPart.FRAMES:
        return film
    with audio.open_file(io.BytesIO(data)) as container:
        return Video(film.frames, film.times, _sound(container, sample_rate))


def video_stream(container: InputContainer) -> VideoStream:
    """The film's stream, not its cover picture.

    Raises:
        Validation: there is none, or it is outside the bounds in ``limits``.
    """
    pictures = av.stream.Disposition.attached_pic
    stream = next((s for s in container.streams.video if not s.disposition & pictures), None)
    if stream is None:
        raise Validation("The file has no video stream.", "For sound alone use audio.")
    audio.require_decoder(stream)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.MAX_FRAME_PIXELS:
        raise Validation(f"The film has {width} x {height} pixels; at most {limits.MAX_FRAME_PIXELS:,} are decoded.")
    return stream


def _sound(container: InputContainer, rate: int) -> Audio | None:
    return audio.read_samples(container, rate) if container.streams.audio else None


def _sample(container: InputContainer, stream: VideoStream, frame_rate: float) -> Video:
    faults: list[Fault] = []
    zero = (container.start_time or 0) / av.time_base
    frames = Frames(stream, zero, frame_rate, math.inf, 0, faults)
    try:
        for packet in container.demux(stream):
            frames.add(packet)
            audio.refuse_longer(frames.end)
    except av.error.FFmpegError as error:  # a film cut short is used as far as it goes, as players do
        faults.append((frames.end, audio.reason(error)))
    frames.finish()
    audio.refuse_longer(frames.end)
    found = frames.take(0.0, math.inf, faulty=bool(faults))
    if found is None:
        why = faults[0][1] if faults else "the video stream holds no frames"
        raise Validation(f"The film cannot be decoded: {why}.")
    return found
