"""A look into long media: one frame, or some seconds of audio, without reading the rest."""

from __future__ import annotations

from pathlib import Path

import av
import av.error
import numpy as np
import soxr

from kilonova.errors import InvalidInput
from kilonova.media import audio, video
from kilonova.media.content import Audio

__all__ = ["audio_at", "frame_at"]


def frame_at(path: Path, second: float) -> np.ndarray:
    """The frame uint8 [height, width, 3] shown at a time of a video, the last one before it where there is a gap.

    Raises:
        InvalidInput: the file has no frames there, or none that can be decoded.
    """
    with path.open("rb") as file, audio.open_file(file) as container:
        stream = video.video_stream(container)
        found = None
        try:
            zero = (container.start_time or 0) / av.time_base
            container.seek(round((zero + second) * av.time_base), backward=True)
            for frame in container.decode(stream):
                if found is not None and frame.time is not None and frame.time - zero > second:
                    break
                found = frame
        except av.error.FFmpegError as error:
            if found is None:
                raise InvalidInput(f"No frame can be decoded at {second:g} s: {audio.reason(error)}.") from error
        if found is None:
            raise InvalidInput(f"The video has no frame at {second:g} s.")
        pixels: np.ndarray = found.to_ndarray(format="rgb24")
        return pixels


def audio_at(path: Path, start: float, end: float, rate: int) -> Audio:
    """The audio between two times of an audio or video file, mono at ``rate`` Hz.

    Raises:
        InvalidInput: there is none, or none that can be decoded.
    """
    parts: list[np.ndarray] = []
    with path.open("rb") as file, audio.open_file(file) as container:
        stream = audio.first_stream(container)
        if stream is None:
            raise InvalidInput("The file has no audio stream.")
        audio.check_stream(stream)
        source = stream.rate
        try:
            zero = (container.start_time or 0) / av.time_base
            container.seek(round((zero + start) * av.time_base), backward=True)
            for frame in container.decode(stream):
                time = (frame.time or 0.0) - zero
                if time >= end:
                    break
                samples = audio.mono_at(frame, source)
                first, last = max(0, round((start - time) * source)), max(0, round((end - time) * source))
                parts.append(samples[first:last])
        except av.error.FFmpegError as error:
            if not parts:
                raise InvalidInput(f"Nothing can be decoded at {start:g} s: {audio.reason(error)}.") from error
    samples = np.concatenate(parts) if parts else np.zeros(0, np.float32)
    if not len(samples):
        raise InvalidInput(f"There is no audio between {start:g} and {end:g} s.")
    return Audio(soxr.resample(samples.astype(np.float32), source, rate), rate)
