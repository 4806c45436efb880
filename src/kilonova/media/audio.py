"""Audio streams to samples: any container and codec of the FFmpeg build inside PyAV."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.error
import av.stream
import numpy as np
import soxr
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.packet import Packet
from av.stream import Stream

from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Audio

__all__ = [
    "FORMATS",
    "check_duration",
    "check_stream",
    "decode",
    "first_stream",
    "is_known",
    "lasts",
    "mono",
    "mono_at",
    "open_file",
    "packets",
    "read_samples",
    "reason",
    "refuse_longer",
    "require_decoder",
]

#: FFmpeg's demuxers that are used. None of them opens other files or connections, as those of playlists (HLS, DASH,
#: concat) and of sessions (SDP, RTSP) do.
FORMATS = ",".join(
    (
        *("aac", "ac3", "aiff", "asf", "au", "avi", "caf", "dv", "eac3", "flac", "flv", "h264", "hevc"),
        *("matroska", "webm", "mov", "mp4", "mp3", "mpeg", "mpegts", "mpegvideo", "mxf", "ogg", "tta", "w64", "wav"),
        "wv",
    )
)
_PICTURE = av.stream.Disposition.attached_pic
_OPTIONS = {"format_whitelist": FORMATS, "protocol_whitelist": "none"}
# Below this share of what its channels hold, their mean has lost the audio: they cancel each other out.
_CANCELLED = 0.01
_LOUDEST = 100.0  # samples beyond it are damaged; full scale is 1


def decode(data: bytes, rate: int) -> Audio:
    """Decode the first audio stream to mono at ``rate`` Hz. Cover art is passed over.

    Raises:
        InvalidInput: no audio stream, damaged, longer than 30 s, or outside the bounds in ``limits``.
    """
    with open_file(io.BytesIO(data)) as container:
        if not container.streams.audio:
            raise InvalidInput("The file has no audio stream.")
        check_duration(container, io.BytesIO(data))
        return read_samples(container, rate)


def open_file(file: BinaryIO) -> InputContainer:
    """Open a media file: bytes in memory, or anything else that can be read and sought in.

    Raises:
        InvalidInput: no container format that FFmpeg knows.
    """
    try:
        return av.open(file, mode="r", metadata_errors="replace", options=_OPTIONS)
    except (av.error.FFmpegError, ValueError, OverflowError) as error:
        raise InvalidInput(f"The media file cannot be opened: {reason(error)}.") from error


def is_known(container: InputContainer) -> bool:
    """Whether anything is known of the first audio stream: where a video's audio is announced and never comes, or comes
    late, FFmpeg knows no channels of it, and the video is silent."""
    stream = first_stream(container)
    return stream is not None and (stream.codec_context is None or stream.channels > 0)


def first_stream(container: InputContainer) -> AudioStream | None:
    """The container's first audio stream, if there is any."""
    return container.streams.audio[0] if container.streams.audio else None


def packets(container: InputContainer, *streams: Stream) -> Iterator[Packet[Any]]:
    """The packets of some streams. Those of other streams that show up midway, as in VOB files, are passed over: PyAV
    knows the streams that were there when the file was opened, and breaks off at others."""
    while True:
        try:
            yield from container.demux(*streams)
        except IndexError:
            continue
        return


def check_duration(container: InputContainer, file: BinaryIO) -> None:
    """Refuse a file that lasts longer than a synchronous call takes, before anything is decoded."""
    refuse_longer(lasts(container, file, limits.SYNC_SECONDS + limits.GRACE_SECONDS))


def lasts(container: InputContainer, file: BinaryIO, most: float) -> float:
    """Seconds that a file lasts, as far as can be known before it is decoded.

    What the container says is not believed where it is more than is taken: FFmpeg guesses the length of many files
    from their first bytes. There, the times of all packets of the stream are looked at.

    Args:
        container: the open file.
        file: the same bytes, which are read once more from their beginning.
        most: how long it may last.
    """
    said = container.duration / av.time_base if container.duration is not None else 0.0
    if said <= most:
        return said
    file.seek(0)
    first, last = math.inf, 0.0
    with open_file(file) as whole:
        streams = [*(one for one in whole.streams.video if not one.disposition & _PICTURE), *whole.streams.audio]
        if not streams:
            return said
        try:
            for packet in packets(whole, streams[0]):
                if packet.pts is not None and packet.time_base is not None:
                    first = min(first, float(packet.pts * packet.time_base))
                    last = max(last, float((packet.pts + (packet.duration or 0)) * packet.time_base))
        except av.error.FFmpegError:  # cut short: it lasts as long as there is something
            return max(0.0, last - first)
    return max(0.0, last - first)


def read_samples(container: InputContainer, rate: int) -> Audio:
    """Mono samples of the container's first audio stream, mixed and resampled, at most 30 s.

    Raises:
        InvalidInput: as ``decode``.
    """
    stream = container.streams.audio[0]
    check_stream(stream)
    source_rate = stream.rate
    samples = np.concatenate(_frames(container, stream, source_rate))
    if source_rate != rate:
        samples = soxr.resample(samples, source_rate, rate, quality="HQ")
    if not len(samples):
        raise InvalidInput("The audio stream is shorter than one sample at the model's rate.")
    return Audio(np.clip(samples, -1.0, 1.0).astype(np.float32), rate)


def require_decoder(stream: Stream) -> None:
    """Refuse a stream whose codec FFmpeg does not know."""
    if stream.codec_context is None:
        raise InvalidInput(f"The {stream.type} stream has a codec that is not known.", "Re-encode the file.")


def check_stream(stream: AudioStream) -> None:
    """Refuse a stream that cannot be decoded within the bounds in ``limits``."""
    require_decoder(stream)
    channels, source_rate = stream.channels, stream.rate
    if not 1 <= channels <= limits.MAX_CHANNELS:
        raise InvalidInput(f"The audio has {channels} channels; 1 to {limits.MAX_CHANNELS} are decoded.")
    if not source_rate or not limits.MIN_SAMPLE_RATE <= source_rate <= limits.MAX_SAMPLE_RATE:
        raise InvalidInput(
            f"The audio has {source_rate} samples a second; "
            f"{limits.MIN_SAMPLE_RATE:,} to {limits.MAX_SAMPLE_RATE:,} are decoded."
        )


def _frames(container: InputContainer, stream: AudioStream, rate: int) -> list[np.ndarray]:
    """The mono samples of every frame; never empty. What is damaged is left out, as players do."""
    pieces: list[np.ndarray] = []
    count, fault = 0, None
    try:
        for packet in packets(container, stream):
            try:
                frames = packet.decode()
            except (av.error.FFmpegError, ValueError) as error:  # a tag between pieces that were joined, say
                fault = error
                continue
            for frame in frames:
                assert isinstance(frame, av.AudioFrame)
                pieces.append(mono_at(frame, rate))
                count += len(pieces[-1])
                refuse_longer(count / rate)
    except (av.error.FFmpegError, ValueError) as error:  # a file cut short
        fault = error
    if not count:
        raise InvalidInput(
            f"The audio cannot be decoded: {reason(fault)}." if fault else "The audio stream holds no audio."
        )
    return pieces


def mono(frame: av.AudioFrame) -> np.ndarray:
    """The mean of a frame's channels, float32 [n]; their first one where they cancel each other out, as those of
    recordings with one microphone wired the wrong way do. Samples that are no numbers are silence."""
    data: np.ndarray = frame.to_ndarray()
    if not frame.format.is_planar:
        data = data.reshape(-1, frame.layout.nb_channels).T
    if data.dtype == np.uint8:
        scaled = (data.astype(np.float32) - 128.0) / 128.0
    elif data.dtype.kind == "i":
        scaled = data.astype(np.float32) / 2.0 ** (8 * data.dtype.itemsize - 1)
    else:
        finite = np.nan_to_num(data, nan=0.0, posinf=1.0, neginf=-1.0)
        scaled = np.clip(finite, -_LOUDEST, _LOUDEST).astype(np.float32)
    mixed: np.ndarray = scaled.mean(axis=0)
    if len(scaled) == 1 or not mixed.size:
        return mixed
    powers = np.square(scaled).mean(axis=1)
    if np.square(mixed).mean() >= _CANCELLED * powers.mean() or np.count_nonzero(powers) < 2:
        return mixed
    # the first that is not much softer than the loudest: the choice shall not change from frame to frame
    chosen: np.ndarray = scaled[int(np.argmax(powers >= 0.1 * powers.max()))]
    return chosen


def mono_at(frame: av.AudioFrame, rate: int) -> np.ndarray:
    """As ``mono``, at ``rate`` Hz: recordings that were joined, and damaged frames, change their rate midway. A frame
    of a rate that is not decoded has no samples."""
    if frame.sample_rate == rate:
        return mono(frame)
    if not limits.MIN_SAMPLE_RATE <= frame.sample_rate <= limits.MAX_SAMPLE_RATE:
        return np.zeros(0, np.float32)
    made: np.ndarray = soxr.resample(mono(frame), frame.sample_rate, rate, quality="HQ")
    return made


def refuse_longer(seconds: float) -> None:
    """Refuse what lasts longer than a synchronous call takes."""
    if seconds > limits.SYNC_SECONDS + limits.GRACE_SECONDS:
        raise InvalidInput(
            f"The media lasts {seconds:.1f} s; InvokeModel takes {limits.SYNC_SECONDS:g} s.",
            "Cut it, or start an asynchronous invocation with SEGMENTED_EMBEDDING.",
        )


def reason(error: Exception) -> str:
    """FFmpeg's own words for what is wrong."""
    words = error.strerror if isinstance(error, av.error.FFmpegError) and error.strerror else str(error)
    return words.rstrip(".")
