"""The files that an invocation writes, named and shaped as Nova's."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson

from kilonova.jobs.pipeline import Line
from kilonova.storage.objects import PART_BYTES, Target

__all__ = ["MANIFEST", "RESULT", "Files", "OutputFile"]

RESULT, MANIFEST = "segmented-embedding-result.json", "manifest.json"
_NAMES = {
    "TEXT": "embedding-text.jsonl",
    "IMAGE": "embedding-image.json",
    "AUDIO": "embedding-audio.jsonl",
    "VIDEO": "embedding-video.jsonl",
    "AUDIO_VIDEO_COMBINED": "embedding-audio-video.jsonl",
}

#: Do a piece of work once, however often the job is taken up again; the name is for its log.
Once = Callable[[str, Callable[[], Any]], Any]


@dataclass
class OutputFile:
    """The lines of one type of vector: sent in parts as they come, or at once when they are few."""

    kind: str
    target: Target
    once: Once
    upload: str | None = None
    etags: list[str] = field(default_factory=list)
    lines: int = 0
    failures: int = 0
    size: int = 0
    _waiting: bytearray = field(default_factory=bytearray)
    _first_failure: tuple[str, str] = ("", "")

    @property
    def name(self) -> str:
        """The file's name in the invocation's folder."""
        return _NAMES[self.kind]

    def add(self, line: Line) -> None:
        """Append a line; a part is sent when enough have come together."""
        data = _render(line)
        self.lines += 1
        self.size += len(data)
        if line.vector is None:
            self.failures += 1
            if not self._first_failure[0]:
                self._first_failure = (line.reason, line.message)
        self._waiting += data
        if len(self._waiting) >= PART_BYTES:
            self._send()

    def finish(self) -> bytes | None:
        """Send what is left of a file that was begun; a small one is returned, still to be written."""
        if self.upload is None:
            return bytes(self._waiting)
        if self._waiting:
            self._send()
        upload, etags = self.upload, self.etags
        self.once(f"complete {self.name}", lambda: self.target.complete(self.name, upload, etags))
        return None

    def result(self) -> dict[str, Any]:
        """Its entry in the result file."""
        status = "SUCCESS" if not self.failures else "FAILURE" if self.failures == self.lines else "PARTIAL_SUCCESS"
        entry = {"embeddingType": self.kind, "status": status}
        if self.failures:
            reason, message = self._first_failure
            said = f"{self.failures} of {self.lines} segments failed; the first: {message}"
            entry |= {"failureReason": reason, "message": said}
        return {**entry, "outputFileUri": f"{self.target.uri}/{self.name}"}

    def _send(self) -> None:
        if self.upload is None:
            self.upload = self.once(f"begin {self.name}", lambda: self.target.begin(self.name))
        upload, number, data = self.upload, len(self.etags) + 1, bytes(self._waiting)
        self.etags.append(
            self.once(f"part {number} of {self.name}", lambda: self.target.part(self.name, upload, number, data))
        )
        self._waiting.clear()


class Files:
    """All files of an invocation.

    Args:
        source: URI of the file that is embedded.
        dimension: of the vectors.
        target: the invocation's folder.
        once: see ``Once``.
    """

    def __init__(self, source: str, dimension: int, target: Target, once: Once) -> None:
        self._source, self._dimension, self._target, self._once = source, dimension, target, once
        self._files: dict[str, OutputFile] = {}

    def add(self, lines: Sequence[Line]) -> None:
        """Append lines to the files of their types."""
        for line in lines:
            if line.kind not in self._files:
                self._files[line.kind] = OutputFile(line.kind, self._target, self._once)
            self._files[line.kind].add(line)

    @property
    def failures(self) -> int:
        """Lines without a vector so far."""
        return sum(file.failures for file in self._files.values())

    @property
    def lines(self) -> int:
        """Lines so far."""
        return sum(file.lines for file in self._files.values())

    def finish(self, job: str) -> None:
        """Write everything, the manifest last."""
        files = [self._files[kind] for kind in _NAMES if kind in self._files]
        small = {file.name: data for file in files if (data := file.finish()) is not None}
        result = {
            "sourceFileUri": self._source,
            "embeddingDimension": self._dimension,
            "embeddingResults": [file.result() for file in files],
        }
        manifest = {
            "jobId": job,
            "sourceFileUri": self._source,
            "resultFileUri": f"{self._target.uri}/{RESULT}",
            "outputFiles": [
                {
                    "outputFileUri": f"{self._target.uri}/{file.name}",
                    "embeddingType": file.kind,
                    "segments": file.lines,
                    "failedSegments": file.failures,
                    "bytes": file.size,
                }
                for file in files
            ],
        }
        for name, content in ((RESULT, result), (MANIFEST, manifest)):
            small[name] = orjson.dumps(content, option=orjson.OPT_INDENT_2)

        def write() -> None:
            for name, data in small.items():
                self._target.put(name, data)

        self._once("write the small files", write)  # one step: writing one twice does no harm

    def abort(self) -> None:
        """Drop the parts of files that will not be finished."""
        for file in self._files.values():
            if file.upload is not None:
                self._target.abort(file.name, file.upload)


def _render(line: Line) -> bytes:
    entry: dict[str, Any] = {"embedding": line.vector} if line.vector is not None else {}
    entry |= {"segmentMetadata": line.metadata, "status": "SUCCESS" if line.vector is not None else "FAILURE"}
    if line.vector is None:
        entry |= {"failureReason": line.reason, "message": line.message}
    return orjson.dumps(entry, option=orjson.OPT_SERIALIZE_NUMPY | orjson.OPT_APPEND_NEWLINE)
