"""Audio streams to samples: any container and codec of the FFmpeg build inside PyAV."""

from __future__ import annotations

import io
from typing import BinaryIO

import av
import av.error
import numpy as np
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.stream import Stream

from kilonova.media import limits
from kilonova.media.content import Audio
from kilonova.wire.errors import Validation

__all__ = [
    "check_duration",
    "check_stream",
    "decode",
    "mono",
    "open_file",
    "read_samples",
    "reason",
    "refuse_longer",
    "require_decoder",
]


def decode(data: bytes, rate: int) -> Audio:
    """Decode the first audio stream to mono at ``rate`` Hz. Cover art is passed over.

    Raises:
        Validation: no audio stream, damaged, longer than 30 s, or outside the bounds in ``limits``.
    """
    with open_file(io.BytesIO(data)) as container:
        if not container.streams.audio:
            raise Validation("The file has no audio stream.")
        check_duration(container)
        return read_samples(container, rate)


def open_file(file: BinaryIO) -> InputContainer:
    """Open a media file: bytes in memory, or anything else that can be read and sought in.

    Raises:
        Validation: no container format that FFmpeg knows.
    """
    try:
        return av.open(file, mode="r", metadata_errors="replace")
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise Validation(f"The media file cannot be opened: {reason(error)}.") from error


def check_duration(container: InputContainer) -> None:
    """Refuse a file that declares more than a synchronous call takes, before anything is decoded."""
    if container.duration is not None:
        refuse_longer(container.duration / av.time_base)


def read_samples(container: InputContainer, rate: int) -> Audio:
    """Mono samples of the container's first audio stream, mixed and resampled, at most 30 s.

    Raises:
        Validation: as ``decode``.
    """
    stream = container.streams.audio[0]
    check_stream(stream)
    source_rate = stream.rate
    samples = np.concatenate(_frames(container, stream, source_rate))
    if not np.isfinite(samples).all():
        raise Validation("The sound holds values that are not numbers.", "Re-encode it.")
    if source_rate != rate:
        samples = soxr.resample(samples, source_rate, rate, quality="HQ")
    if not len(samples):
        raise Validation("The audio stream is shorter than one sample at the model's rate.")
    return Audio(np.clip(samples, -1.0, 1.0).astype(np.float32), rate)


def require_decoder(stream: Stream) -> None:
    """Refuse a stream whose codec FFmpeg does not know."""
    if stream.codec_context is None:
        raise Validation(f"The {stream.type} stream has a codec that is not known.", "Re-encode the file.")


def check_stream(stream: AudioStream) -> None:
    """Refuse a stream that cannot be decoded within the bounds in ``limits``."""
    require_decoder(stream)
    channels, source_rate = stream.channels, stream.rate
    if not 1 <= channels <= limits.MAX_CHANNELS:
        raise Validation(f"The sound has {channels} channels; 1 to {limits.MAX_CHANNELS} are decoded.")
    if not source_rate or not limits.MIN_SAMPLE_RATE <= source_rate <= limits.MAX_SAMPLE_RATE:
        raise Validation(
            f"The sound has {source_rate} samples a second; "
            f"{limits.MIN_SAMPLE_RATE:,} to {limits.MAX_SAMPLE_RATE:,} are decoded."
        )


def _frames(container: InputContainer, stream: AudioStream, rate: int) -> list[np.ndarray]:
    """The mono samples of every frame; never empty."""
    pieces: list[np.ndarray] = []
    count = 0
    try:
        for frame in container.decode(stream):
            if frame.sample_rate != rate:
                raise Validation("The sound changes its sample rate midway.", "Re-encode it.")
            pieces.append(mono(frame))
            count += len(pieces[-1])
            refuse_longer(count / rate)
    except (av.error.FFmpegError, ValueError) as error:
        # A file cut short still holds sound: what was decoded is used, as players do.
        if not count:
            raise Validation(f"The sound cannot be decoded: {reason(error)}.") from error
    if not count:
        raise Validation("The audio stream holds no sound.")
    return pieces


def mono(frame: av.AudioFrame) -> np.ndarray:
    """The mean of a frame's channels, float32 [n]."""
    data: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype == np.uint8:
        scaled = (data.astype(np.float32) - 128.0) / 128.0
    elif data.dtype.kind == "i":
        scaled = data.astype(np.float32) / 2.0 ** (8 * data.dtype.itemsize - 1)
    else:
        scaled = data.astype(np.float32)
    mono: np.ndarray = scaled.mean(axis=0)
    return mono


def refuse_longer(seconds: float) -> None:
    """Refuse what lasts longer than a synchronous call takes."""
    if seconds > limits.SYNC_SECONDS + limits.GRACE_SECONDS:
        raise Validation(
            f"The media lasts {seconds:.1f} s; InvokeModel takes {limits.SYNC_SECONDS:g} s.",
            "Cut it, or start an asynchronous invocation with SEGMENTED_EMBEDDING.",
        )


def reason(error: Exception) -> str:
    """FFmpeg's own words for what is wrong."""
    return error.strerror if isinstance(error, av.error.FFmpegError) and error.strerror else str(error)
