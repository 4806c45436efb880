"""Which frames of a video stand for it, and no more decoding than they need.

A video is divided into slots as long as one frame shall stand for; each gives the frame on the screen in its middle.
Encoders begin a shot with a key frame, which needs nothing before it: shortly after one, it is taken instead, for it
shows the same. What no slot needs is never decoded.
"""

from __future__ import annotations

import math
import struct
from collections import deque
from collections.abc import Iterable, Iterator
from fractions import Fraction
from typing import Any

import av
import av.error
import numpy as np
import PIL.Image
from av.packet import Packet
from av.sidedata.sidedata import Type as SideDataType
from av.video.stream import VideoStream

from kilonova.errors import InvalidInput
from kilonova.media import audio, limits
from kilonova.media.content import Video

__all__ = ["SHORTEST", "Fault", "Frames"]

#: A last piece shorter than this many seconds counts to what is before it.
SHORTEST = 0.5
# Seconds after a key frame in which it is taken for what is on the screen.
_SAME_SHOT = 3.0
# Packets from one key frame to the next wait to be decoded; of a longer group not more than this.
_GROUP_SECONDS, _GROUP_BYTES = 10.0, 16 << 20
_SPARSE = 0.2  # seconds from frame to frame beyond which each one counts, as in recordings of screens
_SAME = 1e-6  # seconds

#: When something could not be decoded, and FFmpeg's reason.
Fault = tuple[float, str]


class Frames:
    """Takes the packets of a video stream, gives its frames.

    Args:
        stream: the video stream.
        zero: the container's start in seconds, which times count from.
        rate: frames for each second.
        seconds: length of a segment; slots do not cross from one to the next.
        index: number of the segment that comes first.
        faults: what cannot be decoded is noted here.
    """

    def __init__(
        self, stream: VideoStream, zero: float, rate: float, seconds: float, index: int, faults: list[Fault]
    ) -> None:
        self._codec, self._zero, self._faults = stream.codec_context, zero, faults
        self._tick = stream.time_base or Fraction(1, av.time_base)
        stream.thread_type = "AUTO"
        self._codec.skip_frame = (
            "NONREF"  # a frame that no other needs is a few hundredths of a second from one that is
        )
        self._width = 1.0 / rate  # of a slot
        self._slots = _slots(index, seconds, self._width)
        self._slot = next(self._slots)
        self._group: list[Packet[Any]] = []
        self._held = 0
        self._targets: deque[tuple[float, float]] = deque()  # time of the frame, time that it stands for
        self._going_on = False  # the decoder has the beginning of the group
        self._last: av.VideoFrame | None = None
        self._shape: tuple[int, ...] | None = None
        self._taken: deque[tuple[float, np.ndarray]] = deque()
        self._decoded: list[float] = []
        self._first, self._stop = math.inf, 0.0
        #: Seconds up to which every frame is there.
        self.end = 0.0

    def add(self, packet: Packet[Any]) -> None:
        """Take the next packet.

        Raises:
            InvalidInput: the frames grow beyond the bound.
        """
        if not packet.size:  # FFmpeg's end of the stream
            return
        time = self._time(packet)
        if packet.is_keyframe and self._group:
            self._decode(time, whole=True)
        self._group.append(packet)
        self._held += packet.size
        self._first = min(self._first, time)  # a video begins with a black frame as often as not
        self._stop = max(self._stop, time + self._length(packet))
        if self._held > _GROUP_BYTES or time - self._time(self._group[0]) > _GROUP_SECONDS:
            self._decode(time, whole=False)

    def finish(self) -> None:
        """After the last packet: its frame stays on the screen until its own end."""
        self._decode(self._stop, whole=True, last=True)
        self.end = self._stop

    def take(self, start: float, end: float, faulty: bool) -> Video | None:
        """Frames between two times. Where decoding failed, a frame of before does not count as still on the screen."""
        found = []
        while self._taken and self._taken[0][0] < end:
            found.append(self._taken.popleft())
        fresh = any(start <= time < end for time in self._decoded)
        self._decoded = [time for time in self._decoded if time >= end]
        if not found or (faulty and not fresh):
            return None
        return Video(np.stack([pixels for _, pixels in found]), np.array([time - start for time, _ in found]))

    def _time(self, packet: Packet[Any]) -> float:
        stamp = packet.pts if packet.pts is not None else packet.dts
        return self._stop if stamp is None else float(stamp * packet.time_base) - self._zero

    @staticmethod
    def _length(packet: Packet[Any]) -> float:
        return float(packet.duration * packet.time_base) if packet.duration else 0.0

    def _decode(self, until: float, whole: bool, last: bool = False) -> None:
        """Get what is wanted of the group, which reaches up to a time; not whole, it goes on after that."""
        group = self._group
        if not group:
            return
        if until - self._time(group[0]) > _SPARSE * len(group):
            self._codec.skip_frame = "DEFAULT"
        key = self._time(group[0]) if not self._going_on else -math.inf
        self._choose(key, until, last)
        if whole and self._targets:
            seen = len(self._decoded)
            self._feed(group, key, whole)
            if len(self._decoded) == seen and not self._going_on:  # some encoders call all frames unneeded
                self._codec.skip_frame = "DEFAULT"
                self._feed(group, key, whole)
        elif not whole:
            self._feed(group, key, whole)
        while whole and self._targets:
            self._keep(self._targets.popleft()[1])
        self._going_on = not whole
        # the decoder may hold frames back that are wanted
        self.end = max(self.end, min(until, self._targets[0][1]) if self._targets else until)
        self._group, self._held = [], 0

    def _choose(self, key: float, until: float, last: bool) -> None:
        """The times whose frames are wanted of a group."""
        while (slot := self._slot)[0] < until:
            start, stop, first = slot
            if last:
                stop = min(stop, until)
                if stop - start < (SHORTEST if first else self._width / 2) and start > 0:
                    return
            middle = (start + stop) / 2
            if middle >= until:
                return
            self._targets.append((key if key > self._first and middle - key < _SAME_SHOT else middle, middle))
            self._slot = next(self._slots)

    def _feed(self, group: Iterable[Packet[Any]], key: float, whole: bool) -> None:
        if not self._going_on:
            self._codec.flush_buffers()
            self._last = None
        for packet in group:
            if whole and not self._targets:
                break
            self._show(packet)
            if whole and self._targets and (self._targets[-1][0] <= key or self._beyond(packet)):
                break
        if whole and self._targets:
            self._show(None)
        if whole:
            self._codec.flush_buffers()

    def _beyond(self, packet: Packet[Any]) -> bool:
        """Whether all frames that are wanted come from this packet and those before it."""
        return packet.dts is not None and float(packet.dts * packet.time_base) - self._zero > self._targets[-1][0]

    def _show(self, packet: Packet[Any] | None) -> None:
        """Decode a packet, or what the decoder still holds."""
        try:
            for frame in self._codec.decode(packet):
                self._shown(frame)
        except av.error.FFmpegError as error:
            time = self._time(packet) if packet is not None else self._stop
            self._faults.append((time, audio.reason(error)))

    def _shown(self, frame: av.VideoFrame) -> None:
        if frame.width * frame.height > limits.MAX_FRAME_PIXELS:
            raise InvalidInput("The video's frames grow beyond the bound midway.")
        # by the stream's clock: what the decoder gives at its end does not know it
        time = float(frame.pts * self._tick) - self._zero if frame.pts is not None else self._stop
        self._decoded.append(time)
        self._last = self._last or frame
        # the frame on the screen at a wanted time is the last one that began before it
        while self._targets and time > self._targets[0][0] + _SAME:
            self._keep(self._targets.popleft()[1])
        self._last = frame
        while self._targets and abs(time - self._targets[0][0]) <= _SAME:
            self._keep(self._targets.popleft()[1])

    def _keep(self, time: float) -> None:
        if self._last is not None:
            pixels = _upright(self._last, self._shape)
            self._shape = pixels.shape
            self._taken.append((time, pixels))


def _slots(index: int, seconds: float, width: float) -> Iterator[tuple[float, float, bool]]:
    """Start, end, and whether a segment begins there. What is left at a segment's end is a
    slot when it is at least half as long as the others."""
    while True:
        begin, place = index * seconds if index else 0.0, 0
        while not place or seconds - place * width >= width / 2:
            yield begin + place * width, begin + min(seconds, (place + 1) * width), not place
            place += 1
        index += 1


def _upright(frame: av.VideoFrame, shape: tuple[int, ...] | None) -> np.ndarray:
    """A frame's pixels uint8 [height, width, 3], upright, bounded in size, and of a shape if one is given."""
    scale = min(1.0, limits.VIDEO_SIDE / max(frame.width, frame.height))
    width, height = max(1, round(frame.width * scale)), max(1, round(frame.height * scale))
    scaled = frame.reformat(width=width, height=height, format="rgb24", interpolation="AREA")
    pixels: np.ndarray = scaled.to_ndarray()
    pixels = np.ascontiguousarray(_as_displayed(pixels, frame))
    if shape is not None and pixels.shape != shape:  # a stream may change its size midway
        tall, wide = shape[:2]
        pixels = np.asarray(PIL.Image.fromarray(pixels).resize((wide, tall)))
    return pixels


def _as_displayed(pixels: np.ndarray, frame: av.VideoFrame) -> np.ndarray:
    """Pixels turned and mirrored as the frame's display matrix says: with its first two rows a, b and c, d, a pixel at
    (x, y) is shown at (ax + cy, bx + dy)."""
    side_data: Any = frame.side_data  # PyAV's types know a part of it only
    try:
        said = bytes(side_data[SideDataType.DISPLAYMATRIX])
    except KeyError:  # most have none
        return pixels
    a, b, _, c, d = struct.unpack_from("=5i", said)
    if abs(a) + abs(d) >= abs(b) + abs(c):
        across, down = a, d
    else:
        pixels, across, down = pixels.transpose(1, 0, 2), c, b
    return pixels[:: -1 if down < 0 else 1, :: -1 if across < 0 else 1]
