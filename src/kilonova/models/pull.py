"""Models from the Hugging Face hub, or a mirror of it (``HF_ENDPOINT``): only what is asked for, and checked.

Not with the library huggingface_hub, which since 1.3x begins a file anew when it was interrupted; those of a model have
gigabytes. A model takes its place only whole, each file with the checksum that the hub has of it.
"""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

import orjson
import urllib3

from kilonova.errors import AccessDenied, InvalidInput, KilonovaError, NotFound, Unavailable
from kilonova.models import registry

__all__ = ["RepositoryListing", "fetch", "fetch_listing"]

# What loading needs: configurations, tokenizers, templates, weights that cannot run programs, and who made it.
_ABOUT = (".json", ".jinja", ".model", ".txt", ".md")
_WEIGHTS = ".safetensors"
_OTHER_FORMS = ("onnx/", "openvino/")
_BESIDE = ("_data", ".data")  # weights of an ONNX file beyond 2 GB
_BLOCK = 1 << 20
_PIECE = 1 << 16  # what is lost of a connection that breaks
_ATTEMPTS = 5


@dataclass(frozen=True)
class RepositoryListing:
    """What the hub says of a model.

    Attributes:
        name: what ``--model`` takes once it is here.
        repository: ``owner/name`` on the hub.
        commit: the version, as the hub's 40 hexadecimal digits.
        licence: as its own card says.
        files: size in bytes and checksum of each wanted file: SHA-256, or git's SHA-1 of small ones.
    """

    name: str
    repository: str
    commit: str
    licence: str
    files: dict[str, tuple[int, str]]

    @property
    def size(self) -> int:
        """Bytes of all files."""
        return sum(size for size, _ in self.files.values())


def fetch_listing(name: str, revision: str = "main", onnx: str | None = None) -> RepositoryListing:
    """Ask the hub for a model.

    Args:
        name: a known model's, or ``owner/name`` of any on the hub.
        revision: a branch, tag or commit.
        onnx: an ONNX file of it to bring in place of its weights for torch.

    Raises:
        NotFound, AccessDenied, Unavailable: as their names say.
        InvalidInput: it needs no download, or has no such weights.
    """
    repository = name if name.count("/") == 1 else registry.card(name).repository
    if not repository:
        raise InvalidInput(f"{name} needs no download.", f"kilonova serve --model {name}")
    answer = _get(f"/api/models/{repository}/revision/{revision}?blobs=true", repository)
    found = orjson.loads(answer.data)
    every = {one["rfilename"]: one for one in found["siblings"]}
    if onnx is not None and onnx not in every:
        those = ", ".join(sorted(name for name in every if name.endswith(".onnx")))
        raise NotFound(f"{repository} has no {onnx}.", f"Its ONNX files: {those or 'none'}.")
    files = {path: _facts(one) for path, one in every.items() if _is_wanted(path, onnx)}
    if onnx is None and not any(file.endswith(_WEIGHTS) for file in files):
        raise InvalidInput(
            f"{repository} has no weights in safetensors.", "Pickles are not downloaded: they can run any program."
        )
    licence = (found.get("cardData") or {}).get("license") or "not said"
    return RepositoryListing(registry.pulled_name(repository) + _form(onnx), repository, found["sha"], licence, files)


def fetch(listing: RepositoryListing, to: Path, progress: Callable[[int], object]) -> None:
    """Download what is not there yet, check all of it, and put it in place.

    Args:
        listing: what to bring.
        to: the model's folder to be; until everything is right, its files are in ``.partial`` beside it.
        progress: called with how many of the bytes are here.

    Raises:
        InvalidInput: the folder exists.
        Unavailable: the disk is too small, or the connection broke; what came is kept for the next time.
        KilonovaError: a file is not what the hub says; it is removed.
    """
    if to.exists():
        raise InvalidInput(f"{to} exists already.", "Remove it to download it again.")
    partial = to.with_name(f"{to.name}.partial")
    partial.mkdir(parents=True, exist_ok=True)
    missing = listing.size - sum(file.stat().st_size for file in partial.rglob("*") if file.is_file())
    if missing > (free := shutil.disk_usage(partial).free):
        raise Unavailable(
            f"{listing.repository} needs {missing / 1e9:.1f} GB more, {free / 1e9:.1f} GB are free in {to.parent}.",
            "Make room, or name another folder with --to.",
        )
    here = 0
    for name, (size, checksum) in listing.files.items():
        path = partial / name
        before = here
        _download(listing, name, path, size, lambda got, before=before: progress(before + got))  # type: ignore[misc]
        if _checksum(path, size, sha1=len(checksum) == 40) != checksum:
            path.unlink()
            raise KilonovaError(f"{name} of {listing.repository} came broken and was removed.", "Pull it again.")
        here += size
    partial.rename(to)


def _is_wanted(path: str, onnx: str | None) -> bool:
    if PurePosixPath(path).is_absolute() or ".." in PurePosixPath(path).parts:
        return False
    if onnx is not None and path in (onnx, *(onnx + ending for ending in _BESIDE)):
        return True
    wanted = _ABOUT if onnx is not None else (*_ABOUT, _WEIGHTS)
    return path.endswith(wanted) and not path.startswith(_OTHER_FORMS)


def _form(onnx: str | None) -> str:
    """What the name of a model ends with, so that its forms, whose vectors differ a little, have names of their own."""
    if onnx is None:
        return ""
    form = PurePosixPath(onnx).stem.removeprefix("model").strip("_-.")
    return f"-onnx-{form}" if form else "-onnx"


def _facts(entry: dict[str, Any]) -> tuple[int, str]:
    large = entry.get("lfs")
    return (int(large["size"]), str(large["sha256"])) if large else (int(entry["size"]), str(entry["blobId"]))


def _download(listing: RepositoryListing, name: str, path: Path, size: int, progress: Callable[[int], object]) -> None:
    """Go on at the end of what is there; an attempt that brings something does not count as failed."""
    path.parent.mkdir(parents=True, exist_ok=True)
    attempts = 0
    while (have := path.stat().st_size if path.exists() else 0) < size or not path.exists():
        address = f"/{listing.repository}/resolve/{listing.commit}/{name}"
        answer = _get(address, listing.repository, {"Range": f"bytes={have}-"} if have else {})
        try:
            with path.open("ab" if answer.status == 206 else "wb") as file:
                for block in answer.stream(_PIECE):
                    file.write(block)
                    progress(file.tell())
        except (urllib3.exceptions.HTTPError, OSError) as error:
            attempts = 0 if path.stat().st_size > have else attempts + 1
            if attempts == _ATTEMPTS:
                raise Unavailable(f"{_endpoint()} broke off: {error}", "Pull again to go on.") from None
        finally:
            answer.release_conn()
    progress(size)


def _checksum(path: Path, size: int, sha1: bool) -> str:
    """SHA-256, or as git names a file: SHA-1 with a head."""
    digest = hashlib.sha1(f"blob {size}\0".encode()) if sha1 else hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_BLOCK):
            digest.update(block)
    return digest.hexdigest()


def _endpoint() -> str:
    return os.environ.get("HF_ENDPOINT", "https://huggingface.co").rstrip("/")


def _get(path: str, repository: str, headers: dict[str, str] | None = None) -> urllib3.BaseHTTPResponse:
    """An answer of the hub; its body is read already unless it is a file's."""
    token = os.environ.get("HF_TOKEN")
    own = {"Authorization": f"Bearer {token}"} if token else {}  # urllib3 drops it when another host is redirected to
    retries = urllib3.Retry(_ATTEMPTS, connect=2, status_forcelist=(429, 500, 502, 503, 504), backoff_factor=0.5)
    pool = urllib3.PoolManager(retries=retries, timeout=urllib3.Timeout(connect=10, read=60))
    try:
        answer = pool.request(
            "GET", _endpoint() + path, headers={**own, **(headers or {})}, preload_content=path.startswith("/api/")
        )
    except urllib3.exceptions.HTTPError as error:
        reason = type(getattr(error, "reason", error)).__name__
        raise Unavailable(
            f"{_endpoint()} cannot be reached ({reason}).",
            "Check the network; HF_ENDPOINT names a mirror. What came already is kept.",
        ) from None
    if answer.status < 400:
        return answer
    why = answer.headers.get("X-Error-Code", "")
    if why == "GatedRepo":
        raise AccessDenied(
            f"{repository} is given only to who agreed to its terms.",
            f"Agree at {_endpoint()}/{repository}, and set HF_TOKEN.",
        )
    if why == "RevisionNotFound":
        raise NotFound(f"{repository} has no such version.")
    if answer.status in (401, 403, 404):
        raise NotFound(f"{_endpoint()} has no model {repository}, or shows it to others.", "HF_TOKEN opens your own.")
    raise Unavailable(f"{_endpoint()} answered {answer.status}.", "Pull again to go on.")
