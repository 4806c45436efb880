"""Films to frames and sound."""

from __future__ import annotations

import io

import av
import av.error
import numpy as np
import PIL.Image
from av.container import InputContainer
from av.video.stream import VideoStream

from kilonova.media import audio, limits
from kilonova.media.content import Audio, Video, VideoPart
from kilonova.wire.errors import Validation

__all__ = ["decode", "upright", "video_stream"]


def decode(data: bytes, part: VideoPart, frame_rate: float, sample_rate: int) -> Video | Audio | None:
    """Decode a film of at most 30 s.

    Frames are taken by their time stamps, one in the middle of each ``1 / frame_rate`` seconds, so that a
    variable frame rate or dropped frames do not shift them.

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
        frames, times = _sample(container, stream, frame_rate)
    if part is VideoPart.FRAMES:
        return Video(frames, times)
    with audio.open_file(io.BytesIO(data)) as container:
        return Video(frames, times, _sound(container, sample_rate))


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


def _sample(container: InputContainer, stream: VideoStream, frame_rate: float) -> tuple[np.ndarray, np.ndarray]:
    """Frames uint8 [n, height, width, 3] and their times float64 [n] in seconds from the first frame."""
    stream.thread_type = "AUTO"
    frames: list[np.ndarray] = []
    times: list[float] = []
    last: av.VideoFrame | None = None
    last_time = start = 0.0
    try:
        for frame in container.decode(stream):
            if frame.width * frame.height > limits.MAX_FRAME_PIXELS:
                raise Validation("The film's frames grow beyond the bound midway.")
            time = frame.time if frame.time is not None else last_time
            if last is None:
                start = time
            time -= start
            audio.refuse_longer(time)
            # The frame on the screen at a wanted time is the last one that began before it.
            while last is not None and time > (wanted := (len(frames) + 0.5) / frame_rate):
                frames.append(upright(last, frames[0].shape if frames else None))
                times.append(wanted)
            last, last_time = frame, time
    except (av.error.FFmpegError, ValueError) as error:
        if last is None:  # a film cut short is used as far as it goes, as players do
            raise Validation(f"The film cannot be decoded: {error}.") from error
    if last is None:
        raise Validation("The video stream holds no frames.")
    if not frames or last_time >= (len(frames) + 0.5) / frame_rate:
        frames.append(upright(last, frames[0].shape if frames else None))
        times.append(last_time)
    return np.stack(frames), np.array(times)


def upright(frame: av.VideoFrame, shape: tuple[int, ...] | None = None) -> np.ndarray:
    """A frame's pixels uint8 [height, width, 3], upright, bounded in size, and of a shape if one is given."""
    scale = min(1.0, limits.VIDEO_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    pixels: np.ndarray = scaled.to_ndarray()
    # FFmpeg's rotation says by how many degrees counterclockwise the picture must be turned to stand upright.
    pixels = np.ascontiguousarray(np.rot90(pixels, k=round((frame.rotation or 0) / 90) % 4))
    if shape is not None and pixels.shape != shape:  # a stream may change its size midway
        tall, wide = shape[:2]
        pixels = np.asarray(PIL.Image.fromarray(pixels).resize((wide, tall)))
    return pixels
