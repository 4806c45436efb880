"""What arguments of the command line name: files, or texts."""

from __future__ import annotations

import asyncio
import errno
from dataclasses import dataclass
from pathlib import Path

from kilonova.errors import InvalidInput
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Input, Modality, Text, Truncation
from kilonova.media.input import PAGES, UNSUPPORTED, as_input, read_input
from kilonova.media.sniff import TEXTS, modality_of_name
from kilonova.storage.s3 import S3Reader

__all__ = ["Argument", "read_file"]


@dataclass(frozen=True)
class Argument:
    """What somebody typed, read when it is its turn.

    Attributes:
        value: a path, an ``s3://`` URI, or a text.
        detail: how finely an image is looked at.
        guess: whether what only looks like a path is taken for one; so it is with arguments, not with lines of a file.
    """

    value: str
    detail: Detail = Detail.STANDARD
    guess: bool = True

    async def read_with(self, s3: S3Reader) -> Input:
        """What it names.

        Raises:
            InvalidInput: it cannot be read.
        """
        if self.value.startswith("s3://"):
            modality = modality_of_name(self.value) or Modality.TEXT
            data = await s3.read(self.value, limits.S3_BYTES[modality])
            return as_input(self.value, data, modality, self.detail)
        return await asyncio.to_thread(read_file, self.value, self.detail, self.guess)


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
    return read_input(path, detail, name)


def _looks_like_a_path(name: str, guess: bool) -> bool:
    """Whether somebody who typed it meant a file: ``and/or`` and ``24/7`` are words, ``photos/cat`` is none where there
    is a folder ``photos``."""
    if "\n" in name:
        return False
    spaced = any(letter.isspace() for letter in name)
    ending = name.lower().endswith((*TEXTS, *PAGES, *UNSUPPORTED)) or modality_of_name(name) is not None
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
