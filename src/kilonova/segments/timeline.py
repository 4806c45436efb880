"""Long audio and video, cut into segments as they are decoded: memory does not grow with the length.

Times are seconds from the container's start. A video lasts as long as its frames: audio that begins late is preceded
by silence, audio that goes on after the last frame is left out.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator
from typing import Any, BinaryIO

import av
import av.error
import numpy as np
import soxr
from av.container import InputContainer
from av.packet import Packet

from kilonova.errors import InvalidInput
from kilonova.media import audio, limits, video
from kilonova.media.content import Audio, Modality
from kilonova.media.frames import SHORTEST, Fault, Frames
from kilonova.segments.segment import Segment

__all__ = ["Segmenter"]

# How far the audio may lie behind the frames in the file before it counts as missing.
_INTERLEAVING = 10.0
_GAP = 0.1  # seconds: smaller jumps of time stamps are rounding


class Segmenter:
    """Segments of an audio or video file, one after the other or from any number on; frames and audio lie apart.

    Args:
        file: the bytes, seekable.
        modality: audio or video.
        seconds: length of a segment.
        frame_rate: frames per second taken from a video.
        sample_rate: Hz that audio is resampled to.

    Raises:
        InvalidInput: the file is no such medium, or outside the bounds in ``limits``.
    """

    def __init__(self, file: BinaryIO, modality: Modality, seconds: float, frame_rate: float, sample_rate: int) -> None:
        self._file, self._modality = file, modality
        self._faults: list[Fault] = []
        self._next, self._done, self._ended, self._end = 0, False, False, 0.0
        self._seconds, self._frame_rate, self._rate = seconds, frame_rate, sample_rate
        self._open(0)
        duration = self._container.duration
        self._length = duration / av.time_base if duration is not None else None
        most = min(limits.ASYNC_SECONDS, limits.MEDIA_SEGMENTS * seconds)
        if self._length is not None and self._length > most:
            self._length = audio.lasts(self._container, file, most)
            self._refuse(self._length)
            self._open(0)

    def segment(self, index: int) -> Segment | None:
        """The segment of that number, None after the last one.

        Raises:
            InvalidInput: nothing at all can be decoded, or the file is too long.
        """
        if index != self._next:
            self._open(index)
        elif self._done:
            return None
        start, end = index * self._seconds, (index + 1) * self._seconds
        while not self._ended and not self._reaches(end + SHORTEST):
            self._read()
        if self._ended and self._end <= start:
            if index == 0:
                raise InvalidInput(f"Nothing in the {self._modality} can be decoded{self._why(math.inf)}.")
            return None
        self._refuse(end)
        last = self._ended and self._end < end + SHORTEST
        if last:
            end = self._end
        self._next, self._done = index + 1, last
        return self._take(index, start, end)

    def _take(self, index: int, start: float, end: float) -> Segment:
        faulty = any(start <= time < end for time, _ in self._faults)
        frames = self._frames.take(start, end, faulty) if self._frames is not None else None
        samples = self._samples.take(start, end) if self._samples is not None else None
        missing = frames is None if self._frames is not None else samples is None
        fault = f"Nothing can be decoded between {start:g} and {end:g} s{self._why(end)}." if missing else ""
        self._faults[:] = [(time, reason) for time, reason in self._faults if time >= end]
        contents = tuple(one for one in (frames, samples) if one is not None)
        return Segment(index, contents, start, end, fault=fault, position=end, length=self._length)

    def _open(self, index: int) -> None:
        container, video_stream = self._open_at(index * self._seconds), None
        self._container = container
        if self._modality is Modality.VIDEO:
            video_stream = video.video_stream(container)
        elif not container.streams.audio:
            raise InvalidInput("The file has no audio stream.")
        audio_stream = audio.first_stream(container) if video_stream is None or audio.is_known(container) else None
        self._zero = (container.start_time or 0) / av.time_base
        self._faults, self._frames, self._samples = [], None, None
        if video_stream is not None:
            self._frames = Frames(video_stream, self._zero, self._frame_rate, self._seconds, index, self._faults)
        if audio_stream is not None:
            audio.check_stream(audio_stream)
            self._samples = _Samples(audio_stream.rate, self._rate, index * self._seconds)
        self._next, self._done, self._ended, self._end = index, False, False, 0.0
        streams = [stream for stream in (video_stream, audio_stream) if stream is not None]
        self._packets: Iterator[Packet[Any]] = audio.packets(container, *streams)

    def _open_at(self, start: float) -> InputContainer:
        """The file from the last key frame before a time; one that cannot go there, from its beginning."""
        self._file.seek(0)
        container = audio.open_file(self._file)
        if not start:
            return container
        zero = (container.start_time or 0) / av.time_base
        try:
            container.seek(round((zero + max(0.0, start - 1.0)) * av.time_base), backward=True)
        except av.error.FFmpegError:
            return self._open_at(0.0)
        return container

    def _reaches(self, time: float) -> bool:
        """Whether everything before that time was read."""
        if self._frames is None:
            assert self._samples is not None
            return self._samples.end >= time
        if self._frames.end < time:
            return False
        return self._samples is None or self._samples.end >= time or self._frames.end >= time + _INTERLEAVING

    def _read(self) -> None:
        """Decode one packet."""
        try:
            packet = next(self._packets)
        except StopIteration:
            self._finish()
            return
        except av.error.FFmpegError as error:  # cut short: what there is is used, as players do
            self._faults.append((self._position(), audio.reason(error)))
            self._finish()
            return
        if packet.stream.type == "video":
            assert self._frames is not None
            self._frames.add(packet)
            return
        assert self._samples is not None
        try:
            for frame in packet.decode():
                assert isinstance(frame, av.AudioFrame)
                self._samples.add(frame, self._zero)
        except av.error.FFmpegError as error:
            time = self._position() if packet.pts is None else float(packet.pts * packet.time_base) - self._zero
            self._faults.append((time, audio.reason(error)))

    def _finish(self) -> None:
        self._ended = True
        if self._samples is not None:
            self._samples.finish()
        if self._frames is not None:
            self._frames.finish()
            self._end = self._frames.end
        elif self._samples is not None:
            self._end = self._samples.end

    def _position(self) -> float:
        part = self._frames if self._frames is not None else self._samples
        assert part is not None
        return part.end

    def _why(self, before: float) -> str:
        return next((f": {reason}" for time, reason in self._faults if time <= before), "")

    def _refuse(self, seconds: float) -> None:
        if seconds > limits.ASYNC_SECONDS + self._seconds:
            raise InvalidInput(
                f"The {self._modality} lasts over {limits.ASYNC_SECONDS / 3600:g} hours, the most that is taken.",
                "Cut it into several files.",
            )
        count = math.ceil(round(seconds / self._seconds, 3))
        if count > limits.MEDIA_SEGMENTS:
            raise InvalidInput(
                f"The {self._modality} has {count:,} segments of {self._seconds:g} s; "
                f"at most {limits.MEDIA_SEGMENTS:,} are written.",
                "Choose longer segments with durationSeconds (at most 30).",
            )


class _Samples:
    """Samples at the wanted rate on the container's clock: holes are silence."""

    def __init__(self, source: int, rate: int, start: float) -> None:
        self._source, self._rate = source, rate
        self._resampler = soxr.ResampleStream(source, rate, 1, dtype="float32", quality="HQ")
        self._fed = round(start * source)  # samples of the source since time zero
        self._tolerance = 0.0  # where the first frame lies counts to the sample, later ones are rounded by containers
        self._first = self._made = round(start * rate)  # of the result: where the parts begin, and end
        self._parts: deque[np.ndarray] = deque()
        self._heard: list[tuple[float, float]] = []
        self.end = start

    def add(self, frame: av.AudioFrame, zero: float) -> None:
        samples = audio.mono_at(frame, self._source)
        if frame.time is not None:
            gap = round((frame.time - zero) * self._source) - self._fed
            if gap > self._tolerance:
                self._feed(np.zeros(gap, np.float32))
            elif gap < -self._tolerance:
                samples = samples[-gap:]
        if len(samples):
            self._tolerance = _GAP * self._source
            start = self._fed / self._source
            self._feed(samples)
            self._heard.append((start, self._fed / self._source))

    def finish(self) -> None:
        self._collect(self._resampler.resample_chunk(np.zeros(0, np.float32), last=True))

    def take(self, start: float, end: float) -> Audio | None:
        """Samples between two times, None where nothing was decoded."""
        first, last = round(start * self._rate), round(end * self._rate)
        heard = any(begin < end and stop > start for begin, stop in self._heard)
        self._heard = [(begin, stop) for begin, stop in self._heard if stop > end]
        samples = np.zeros(last - first, np.float32)
        while self._parts and self._first < last:
            part = self._parts.popleft()
            place, size = self._first - first, len(part)
            low, high = max(0, -place), min(size, last - self._first)
            if low < high:
                samples[place + low : place + high] = part[low:high]
            if high < size:
                self._parts.appendleft(part[high:])
            self._first += min(size, high)
        return Audio(np.clip(samples, -1.0, 1.0), self._rate) if heard and len(samples) else None

    def _feed(self, samples: np.ndarray) -> None:
        self._fed += len(samples)
        self._collect(self._resampler.resample_chunk(samples.astype(np.float32)))

    def _collect(self, made: np.ndarray) -> None:
        if len(made):
            self._parts.append(made)
            self._made += len(made)
        self.end = max(self.end, self._made / self._rate)
