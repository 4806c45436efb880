"""Media that tests make themselves: small, deterministic, in every format of the wire contract."""

from __future__ import annotations

import contextlib
import io
import os
from collections.abc import Iterator
from fractions import Fraction
from functools import cache
from typing import Any

import av
import numpy as np
import PIL.Image

__all__ = [
    "AUDIO_CODECS",
    "AUDIO_FORMATS",
    "CODECS",
    "IMAGES",
    "VIDEOS",
    "audio",
    "encode",
    "encode_audio",
    "gradient",
    "image",
    "tone",
    "video",
]

#: Pillow's format name by the contract's.
IMAGES = {"png": "PNG", "jpeg": "JPEG", "gif": "GIF", "webp": "WEBP"}
#: Container and codec by the contract's audio format.
AUDIO_FORMATS = {
    "mp3": ("mp3", "libmp3lame"),
    "wav": ("wav", "pcm_s16le"),
    "ogg": ("ogg", "libopus"),
    "flac": ("flac", "flac"),
    "m4a": ("ipod", "aac"),
}
#: The same for a codec that a format may hold besides.
AUDIO_CODECS = {"ogg Vorbis": ("ogg", "vorbis")}
#: Container, video codec and audio codec by the contract's video format.
VIDEOS = {
    "mp4": ("mp4", "libx264", "aac"),
    "mov": ("mov", "libx264", "aac"),
    "mkv": ("matroska", "libx264", "libopus"),
    "webm": ("webm", "libvpx-vp9", "libopus"),
    "flv": ("flv", "flv", "libmp3lame"),
    "mpeg": ("mpeg", "mpeg2video", "mp2"),
    "mpg": ("mpeg", "mpeg1video", "mp2"),
    "wmv": ("asf", "wmv2", "wmav2"),
    "3gp": ("3gp", "libx264", "aac"),
}
#: The same for codecs that a format may hold besides.
CODECS = {
    "mp4 HEVC": ("mp4", "libx265", "aac"),
    "mp4 AV1": ("mp4", "libsvtav1", "aac"),
    "mp4 MPEG-4": ("mp4", "mpeg4", "aac"),
    "webm VP8": ("webm", "libvpx", "libopus"),
}


def gradient(width: int, height: int) -> np.ndarray:
    """Pixels uint8 [height, width, 3] that differ in every corner."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return np.stack([x, y, 255 - x], axis=-1).astype(np.uint8)


def image(form: str = "png", width: int = 96, height: int = 64, **options: object) -> bytes:
    """An image file of a gradient."""
    return encode(PIL.Image.fromarray(gradient(width, height)), form, **options)


def encode(image: PIL.Image.Image, form: str, **options: object) -> bytes:
    """A Pillow image as a file."""
    buffer = io.BytesIO()
    image.save(buffer, IMAGES.get(form, form), **options)
    return buffer.getvalue()


def tone(seconds: float, rate: int, channels: int = 1, hertz: float = 440.0) -> np.ndarray:
    """A sine int16 [channels, n]; every channel a fifth above the one before."""
    time = np.arange(round(seconds * rate)) / rate
    waves = [np.sin(2 * np.pi * hertz * 1.5**index * time) for index in range(channels)]
    return (np.stack(waves) * 12_000).astype(np.int16)


@cache
def audio(form: str = "wav", seconds: float = 1.0, rate: int = 32_000, layout: str = "mono") -> bytes:
    """An audio file of a tone."""
    container, codec = (AUDIO_FORMATS | AUDIO_CODECS)[form]
    buffer = io.BytesIO()
    with av.open(buffer, "w", format=container) as out:
        rate = 48_000 if codec == "libopus" else rate
        layout = "stereo" if codec == "vorbis" else layout  # FFmpeg's own encoder knows nothing else
        stream: Any = out.add_stream(codec, rate=rate, layout=layout, options={"strict": "experimental"})
        out.mux(encode_audio(stream, tone(seconds, rate, stream.layout.nb_channels), layout, rate))
    return buffer.getvalue()


@cache
def video(
    form: str = "mp4",
    seconds: float = 2.0,
    fps: int = 10,
    size: tuple[int, int] = (96, 64),
    with_audio: bool = True,
    drop: int = 0,
    late: float = 0.0,
) -> bytes:
    """A video whose brightness rises with time, and a tone.

    ``drop`` leaves out so many of every ten frames; ``late`` is when the tone begins, in seconds.
    """
    container, codec, audio_codec = (VIDEOS | CODECS)[form]
    buffer = io.BytesIO()
    rate = 25 if codec.startswith("mpeg") else fps
    with _same_scheduling(), av.open(buffer, "w", format=container) as out:
        stream: Any = out.add_stream(codec, rate=rate)  # of which av knows the kind only when it runs
        stream.width, stream.height, stream.pix_fmt = *size, "yuv420p"
        stream.codec_context.time_base = Fraction(1, rate)
        stream.codec_context.gop_size = 2 * rate
        extra: Any = (
            out.add_stream(audio_codec, rate=_AUDIO_RATES.get(audio_codec, 48_000), layout="mono")
            if with_audio
            else None
        )
        if extra is not None:
            extra.bit_rate = 64_000  # wmav2 has no default
        count = round(seconds * rate)
        packets: list[Any] = []
        for index in range(count):
            if index % 10 >= 10 - drop and index != count - 1:
                continue
            pixels = np.full((size[1], size[0], 3), 16 + 220 * index / max(1, count - 1), np.uint8)
            pixels[: size[1] // 4, : size[0] // 4] = (255, 0, 0)  # a red mark in the upper left corner
            frame = av.VideoFrame.from_ndarray(pixels, format="rgb24")
            frame.pts, frame.time_base = index, Fraction(1, rate)
            packets += stream.encode(frame)
        packets += stream.encode(None)
        if extra is not None:
            rate = extra.rate
            packets += encode_audio(extra, tone(seconds - late, rate), "mono", rate, round(late * rate))
        packets.sort(key=lambda packet: packet.dts * packet.time_base)
        out.mux(packets)
    return buffer.getvalue()


@contextlib.contextmanager
def _same_scheduling() -> Iterator[None]:
    """Undo what SVT-AV1 does as root: it gives its caller the highest real-time priority, which every process that the
    tests start later would inherit. Two of them on two cores leave nothing to anything else on the machine."""
    if not hasattr(os, "sched_getscheduler"):
        yield
        return
    policy, parameters = os.sched_getscheduler(0), os.sched_getparam(0)
    try:
        yield
    finally:
        os.sched_setscheduler(0, policy, parameters)


_AUDIO_RATES = {"libmp3lame": 44_100, "wmav2": 44_100}


def encode_audio(stream: Any, samples: np.ndarray, layout: str, rate: int, first: int = 0) -> list[Any]:
    """The packets of samples int16 [n, channels], the first of which is number ``first`` of the stream."""
    interleaved = np.ascontiguousarray(samples.T).reshape(1, -1)
    frame = av.AudioFrame.from_ndarray(interleaved, format="s16", layout=layout)
    frame.sample_rate, frame.pts, frame.time_base = rate, first, Fraction(1, rate)
    resampler = av.AudioResampler(format=stream.format, layout=layout, rate=rate, frame_size=stream.frame_size)
    pieces = [*resampler.resample(frame), *resampler.resample(None), None]
    return [packet for piece in pieces for packet in stream.encode(piece)]
