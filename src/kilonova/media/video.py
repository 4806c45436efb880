"""Videos to frames and audio."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator

import av
import av.error
from av.container import InputContainer
from av.video.stream import VideoStream

from kilonova.errors import InvalidInput
from kilonova.media import audio, limits
from kilonova.media.content import Audio, Video, VideoPart
from kilonova.media.frames import Fault, Frames

__all__ = ["NoVideo", "decode", "video_stream"]


class NoVideo(InvalidInput):
    """The file has no video stream; it may hold audio."""


def decode(data: bytes, part: VideoPart, frame_rate: float, sample_rate: int) -> Video | Audio | None:
    """Decode a video of at most 30 s.

    Frames are taken by their time stamps, one for each ``1 / frame_rate`` seconds (``media.frames``).

    Returns:
        A ``Video``; for ``VideoPart.AUDIO`` an ``Audio``, or None when the video is silent; for ``VideoPart.ANY`` an
        ``Audio`` where the file has no video stream.

    Raises:
        NoVideo: it has no video stream.
        InvalidInput: it is damaged, too long, or outside the bounds in ``limits``.
    """
    with audio.open_file(io.BytesIO(data)) as container:
        if part is VideoPart.ANY and container.streams.audio and not _has_video(container):
            return audio.decode(data, sample_rate)
        stream = video_stream(container)
        audio.check_duration(container, io.BytesIO(data))
        if part is VideoPart.AUDIO:
            return _audio(container, sample_rate)
        found = _sample(container, stream, frame_rate)
    if part is VideoPart.FRAMES:
        return found
    with audio.open_file(io.BytesIO(data)) as container:
        return Video(found.frames, found.times, _audio(container, sample_rate))


def video_stream(container: InputContainer) -> VideoStream:
    """The video's stream, not its cover image.

    Raises:
        NoVideo: there is none.
        InvalidInput: it is outside the bounds in ``limits``.
    """
    stream = next(_videos(container), None)
    if stream is None:
        raise NoVideo("The file has no video stream.", "For audio alone use audio.")
    audio.require_decoder(stream)
    width, height = stream.codec_context.width, stream.codec_context.height
    if width * height > limits.MAX_FRAME_PIXELS:
        raise InvalidInput(f"The video has {width} x {height} pixels; at most {limits.MAX_FRAME_PIXELS:,} are decoded.")
    return stream


def _videos(container: InputContainer) -> Iterator[VideoStream]:
    cover = av.stream.Disposition.attached_pic
    return (stream for stream in container.streams.video if not stream.disposition & cover)


def _has_video(container: InputContainer) -> bool:
    return next(_videos(container), None) is not None


def _audio(container: InputContainer, rate: int) -> Audio | None:
    return audio.read_samples(container, rate) if audio.is_known(container) else None


def _sample(container: InputContainer, stream: VideoStream, frame_rate: float) -> Video:
    faults: list[Fault] = []
    zero = (container.start_time or 0) / av.time_base
    frames = Frames(stream, zero, frame_rate, math.inf, 0, faults)
    try:
        for packet in audio.packets(container, stream):
            frames.add(packet)
            audio.refuse_longer(frames.end)
    except av.error.FFmpegError as error:  # a video cut short is used as far as it goes, as players do
        faults.append((frames.end, audio.reason(error)))
    frames.finish()
    audio.refuse_longer(frames.end)
    found = frames.take(0.0, math.inf, faulty=bool(faults))
    if found is None:
        why = faults[0][1] if faults else "the video stream holds no frames"
        raise InvalidInput(f"The video cannot be decoded: {why}.")
    return found
