"""Files that say which process works on a folder, so that the next one finds what the last one left running."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import time
from pathlib import Path

from kilonova._home import replace_file

__all__ = ["alive", "end", "mark"]

_STOP_SECONDS = 10.0


def mark(path: Path, pid: int) -> None:
    """Note a process of ours."""
    replace_file(path, json.dumps({"pid": pid, "started": _start_time(pid)}))


def alive(path: Path) -> int | None:
    """The process id that is noted, if that very process still runs: ids are given to others later."""
    try:
        note = json.loads(path.read_text())
        pid, started = int(note["pid"]), str(note["started"])
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return pid if started and _start_time(pid) == started else None


def end(path: Path, word: str) -> None:
    """End the process that is noted, if it still runs and its command line has that word in it."""
    pid = alive(path)
    if pid is not None and word in _command(pid):
        for number in (signal.SIGTERM, signal.SIGKILL):
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)
            until = time.monotonic() + _STOP_SECONDS
            while alive(path) is not None and time.monotonic() < until:
                time.sleep(0.05)
    path.unlink(missing_ok=True)


def _start_time(pid: int) -> str:
    """When a process was started, in the system's own words; nothing when there is none, or a dead one."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return "" if Path("/proc/self").exists() else _ps(pid, "lstart")
    return "" if fields[0] in "ZX" else fields[19]


def _command(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().replace(b"\0", b" ").decode("utf-8", "surrogateescape")
    except OSError:
        return "" if Path("/proc/self").exists() else _ps(pid, "command")


def _ps(pid: int, field: str) -> str:
    found = subprocess.run(["ps", "-o", f"{field}=", "-p", str(pid)], capture_output=True, text=True, check=False)
    return found.stdout.strip()
