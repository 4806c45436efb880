"""``kilonova env``."""

from __future__ import annotations

import shlex
import sys
from enum import StrEnum
from typing import Annotated

import typer

from kilonova import _home
from kilonova.cli import options
from kilonova.credentials import configured as identity
from kilonova.credentials.configured import is_loopback
from kilonova.storage.local import endpoint

__all__ = ["env"]


class Shell(StrEnum):
    """Whose syntax to print."""

    SH = "sh"
    FISH = "fish"
    POWERSHELL = "powershell"


def env(
    port: Annotated[int, options.port("Port of the server.")] = options.PORT,
    host: Annotated[str, options.host("Host of the server.")] = options.HOST,
    https: Annotated[bool, typer.Option("--https", help="The server has a certificate (serve --tls-cert).")] = False,
    data: options.Data = None,
    shell: Annotated[Shell, typer.Option(help="Syntax to print.")] = Shell.SH,
) -> None:
    """Print the variables that point AWS clients (boto3, the AWS CLI, SDKs) at a Kilonova server.

    **Examples**

        eval "$(kilonova env --port 8000)"

        kilonova env --shell fish | source

        kilonova env --shell powershell | Out-String | Invoke-Expression
    """
    credential = (
        next((one for one in identity.read_configured() if one.access_key_id), None)
        or identity.development_credential()
    )
    url = f"http{'s' if https else ''}://{host}:{port}"
    region = "us-east-1"
    values = {
        "AWS_ENDPOINT_URL_BEDROCK_RUNTIME": url,
        "AWS_ENDPOINT_URL_BEDROCK": url,
        "AWS_ACCESS_KEY_ID": credential.access_key_id,
        "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
        "AWS_REGION": region,
        "AWS_DEFAULT_REGION": region,
    }
    # `kilonova up` leaves a note in its data folder and beside the credentials; another folder means that one alone
    places = [data] if data and data != _home.data() else [_home.data(), _home.config()]
    s3 = next(filter(None, (endpoint(place, port) for place in places)), None) if is_loopback(host) else None
    if s3:  # started by `kilonova up`
        values["AWS_ENDPOINT_URL_S3"] = s3
    else:
        print(
            f"AWS_ENDPOINT_URL_S3 is left out: no `kilonova up` is known at port {port} (--data DIR names its folder).",
            file=sys.stderr,
        )
    # These would be sent along, or instead, and then refused.
    stale = ["AWS_SESSION_TOKEN", "AWS_BEARER_TOKEN_BEDROCK"]
    if credential.session_token:
        stale.remove("AWS_SESSION_TOKEN")
        values["AWS_SESSION_TOKEN"] = credential.session_token
    if credential.api_key:
        values["KILONOVA_API_KEY"] = credential.api_key  # for OpenAI's clients and curl
    for name in stale:
        print(_unset(shell, name))
    for name, value in values.items():
        print(_set(shell, name, value))


def _set(shell: Shell, name: str, value: str) -> str:
    match shell:
        case Shell.FISH:
            return f"set -gx {name} {shlex.quote(value)};"
        case Shell.POWERSHELL:
            quoted = value.replace("'", "''")
            return f"$Env:{name} = '{quoted}'"
        case _:
            return f"export {name}={shlex.quote(value)}"


def _unset(shell: Shell, name: str) -> str:
    match shell:
        case Shell.FISH:
            return f"set -e {name};"
        case Shell.POWERSHELL:
            return f"Remove-Item Env:{name} -ErrorAction SilentlyContinue"
        case _:
            return f"unset {name}"
