"""``kilonova up``."""

from __future__ import annotations

import os
import sys
from typing import Annotated

import typer

from kilonova import _home
from kilonova.cli import options
from kilonova.cli.running import Options, run, stopped_by_signals
from kilonova.credentials import configured as identity
from kilonova.errors import KilonovaError

__all__ = ["up"]


def up(
    port: Annotated[int, options.port("Port to listen on.")] = options.PORT,
    bucket: Annotated[list[str] | None, typer.Option(help="Make this bucket; may be repeated.")] = None,
    models: options.Models = None,
    data: options.Data = None,
    log_level: options.LogLevel = options.LOG_LEVEL,
) -> None:
    """Serve Nova's API together with an S3 of its own: no AWS account is needed for anything.

    Both listen on this machine only, and the same credentials open both.

    **Examples**

        kilonova up

        kilonova up --port 8000 --bucket videos --bucket vectors

    and in another terminal

        eval "$(kilonova env --port 8000)"

        aws s3 cp video.mp4 s3://media/
    """
    from kilonova.storage.local import LocalS3, check_buckets

    check_buckets(bucket or [])  # before anything is started
    credential = next((one for one in identity.load("127.0.0.1") if one.access_key_id), None)
    if credential is None:
        raise KilonovaError(
            "None of the configured credentials has an access key, which S3 needs.",
            "Add access_key_id and secret_access_key in credentials.toml (docs/credentials.md).",
        )
    folder = _home.private(data or _home.data())
    with stopped_by_signals(), LocalS3(folder / "s3", credential, port) as s3:
        s3.create(bucket or ["media"])
        os.environ |= {
            "AWS_ENDPOINT_URL_S3": s3.url,
            "AWS_ACCESS_KEY_ID": credential.access_key_id,
            "AWS_SECRET_ACCESS_KEY": credential.secret_access_key,
            "AWS_REGION": "us-east-1",
        }
        os.environ.pop("AWS_SESSION_TOKEN", None)
        os.environ.pop("AWS_PROFILE", None)
        print(f"S3 at {s3.url} with the buckets {', '.join(bucket or ['media'])}", file=sys.stderr, flush=True)
        run(
            Options(
                port=port,
                models=models or [options.MODEL],
                data=folder,
                log_level=log_level,
                others={"s3": s3.state},
            )
        )
