"""The directories of Kilonova's own files."""

from __future__ import annotations

import contextlib
import os
import stat
import threading
from pathlib import Path

__all__ = ["config", "cores", "data", "models", "private", "replace_file", "set_default_data"]

_DEFAULT_DATA = "_KILONOVA_DATA"  # a variable, so that child processes have it, too

_OURS = frozenset(
    ("collections", "indexed.sqlite", "jobs.sqlite", "models", "mounts", "named", "roots", "s3", "servers",
     "speeds.json", "credentials.toml", "dev-credentials.toml")
)  # fmt: skip


def config() -> Path:
    """Where credentials are: ``KILONOVA_HOME``, else ``kilonova`` in the user's configuration."""
    if given := os.environ.get("KILONOVA_HOME"):
        return Path(given)
    return Path(os.environ.get("XDG_CONFIG_HOME") or Path.home() / ".config") / "kilonova"


def data() -> Path:
    """Where jobs, collections and models are kept: ``KILONOVA_DATA``, else the folder that kilonova.toml names, else
    ``kilonova`` in the user's data."""
    if given := os.environ.get("KILONOVA_DATA") or os.environ.get(_DEFAULT_DATA):
        return Path(given)
    return Path(os.environ.get("XDG_DATA_HOME") or Path.home() / ".local/share") / "kilonova"


def set_default_data(folder: Path) -> None:
    """Keep data in this folder unless ``KILONOVA_DATA`` names another, in this process and its children."""
    os.environ[_DEFAULT_DATA] = str(folder)


def models() -> Path:
    """The directory of the models that ``kilonova pull`` brought."""
    return data() / "models"


def cores() -> int:
    """The processor cores that this process may use; all of the machine where its system does not say."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def replace_file(path: Path, data: str | bytes, mode: int = 0o666, *, keep: bool = False) -> None:
    """Write a file aside and put it into its place: whoever reads it finds the old one or the new one, whole.

    Args:
        path: of the file; its folder is there.
        data: the new file, text as UTF-8.
        mode: of a new file; the process's umask is taken off.
        keep: leave the file that is there already; of several writers the first one counts.
    """
    aside = path.with_name(f"{path.name}.{os.getpid()}-{threading.get_ident()}.new")
    try:
        descriptor = os.open(aside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
        with os.fdopen(descriptor, "wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
        if keep:
            with contextlib.suppress(FileExistsError):
                path.hardlink_to(aside)
        else:
            aside.replace(path)
    finally:
        aside.unlink(missing_ok=True)


def private(folder: Path) -> Path:
    """Make a data folder, if it is not there, and keep other users of this machine out of it.

    A folder that holds files of somebody else's, the home folder for example, stays open; what is ours in it does not.

    Args:
        folder: to keep data in.

    Returns:
        The folder.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    there = list(folder.iterdir())
    ours = [path for path in there if path.name in _OURS or path.name.startswith("jobs.sqlite")]
    for path in [folder] if len(ours) == len(there) else ours:
        found = path.lstat()
        if found.st_mode & 0o077 and found.st_uid == os.getuid() and not path.is_symlink():
            path.chmod(stat.S_IMODE(found.st_mode) & 0o700)
    return folder
