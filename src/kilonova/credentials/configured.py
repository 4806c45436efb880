"""Whose credentials open this server: configured ones, or development ones made on this machine."""

from __future__ import annotations

import ipaddress
import os
import secrets
import tomllib
from pathlib import Path

from kilonova import _home
from kilonova.credentials.credential import Credential
from kilonova.errors import InvalidInput, KilonovaError

__all__ = ["development_credential", "is_loopback", "load", "own_credential", "read_configured"]

_FIELDS = {"name": str, "access_key_id": str, "secret_access_key": str, "session_token": str, "api_key": str}


def load(host: str, file: Path | None = None) -> list[Credential]:
    """The credentials for a server that binds to ``host``.

    Raises:
        KilonovaError: nothing is configured and the address can be reached from elsewhere, or the
            configuration is broken.
    """
    found = read_configured(file)
    if found:
        return found
    if not is_loopback(host):
        raise KilonovaError(
            f"Refusing to listen on {host} with development credentials: anyone who reaches it could use it.",
            f"Configure credentials in {_home.config() / 'credentials.toml'} or KILONOVA_CREDENTIALS "
            "(docs/credentials.md), or listen on 127.0.0.1.",
        )
    return [development_credential()]


def read_configured(file: Path | None = None) -> list[Credential]:
    """Credentials from the environment (``KILONOVA_CREDENTIALS``, ``KILONOVA_API_KEYS``) and from the file.

    Args:
        file: by default ``credentials.toml`` in ``_home.config()``, if it exists.

    Raises:
        InvalidInput: a part cannot be understood; the message names the part, not the secret.
    """
    found = []
    for index, pair in enumerate(_list("KILONOVA_CREDENTIALS"), 1):
        key, separator, secret = pair.partition(":")
        if not (key and separator and secret):
            raise InvalidInput(f"Entry {index} of KILONOVA_CREDENTIALS is not ACCESS_KEY_ID:SECRET_ACCESS_KEY.")
        found.append(Credential(f"env-{index}", access_key_id=key, secret_access_key=secret))
    found += [Credential(f"env-key-{index}", api_key=key) for index, key in enumerate(_list("KILONOVA_API_KEYS"), 1)]
    path = file or _home.config() / "credentials.toml"
    if file is not None or path.exists():
        found += _read(path)
    return found


def own_credential() -> Credential:
    """What this user proves himself with at a server of this machine."""
    return (read_configured() or [development_credential()])[0]


def development_credential() -> Credential:
    """The development credential of this user, made with mode 0600 when there is none yet."""
    path = _home.config() / "dev-credentials.toml"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        text = (
            "# Made by Kilonova for servers on this machine's loopback address.\n[[credentials]]\n"
            f'name = "development"\naccess_key_id = "AKIDKILONOVA{secrets.token_hex(4).upper()}"\n'
            f'secret_access_key = "{secrets.token_urlsafe(30)}"\napi_key = "kilonova-{secrets.token_urlsafe(30)}"\n'
        )
        _home.replace_file(path, text, 0o600, keep=True)  # two servers that start at once agree on one file
    return _read(path)[0]


def _list(variable: str) -> list[str]:
    return [part.strip() for part in os.environ.get(variable, "").split(",") if part.strip()]


def _read(path: Path) -> list[Credential]:
    try:
        with path.open("rb") as file:
            entries = tomllib.load(file).get("credentials", [])
    except (OSError, tomllib.TOMLDecodeError) as error:
        raise InvalidInput(f"{path} cannot be read: {error}.") from error
    if not isinstance(entries, list) or not entries:
        raise InvalidInput(f"{path} has no [[credentials]].")
    return [_credential(path, index, entry) for index, entry in enumerate(entries, 1)]


def _credential(path: Path, index: int, entry: object) -> Credential:
    where = f"{path}: credentials entry {index}"
    if not isinstance(entry, dict):
        raise InvalidInput(f"{where} is no table.")
    known = {**_FIELDS, "max_in_flight": int}
    for key, value in entry.items():
        if key not in known or not isinstance(value, known[key]) or isinstance(value, bool) or value in ("", 0):
            raise InvalidInput(f"{where}: {key} is unknown or has a wrong value.", f"Known keys: {', '.join(known)}.")
    if bool(entry.get("access_key_id")) != bool(entry.get("secret_access_key")):
        raise InvalidInput(f"{where} must have access_key_id and secret_access_key together.")
    if not entry.get("access_key_id") and not entry.get("api_key"):
        raise InvalidInput(f"{where} has neither an access key nor an api_key.")
    return Credential(**{"name": f"credential-{index}", **entry})


def is_loopback(host: str) -> bool:
    """Whether an address can be reached from this machine only."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False
