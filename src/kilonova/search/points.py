"""From segments to the points of a file. What is known of a file stands in its points and nowhere else:

uri, name, kind    of the file
hash, size, stamp  its content (BLAKE2b), its bytes, its ETag or time of change
facts              hash of what the user, its sidecar and its subtitles say of it
part, parts        number of the point among those of its file
fault              why something of the file is missing
start, end, page   where in the file
snippet            the beginning of its words
…                  date, year, camera, title and so on, as the file says, the sidecar says, the user says
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from kilonova.media import subtitles
from kilonova.media.words import printable
from kilonova.search.beside import Beside
from kilonova.segments.files import PLACE, File, Kind
from kilonova.segments.segment import Segment
from kilonova.storage.files import name_of
from kilonova.stores.base import Point
from kilonova.stores.checks import MAX_TEXT

__all__ = ["FilePoints", "facts_hash", "join_faults", "number_points"]

_BREAK = "\f"  # in a point's text, between what is said of the file and the words in it
_OWN = ("uri", "name", "kind", "hash", "size", "stamp", "facts", "part", "parts", "fault", *PLACE)
_FAULTS = 5  # of one file that are listed
_SNIPPET = 200  # characters


@dataclass(frozen=True, eq=False)
class FilePoints:
    """Makes the points of one file.

    Attributes:
        file: which.
        digest: hash of its content.
        mark: ``facts_hash`` of it.
        facts: what it, its sidecar and the user say of it.
        cues: of its subtitles.
    """

    file: File
    digest: str
    mark: str
    facts: Mapping[str, Any]
    cues: list[subtitles.Cue]

    def of_segment(self, segment: Segment, vector: np.ndarray, number: int) -> Point:
        """The point of a segment, the file's ``number``-th."""
        return self._point(_place(self.file, segment), segment.text, segment.preview, vector, number)

    def of_point(self, point: Point) -> Point:
        """The same point of a file with the same content."""
        place = {name: point.payload[name] for name in (*PLACE, "kind") if name in point.payload}
        return self._point(place, point.text.rpartition(_BREAK)[2], "", point.vector, point.payload["part"])

    def _point(self, place: dict[str, Any], text: str, preview: str, vector: np.ndarray, number: int) -> Point:
        file = self.file
        if file.kind in (Kind.AUDIO, Kind.VIDEO):  # their words are those that subtitles have for the time
            place = {name: value for name, value in place.items() if name != "snippet"}
            text = subtitles.words_between(self.cues, place["start"], place["end"])
        if snippet := " ".join(printable(text or preview).split())[:_SNIPPET]:
            place["snippet"] = snippet
        payload = {
            **{name: value for name, value in self.facts.items() if name not in _OWN},
            "uri": file.uri,
            "name": file.name,
            "kind": str(file.kind),
            "hash": self.digest,
            "size": file.info.size,
            "stamp": file.info.etag,
            "facts": self.mark,
            "part": number,
            **place,
        }
        known = [file.name.rpartition(".")[0], *(value for value in self.facts.values() if isinstance(value, str))]
        words = printable("\n".join(known).replace(_BREAK, "\n") + _BREAK + text.replace(_BREAK, "\n"))[:MAX_TEXT]
        return Point(f"{file.uri}#{number}", vector, payload, words)


def _place(file: File, segment: Segment) -> dict[str, Any]:
    """Where in a file a segment lies."""
    place: dict[str, Any] = {}
    if segment.page is not None:
        place["page"] = segment.page
    elif segment.start is not None and segment.end is not None:
        place = {"start": round(segment.start, 3), "end": round(segment.end, 3)}
    if segment.encoding:
        place["encoding"] = segment.encoding
    if file.kind is Kind.VIDEO and segment.video is None and not segment.fault:  # a video file that holds audio alone
        place["kind"] = str(Kind.AUDIO)
    return place


def number_points(points: Sequence[Point], fault: str) -> list[Point]:
    """The points of a whole file with their count, and with what is missing of it."""
    more = {"parts": len(points), "fault": fault}
    return [Point(one.id, one.vector, {**one.payload, **more}, one.text) for one in points]


def join_faults(faults: Sequence[str]) -> str:
    """What is wrong with parts of a file, each once."""
    every = list(dict.fromkeys(map(printable, faults)))
    more = f" And {len(every) - _FAULTS} more." if len(every) > _FAULTS else ""
    return " ".join(every[:_FAULTS]) + more


def facts_hash(file: File, facts: Mapping[str, Any], beside: Beside) -> str:
    """Hash of everything that is said of a file."""
    found: Any = [facts, list(map(asdict, beside.cues))] if beside.cues else facts
    name = name_of(file.uri)
    if name != file.name:  # what was indexed before names were composed is written anew
        found = [found, name]
    return hashlib.blake2b(json.dumps(found, sort_keys=True).encode(), digest_size=8).hexdigest()
