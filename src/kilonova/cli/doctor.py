"""``kilonova doctor``."""

from __future__ import annotations

import json
import platform
import sys
from dataclasses import asdict, dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Annotated

import typer

from kilonova import __version__, _home
from kilonova.cli import options
from kilonova.credentials import configured as identity
from kilonova.errors import KilonovaError
from kilonova.models import registry

__all__ = ["doctor"]


@dataclass(frozen=True)
class Finding:
    """One line of the report; ``remedy`` is what to do when it is not ``ok``."""

    what: str
    ok: bool
    detail: str
    remedy: str = ""


def doctor(
    port: Annotated[int, options.port("Port to look for a server on.")] = options.PORT,
    host: Annotated[str, options.host("Host to look for a server on.")] = options.HOST,
    load: Annotated[
        bool, typer.Option("--load", help="Load the models that were pulled, too; large ones take long.")
    ] = False,
    as_json: options.Json = False,
) -> None:
    """Say what is installed, reachable and missing, and how to get it. Exit status 1 when a model cannot run.

    **Examples**

        kilonova doctor

        kilonova doctor --port 8123 --json
    """
    required = [_python(), *_packages(), *_models(load)]
    findings = [*required, _credentials(), _server(host, port), _s3()]
    if as_json:
        print(json.dumps([asdict(finding) for finding in findings], ensure_ascii=False, indent=2))
    else:
        from rich.console import Console
        from rich.table import Table

        table = Table("", "what", "found", "what to do", show_lines=False)
        for one in findings:
            table.add_row("[green]ok[/]" if one.ok else "[yellow]--[/]", one.what, one.detail, one.remedy)
        Console().print(table)
    if not all(finding.ok for finding in required):
        raise typer.Exit(1)


def _python() -> Finding:
    detail = f"Kilonova {__version__}, Python {platform.python_version()}, {platform.machine()}, {_home.cores()} cores"
    return Finding(
        "this machine", sys.version_info >= (3, 11), detail, "" if sys.version_info >= (3, 11) else "Python 3.11"
    )


def _packages() -> list[Finding]:
    found = []
    for package, use in (
        ("onnxruntime", "inference"),
        ("av", "audio and video"),
        ("pillow", "images"),
        ("boto3", "S3"),
    ):
        try:
            found.append(Finding(f"{package} ({use})", True, version(package)))
        except PackageNotFoundError:
            found.append(Finding(f"{package} ({use})", False, "not installed", f"pip install {package}"))
    return found


def _models(load: bool) -> list[Finding]:
    found = []
    for name in filter(registry.is_here, registry.names()):
        try:
            card = registry.card(name)
            if card.repository and not load:  # some have 16 GB
                found.append(Finding(f"model {name}", True, "is here; `kilonova doctor --load` tries it"))
                continue
            card = registry.load(name).card
        except KilonovaError as error:
            found.append(Finding(f"model {name}", False, error.message, error.hint))
        else:
            found.append(Finding(f"model {name}", True, f"loads; embeds {', '.join(sorted(card.modalities))}"))
    return found


def _credentials() -> Finding:
    try:
        names = [credential.name for credential in identity.read_configured()]
    except KilonovaError as error:
        return Finding("credentials", False, error.message, error.hint or "See docs/credentials.md")
    if names:
        return Finding("credentials", True, f"configured: {', '.join(names)}")
    return Finding(
        "credentials", True, "development ones, made when first needed", "For a network: docs/credentials.md"
    )


def _server(host: str, port: int) -> Finding:
    import urllib.error
    import urllib.request

    url = f"http://{host}:{port}"
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            state = json.load(answer)
        return Finding("server", True, f"{url} serves {', '.join(state['models'])}")
    except urllib.error.HTTPError as error:
        return Finding(
            "server", False, f"{url} is not ready: {error.read(300).decode(errors='replace')}", "Wait, or read its log"
        )
    except (OSError, ValueError, KeyError):
        return Finding("server", False, f"none at {url}", f"kilonova serve --port {port}")


def _s3() -> Finding:
    import boto3

    session = boto3.session.Session()
    if session.get_credentials() is None:
        return Finding(
            "S3", False, "no credentials", "Set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY where the server runs"
        )
    endpoint = session.client("s3", region_name=session.region_name or "us-east-1").meta.endpoint_url
    return Finding("S3", True, f"{endpoint} with credentials from the environment or a profile (not tried)")
