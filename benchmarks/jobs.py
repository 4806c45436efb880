"""Asynchronous invocations as a user sees them: a real server with the built-in model, a real S3, boto3.

python -m benchmarks.jobs film --minutes 3      # film embedded per second of wall time, and how busy the cores are
python -m benchmarks.jobs film --minutes 120    # memory of two hours: the same minutes again and again
python -m benchmarks.jobs small --count 1000    # many small jobs at once
python -m benchmarks.jobs text                  # 10 MB of text cut into segments
"""

from __future__ import annotations

import argparse
import concurrent.futures
import statistics
import tempfile
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import av
import numpy as np
import psutil
from PIL import Image

from kilonova import _home
from kilonova.media.text import decode_stream
from kilonova.segments.text import cut_text
from tests.servers import S3, Kilonova, start_segmented

WIDE, HIGH, RATE, SOUND = 1280, 720, 25, 48_000
_MADE = 64.0  # seconds that are encoded, a whole number of AAC frames; longer films repeat them


class Usage:
    """What a process and its children take while the block runs.

    Attributes:
        busy: share of the machine's cores that did not idle; the S3 server works on them, too.
        own: share that the process and its children took.
        peak, reader: bytes of memory, of all and of the largest reading process.
    """

    def __init__(self, pid: int) -> None:
        self._process, self._stop = psutil.Process(pid), threading.Event()
        self._thread = threading.Thread(target=self._watch)
        self.peak = self.reader = 0
        self.busy = self.own = 0.0

    def __enter__(self) -> Self:
        self._begin, self._cpu, self._machine = time.perf_counter(), self._seconds(), psutil.cpu_times()
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop.set()
        self._thread.join()
        self.seconds = time.perf_counter() - self._begin
        spent = [after - before for before, after in zip(self._machine, psutil.cpu_times(), strict=True)]
        names = psutil.cpu_times()._fields
        idle = sum(value for name, value in zip(names, spent, strict=True) if name in ("idle", "iowait"))
        self.busy = 1 - idle / sum(spent)
        self.own = (self._seconds() - self._cpu) / self.seconds / _home.cores()

    def _tree(self) -> list[psutil.Process]:
        return [self._process, *self._process.children(recursive=True)]

    def _seconds(self) -> float:
        return float(sum(sum(one.cpu_times()[:2]) for one in self._tree()))

    def _watch(self) -> None:
        while not self._stop.wait(0.5):
            sizes = {}
            for one in self._tree():
                try:
                    sizes[" ".join(one.cmdline())] = one.memory_full_info().pss
                except psutil.NoSuchProcess:
                    continue
            self.peak = max(self.peak, sum(sizes.values()))
            self.reader = max(
                self.reader, *(size for name, size in sizes.items() if "segments.media_worker" in name), 0
            )


def make_film(path: Path, seconds: float, grain: float) -> None:
    """A film in H.264 (x264's defaults) and AAC: coloured shapes that move, with grain, a cut every four seconds."""
    rng = np.random.default_rng(0)
    noise = [rng.normal(0, grain, (HIGH, WIDE, 1)).astype(np.int16) for _ in range(4)]
    packets: list[av.Packet[Any]] = []
    with av.open(str(path), "w") as out:
        film = out.add_stream("libx264", rate=RATE, options={"crf": "23"})
        film.width, film.height, film.pix_fmt = WIDE, HIGH, "yuv420p"
        sound = out.add_stream("aac", rate=SOUND, layout="stereo")
        for index in range(round(_MADE * RATE)):
            if index % (4 * RATE) == 0:
                small = Image.fromarray(rng.integers(0, 255, (36, 64, 3), np.uint8))
                scene = np.asarray(small.resize((WIDE + 200, HIGH)), np.int16)
            left = 2 * (index % 100)
            pixels = (scene[:, left : left + WIDE] + noise[index % 4]).clip(0, 255).astype(np.uint8)
            packets += film.encode(av.VideoFrame.from_ndarray(pixels, format="rgb24"))
        packets += film.encode(None)
        for second in range(round(_MADE)):
            hiss = rng.normal(0, 0.1, (2, SOUND)).astype(np.float32)
            frame = av.AudioFrame.from_ndarray(hiss, format="fltp", layout="stereo")
            frame.sample_rate, frame.pts = SOUND, second * SOUND
            packets += sound.encode(frame)
        packets += sound.encode(None)
        kept = [packet for packet in packets if packet.stream is film or 0 <= (packet.pts or 0) < _MADE * SOUND]
        kept.sort(key=lambda packet: float((packet.dts or 0) * packet.time_base))
        stamps = [(packet, packet.time_base, packet.pts or 0, packet.dts or 0) for packet in kept]
        for turn in range(round(seconds / _MADE)):
            for packet, base, shown, decoded_at in stamps:
                shift = round(turn * _MADE / base)
                packet.time_base, packet.pts, packet.dts = base, shown + shift, decoded_at + shift
                out.mux(packet)


def start(client: Any, uri: str, **media: Any) -> str:
    ((kind, params),) = media.items()
    params = {**params, "source": {"s3Location": {"uri": uri}}}
    return str(start_segmented(client, "s3://media/out", {"embeddingDimension": 1024, kind: params}))


def finished(client: Any, arn: str) -> None:
    while (found := client.get_async_invoke(invocationArn=arn))["status"] == "InProgress":
        time.sleep(0.2)
    if found["status"] != "Completed":
        raise SystemExit(found["failureMessage"])


def film(options: argparse.Namespace) -> None:
    """One long film."""
    seconds = max(1, round(options.minutes * 60 / _MADE)) * _MADE
    with tempfile.TemporaryDirectory() as folder, S3() as s3:
        path = Path(folder) / "film.mp4"
        make_film(path, seconds, options.grain)
        print(f"film: {seconds:,.0f} s of 720p, {path.stat().st_size * 8 / seconds / 1e6:.1f} Mbit/s", flush=True)
        s3.client.upload_file(str(path), "media", "film.mp4")
        with Kilonova(model="kilonova-mini", environment=s3.environment()) as server:
            client = server.wait_ready().client()
            with Usage(server.process.pid) as usage:
                finished(client, start(client, "s3://media/film.mp4", video={"format": "mp4", **_COMBINED}))
    print(
        f"  {seconds / usage.seconds:.1f} s of film per second, cores {usage.busy:.0%} busy "
        f"({usage.own:.0%} with Kilonova itself; {usage.seconds:.0f} s)"
    )
    print(f"  peak memory: {usage.peak / 1e6:.0f} MB in all, {usage.reader / 1e6:.0f} MB in the reading process")


_COMBINED = {"embeddingMode": "AUDIO_VIDEO_COMBINED", "segmentationConfig": {"durationSeconds": 5}}


def small(options: argparse.Namespace) -> None:
    """Many jobs of one short text each, started by 16 clients at once."""
    with S3() as s3:
        s3.client.put_object(Bucket="media", Key="small.txt", Body="短文本 a short text\n".encode())
        with Kilonova(model="kilonova-mini", environment=s3.environment()) as server:
            client = server.wait_ready().client()
            finished(client, start(client, "s3://media/small.txt", text={}))  # the first one loads what jobs need

            def one(_: int) -> tuple[str, float]:
                begin = time.perf_counter()
                return start(client, "s3://media/small.txt", text={}), time.perf_counter() - begin

            begin = time.perf_counter()
            with concurrent.futures.ThreadPoolExecutor(options.clients) as pool:
                started = list(pool.map(one, range(options.count)))
            between = time.perf_counter() - begin
            for arn, _ in started:
                finished(client, arn)
            whole = time.perf_counter() - begin
    times = [1000 * seconds for _, seconds in started]
    edges = statistics.quantiles(times, n=20)
    print(f"small: {options.count:,} jobs by {options.clients} clients, all completed")
    print(f"  start calls: p50 {statistics.median(times):.0f} ms, p95 {edges[-1]:.0f} ms, all within {between:.1f} s")
    print(f"  {options.count / whole:.0f} jobs/s until the last one was completed ({whole:.0f} s)")


def text(options: argparse.Namespace) -> None:
    """Cutting alone, without a server."""
    paragraph = (
        "The harbour is quiet in the morning, 港口的早晨很安静，渔船还没有回来。And the lamps go out one by one.\n"
    )
    data = (paragraph * (10_000_000 // len(paragraph.encode()) + 1)).encode()[:10_000_000]
    for longest in (800, 32_000):
        begin = time.perf_counter()
        chunks = (data[first : first + (1 << 20)] for first in range(0, len(data), 1 << 20))
        count = sum(1 for _ in cut_text(decode_stream(chunks, "10 MB"), longest))
        print(f"text: 10 MB into {count:,} segments of {longest:,}: {time.perf_counter() - begin:.2f} s")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parts = parser.add_subparsers(required=True)
    part = parts.add_parser("film")
    part.add_argument("--minutes", type=float, default=3)
    part.add_argument("--grain", type=float, default=2.0, help="of 255: how noisy the film is, which costs decoding")
    part.set_defaults(work=film)
    part = parts.add_parser("small")
    part.add_argument("--count", type=int, default=1000)
    part.add_argument("--clients", type=int, default=4)
    part.set_defaults(work=small)
    parts.add_parser("text").set_defaults(work=text)
    options = parser.parse_args()
    options.work(options)


if __name__ == "__main__":
    main()
