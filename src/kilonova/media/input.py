"""Files as what is embedded at once: by what their bytes are, within what a model takes in one call."""

from __future__ import annotations

from pathlib import Path

from kilonova.errors import Gone, InvalidInput
from kilonova.media import limits
from kilonova.media.content import Detail, Encoded, Modality, Text, Truncation, VideoPart
from kilonova.media.office import ENDINGS as OFFICE
from kilonova.media.sniff import FORMATS, format_of_name, modality_of_name, sniff
from kilonova.media.text import decode

__all__ = ["PAGES", "UNSUPPORTED", "as_input", "read_input"]

#: Endings of documents, which are embedded page by page.
PAGES = (".pdf", *OFFICE)
#: Endings of files that are no texts and cannot be embedded.
UNSUPPORTED = (
    *(".svg", ".eps", ".ps", ".ai", ".psd", ".xcf", ".ico", ".raw", ".dng", ".cr2", ".nef", ".arw", ".djvu"),
    *(".doc", ".xls", ".ppt", ".docm", ".xlsm", ".pptm", ".odt", ".ods", ".odp", ".rtf", ".epub", ".mobi", ".eml"),
    *(".msg", ".pages", ".numbers", ".key", ".zip", ".gz", ".tgz", ".bz2", ".xz", ".zst", ".7z", ".rar", ".tar"),
    *(".exe", ".dll", ".so", ".bin", ".iso", ".dmg", ".apk", ".jar", ".pyc", ".npy", ".npz", ".parquet", ".db"),
    *(".sqlite", ".swf", ".mid", ".midi", ".ttf", ".otf", ".woff", ".woff2", ".rm", ".ape", ".dsf"),
)


def read_input(path: Path, detail: Detail = Detail.STANDARD, name: str = "") -> Text | Encoded:
    """A file as what its bytes are.

    Args:
        path: of the file.
        detail: how finely an image is looked at.
        name: what errors call it; the path where "".

    Raises:
        Gone: there is no such file.
        InvalidInput: it cannot be read, is larger than is taken, or cannot be embedded.
    """
    name = name or str(path)
    try:
        with path.open("rb") as file:
            found, modalities = sniff(file.read(2048))
        size = path.stat().st_size
    except FileNotFoundError:
        raise Gone(f"There is no file {name}.") from None
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    lower = name.lower()
    if found == "pdf" or lower.endswith(PAGES):
        kind = "pdf" if found == "pdf" else lower.rpartition(".")[2]
        raise InvalidInput(f"{name} is {kind}, a document of pages.", f"`kilonova index {name}` embeds them.")
    if not modalities and (found != "unknown" or lower.endswith(UNSUPPORTED)):
        kind = found if found != "unknown" else lower.rpartition(".")[2]
        raise InvalidInput(f"{name} is {kind}, which cannot be embedded.", f"Files: txt, {_formats()}.")
    named = modality_of_name(name)
    modality = named if named and named in modalities else max(modalities, default=Modality.TEXT)  # video before audio
    limit = limits.S3_BYTES[modality]
    if size > limit:
        raise InvalidInput(f"{name} has {size:,} bytes; at most {limit:,} are taken.")
    try:
        data = path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{name} cannot be read: {error.strerror}.") from None
    return as_input(name, data, modality, detail)


def as_input(name: str, data: bytes, modality: Modality, detail: Detail = Detail.STANDARD) -> Text | Encoded:
    """The bytes of a file as what is embedded; a video file that holds audio alone is audio.

    Raises:
        InvalidInput: it is called a text and is none.
    """
    if modality is Modality.TEXT:
        return Text(decode(data, name), Truncation.END)
    part = VideoPart.ANY if modality is Modality.VIDEO else VideoPart.BOTH
    return Encoded(modality, data, format_of_name(name), detail, part)


def _formats() -> str:
    return ", ".join(form for forms in FORMATS.values() for form in forms if form != "three_gp")
