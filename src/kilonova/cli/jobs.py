"""``kilonova jobs``: asynchronous invocations from the command line."""

from __future__ import annotations

import json
import sys
import time
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kilonova.cli import options
from kilonova.cli._common import progress_bar
from kilonova.errors import KilonovaError

if TYPE_CHECKING:
    from rich.progress import Progress

__all__ = ["app"]

app = typer.Typer(no_args_is_help=True, help="List, watch and cancel asynchronous invocations.")

_POLL_SECONDS, _ANSWER_SECONDS = 0.5, 30.0
_Arn = Annotated[str, typer.Argument(help="The invocation's ARN, or the job id at its end.", metavar="JOB")]


@app.command("list")
def list_jobs(
    status: Annotated[str, typer.Option(help="Only InProgress, Completed or Failed ones.")] = "",
    limit: Annotated[int, options.limit("How many at most; the newest come first.")] = 20,
    as_json: options.Json = False,
) -> None:
    """List invocations, the newest first.

    **Examples**

        kilonova jobs list

        kilonova jobs list --status Failed --json
    """
    jobs = _Jobs()
    query = {"maxResults": min(limit, 1000), **({"statusEquals": status} if status else {})}
    found: list[dict[str, Any]] = []
    while len(found) < limit:
        page = jobs.page(query)
        found += page["asyncInvokeSummaries"]
        if "nextToken" not in page:
            break
        query["nextToken"] = page["nextToken"]
    if as_json:
        print(json.dumps(found[:limit], indent=2))
        return
    if not found:
        print("No invocations.", file=sys.stderr)
        return

    from rich.console import Console
    from rich.table import Table

    table = Table("job", "status", "submitted", "took", "output", box=None)
    for job in found[:limit]:
        table.add_row(
            job["invocationArn"].rpartition("/")[2], job["status"], _clock(job["submitTime"]), _took(job), _output(job)
        )
    Console().print(table)


@app.command()
def show(job: _Arn, as_json: options.Json = False) -> None:
    """Show one invocation: how far it is, and why it failed if it did.

    **Example**

        kilonova jobs show abcdefghijkl
    """
    found = _Jobs().describe(job)
    if as_json:
        print(json.dumps(found, indent=2))
        return
    progress = found["progress"]
    rows = {
        "job": found["invocationArn"],
        "status": found["status"],
        "file": progress["sourceFileUri"],
        "output": _output(found),
        "submitted": _clock(found["submitTime"]),
        "took": _took(found),
        "segments": f"{progress['segments']}, {progress['failedSegments']} of them failed",
        "reached": _reached(progress),
    }
    if "failureMessage" in found:
        rows["failure"] = found["failureMessage"]
    for name, value in rows.items():
        print(f"{name:>10}  {value}")


@app.command()
def wait(job: _Arn, as_json: options.Json = False) -> None:
    """Wait until an invocation has ended; the exit status is 1 when it failed.

    **Example**

        kilonova jobs wait abcdefghijkl && aws s3 ls s3://bucket/out/abcdefghijkl/
    """
    jobs = _Jobs()
    found = jobs.describe(job)
    with _bar(as_json) as bar:
        task = bar.add_task(job[-12:], total=None, segments=0, speed="")
        while found["status"] == "InProgress":
            _show(bar, task, found["progress"])
            time.sleep(_POLL_SECONDS)
            found = jobs.describe(job)
        _show(bar, task, found["progress"])
    if as_json:
        print(json.dumps(found, indent=2))
    elif found["status"] == "Completed":
        print(_output(found))
    if found["status"] == "Failed":
        raise KilonovaError(f"{found['invocationArn']} failed: {found['failureMessage']}")


@app.command()
def cancel(job: _Arn) -> None:
    """End an invocation. It then counts as failed; files it has not finished are not written.

    **Example**

        kilonova jobs cancel abcdefghijkl
    """
    _Jobs().cancel(job)
    print(f"Cancelled {job}.", file=sys.stderr)


class _Jobs:
    """The invocations of the Kilonova server that the AWS variables name."""

    def __init__(self) -> None:
        import boto3

        from kilonova.client.connection import Connection
        from kilonova.credentials.credential import Credential

        session = boto3.session.Session()
        self._region = session.region_name or "us-east-1"
        url = session.client("bedrock-runtime", region_name=self._region).meta.endpoint_url
        hint = 'Run: eval "$(kilonova env --port 8000)"'
        if "amazonaws.com" in url:
            raise KilonovaError("AWS_ENDPOINT_URL_BEDROCK_RUNTIME names no Kilonova server.", hint)
        found = session.get_credentials()
        if found is None:
            raise KilonovaError("There are no AWS credentials.", hint)
        credential = Credential("aws", found.access_key, found.secret_key, found.token or "")
        self._connection = Connection(url, credential, seconds=_ANSWER_SECONDS, region=self._region)

    def page(self, query: dict[str, Any]) -> dict[str, Any]:
        """A page of invocations, as ListAsyncInvokes answers."""
        found: dict[str, Any] = self._connection.json("GET", "/async-invoke", query=query)
        return found

    def describe(self, job: str) -> dict[str, Any]:
        """What is known of an invocation."""
        found: dict[str, Any] = self._connection.json("GET", self._path(job))
        return found

    def cancel(self, job: str) -> None:
        """End an invocation."""
        self._connection.json("POST", f"{self._path(job)}/cancel")

    def _path(self, job: str) -> str:
        from urllib.parse import quote

        from kilonova.wire.async_invoke import ACCOUNT

        arn = job if job.startswith("arn:") else f"arn:aws:bedrock:{self._region}:{ACCOUNT}:async-invoke/{job}"
        return f"/kilonova/jobs/{quote(arn, safe='/')}"


def _bar(hidden: bool) -> Progress:
    from rich.progress import TaskProgressColumn, TextColumn

    return progress_bar(
        hidden, TaskProgressColumn(), TextColumn("{task.fields[segments]} segments {task.fields[speed]}")
    )


def _show(bar: Progress, task: Any, progress: dict[str, Any]) -> None:
    speed = ""
    if progress["begun"] and progress["position"] > 1:
        rate = progress["position"] / max(0.1, time.time() - progress["begun"])
        speed = f"{rate:.1f} s/s" if progress["unit"] == "seconds" else f"{rate / 1000:.1f} kB/s"
    bar.update(
        task, completed=progress["position"], total=progress["length"], segments=progress["segments"], speed=speed
    )


def _reached(progress: dict[str, Any]) -> str:
    whole = f" of {progress['length']:,.1f}" if progress["length"] else ""
    return f"{progress['position']:,.1f}{whole} {progress['unit']}"


def _output(job: dict[str, Any]) -> str:
    return str(job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"])


def _clock(time: str) -> str:
    return datetime.fromisoformat(time).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _took(job: dict[str, Any]) -> str:
    if "endTime" not in job:
        return ""
    seconds = (datetime.fromisoformat(job["endTime"]) - datetime.fromisoformat(job["submitTime"])).total_seconds()
    return f"{seconds:.1f} s"
