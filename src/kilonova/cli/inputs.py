"""What arguments of the command line name: files, or texts."""

from __future__ import annotations

import errno
from pathlib import Path

from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Modality, Text, Truncation, VideoPart
from kilonova.media.office import ENDINGS as OFFICE
from kilonova.media.sniff import FORMATS, TEXTS, format_of_name, modality_of_name, sniff
from kilonova.media.text import decode

__all__ = ["content", "read_file"]

_PAGES = (".pdf", *OFFICE)
# Endings of files that are no texts and cannot be embedded.
_STRANGE = (
    *(".svg", ".eps", ".ps", ".ai", ".psd", ".xcf", ".ico", ".raw", ".dng", ".cr2", ".nef", ".arw", ".djvu"),
    *(".doc", ".xls", ".ppt", ".docm", ".xlsm", ".pptm", ".odt", ".ods", ".odp", ".rtf", ".epub", ".mobi", ".eml"),
    *(".msg", ".pages", ".numbers", ".key", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar"),
    *(".exe", ".dll", ".so", ".bin", ".iso", ".dmg", ".apk", ".jar", ".pyc", ".npy", ".npz", ".parquet", ".db"),
    *(".sqlite", ".swf", ".mid", ".midi", ".ttf", ".otf", ".woff", ".woff2", ".rm", ".ape", ".dsf"),
)
_HINT = "Name a file that is there; `kilonova embed --text` takes words that look like a path."


def read_file(name: str, detail: Detail, guess: bool = True) -> Text | Encoded:
    """A file as what its bytes are, or the name itself as a text when it is no path.

    Args:
        name: a path or a text.
        detail: how finely an image is looked at.
        guess: whether what only looks like a path is taken for one.

    Raises:
        InvalidInput: the file cannot be embedded; or the name looks like a path and there is no file.
    """
    path = Path(name).expanduser() if name.startswith("~/") else Path(name)
    try:
        mode = path.stat().st_mode
    except ValueError:  # a NUL character
        return Text(name, Truncation.END)
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG or not _looks_like_a_path(name, guess):
            return Text(name, Truncation.END)
        if error.errno in (errno.ENOENT, errno.ENOTDIR):
            raise InvalidInput(f"There is no file {name}.", _HINT) from None
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.", _HINT) from None
    if path.is_dir():
        if not guess:
            return Text(name, Truncation.END)
        raise InvalidInput(f"{name} is a folder.", f"`kilonova index {name}` embeds what is in it.")
    if not path.is_file():
        raise InvalidInput(f"{name} is no regular file ({oct(mode)}).", _HINT)
    return _read(path, name, detail)


def _read(path: Path, name: str, detail: Detail) -> Text | Encoded:
    try:
        with path.open("rb") as file:
            found, modalities = sniff(file.read(2048))
        size = path.stat().st_size
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    lower = name.lower()
    if found == "pdf" or lower.endswith(_PAGES):
        kind = "pdf" if found == "pdf" else lower.rpartition(".")[2]
        raise InvalidInput(f"{name} is {kind}, a document of pages.", f"`kilonova index {name}` embeds them.")
    if not modalities and (found != "unknown" or lower.endswith(_STRANGE)):
        kind = found if found != "unknown" else lower.rpartition(".")[2]
        raise InvalidInput(f"{name} is {kind}, which cannot be embedded.", f"Files: txt, {_formats()}.")
    named = modality_of_name(name)
    modality = named if named and named in modalities else max(modalities, default=Modality.TEXT)  # film before sound
    limit = limits.S3_BYTES[modality]
    if size > limit:
        raise InvalidInput(f"{name} has {size:,} bytes; at most {limit:,} are taken.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    return content(name, data, modality, detail)


def content(name: str, data: bytes, modality: Modality, detail: Detail) -> Text | Encoded:
    """The bytes of a file as what is embedded; a film's file that holds sound alone is a sound.

    Raises:
        InvalidInput: it is called a text and is none.
    """
    if modality is Modality.TEXT:
        return Text(decode(data, name), Truncation.END)
    part = VideoPart.ANY if modality is Modality.VIDEO else VideoPart.BOTH
    return Encoded(modality, data, format_of_name(name), detail, part)


def _looks_like_a_path(name: str, guess: bool) -> bool:
    """Whether somebody who typed it meant a file: ``and/or`` and ``24/7`` are words, ``photos/cat`` is none where there
    is a folder ``photos``."""
    if "\n" in name:
        return False
    spaced = any(letter.isspace() for letter in name)
    ending = name.lower().endswith((*TEXTS, *_PAGES, *_STRANGE)) or modality_of_name(name) is not None
    if not guess:
        return modality_of_name(name) is not None and not spaced
    if ending and (not spaced or "/" in name):
        return True
    if spaced or "/" not in name:
        return False
    if name.startswith(("/", "./", "../", "~/")) or name.endswith("/"):
        return True
    try:
        return Path(name).parent.is_dir()
    except OSError:  # too long, or a part of it may not be looked into
        return False


def _formats() -> str:
    return ", ".join(form for forms in FORMATS.values() for form in forms if form != "three_gp")
