"""What lies beside a file and says more of it: its sidecar and its subtitles. One that cannot be read costs itself, not
the file."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kilonova.errors import Gone, InvalidInput, KilonovaError, Unavailable, Unreadable
from kilonova.media import subtitles
from kilonova.media.text import read
from kilonova.segments.facts import keepable
from kilonova.segments.files import File
from kilonova.storage.files import read_file
from kilonova.storage.objects import ObjectInfo

__all__ = ["Beside", "read_beside"]

_SIDECAR_BYTES = 256 << 10  # it is kept with every segment of its video
_SUBTITLES_BYTES = 16 << 20


@dataclass
class Beside:
    """What was found.

    Attributes:
        facts: of the sidecar.
        cues: of the subtitles.
        warnings: what could not be read, and why.
        unsure: whether something could not be read that may say again tomorrow what it said yesterday.
    """

    facts: dict[str, Any] = field(default_factory=dict)
    cues: list[subtitles.Cue] = field(default_factory=list)
    warnings: list[tuple[str, str]] = field(default_factory=list)
    unsure: bool = False


def read_beside(file: File) -> Beside:
    """Read what lies beside a file."""
    found = Beside()
    if file.sidecar is not None:
        _try(found, *file.sidecar, lambda uri, info: _take_facts(found, uri, info))
    for uri, info in file.subtitles:
        _try(found, uri, info, lambda uri, info: found.cues.extend(_cues(uri, info)))
    return found


def _try(found: Beside, uri: str, info: ObjectInfo, work: Callable[[str, ObjectInfo], None]) -> None:
    try:
        work(uri, info)
    except Gone:
        return  # deleted meanwhile
    except (Unreadable, Unavailable) as error:
        found.unsure = True
        found.warnings.append((uri, str(error)))
    except KilonovaError as error:
        found.warnings.append((uri, str(error)))
    except Exception as error:  # whatever a parser makes of it, it costs no more than what lies beside the file
        found.warnings.append((uri, f"It cannot be read ({type(error).__name__})."))


def _take_facts(found: Beside, uri: str, info: ObjectInfo) -> None:
    facts, reasons = keepable(_sidecar(uri, info))
    found.facts = facts
    found.warnings += [(uri, reason) for reason in reasons]


def _sidecar(uri: str, info: ObjectInfo) -> dict[str, Any]:
    _check_size(uri, info, _SIDECAR_BYTES)
    data = read_file(uri, info)
    try:
        try:
            found = json.loads(data)
        except UnicodeDecodeError:
            found = json.loads(read(data, uri).value)
    except ValueError as error:
        raise InvalidInput(f"{uri} is no JSON: {error}.", "Mend it or take it away.") from None
    except RecursionError:
        raise InvalidInput(f"{uri} is nested too deep.", "Mend it or take it away.") from None
    if not isinstance(found, dict):
        raise InvalidInput(f"{uri} is no JSON object.", 'Write for example {"title": "Harbour"}.')
    return found


def _cues(uri: str, info: ObjectInfo) -> list[subtitles.Cue]:
    _check_size(uri, info, _SUBTITLES_BYTES)
    return subtitles.read(read_file(uri, info), uri)


def _check_size(uri: str, info: ObjectInfo, most: int) -> None:
    if info.size > most:
        raise InvalidInput(f"{uri} has {info.size:,} bytes; at most {most:,} are read beside a file.")
