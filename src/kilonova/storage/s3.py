"""Objects of any S3: the endpoint and the credentials come from the standard AWS variables and files."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache
from typing import Any

from kilonova.credentials.credential import Credential
from kilonova.errors import Gone, InvalidInput, KilonovaError, Unavailable, Unreadable

__all__ = ["S3Reader", "call", "connect", "owner_argument", "split_prefix", "split_uri"]


def split_uri(uri: str) -> tuple[str, str]:
    """Bucket and key of ``s3://bucket/key``.

    Raises:
        InvalidInput: no such URI.
    """
    return _split(uri, "s3://bucket/key", key=True)


def split_prefix(uri: str) -> tuple[str, str]:
    """Bucket and prefix of ``s3://bucket/prefix``; the prefix may be empty.

    Raises:
        InvalidInput: no such URI.
    """
    return _split(uri, "s3://bucket/prefix/", key=False)


def _split(uri: str, form: str, key: bool) -> tuple[str, str]:
    scheme, _, rest = uri.partition("://")
    bucket, _, name = rest.partition("/")
    if scheme != "s3" or not bucket or (key and not name):
        raise InvalidInput(f"{uri!r} is no S3 URI.", f"It must read {form}.")
    return bucket, name


class S3Reader:
    """Reads whole objects, bounded in size. boto3 is loaded with the first one."""

    async def read(
        self, uri: str, limit: int, owner: str | None = None, hold: Callable[[int], None] | None = None
    ) -> bytes:
        """The bytes of an object.

        Args:
            uri: ``s3://bucket/key``.
            limit: bytes; a larger object is refused before it is read.
            owner: 12-digit account that must own the bucket.
            hold: called with the object's size before it is read; may refuse by raising.

        Raises:
            InvalidInput: it does not exist, may not be read, or is too large.
            Unavailable: S3 cannot be reached or fails.
        """
        bucket, key = split_uri(uri)

        def get() -> Any:
            return connect().get_object(Bucket=bucket, Key=key, **owner_argument(owner))

        found = await asyncio.to_thread(call, uri, get)
        with closing(found["Body"]) as body:
            size = found["ContentLength"]
            if size > limit:
                raise InvalidInput(f"{uri} has {size:,} bytes; at most {limit:,} are taken.", "Send a smaller object.")
            if hold is not None:
                hold(size)
            data: bytes = await asyncio.to_thread(call, uri, body.read)
        return data


def owner_argument(owner: str | None) -> dict[str, str]:
    """boto3's argument that holds S3 to an account, if one is wanted."""
    return {"ExpectedBucketOwner": owner} if owner else {}


def call(uri: str, work: Callable[..., Any], **arguments: Any) -> Any:
    """Call boto3; its many exceptions become ours.

    Raises:
        InvalidInput: the object does not exist, may not be read or written, or was changed.
        Unavailable: S3 cannot be reached or fails; trying again may help.
    """
    import botocore.exceptions as boto

    try:
        return work(**arguments)
    except boto.ClientError as error:
        raise _refusal(uri, error) from error
    except (boto.NoCredentialsError, boto.PartialCredentialsError) as error:
        raise Unreadable(
            f"The server has no credentials for {uri}.",
            "Start it with AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or an AWS profile, for your S3.",
        ) from error
    except boto.ParamValidationError as error:
        raise InvalidInput(f"{uri} is no valid S3 address: {error}") from error
    except (boto.BotoCoreError, OSError) as error:
        raise Unavailable(
            f"S3 cannot be reached ({type(error).__name__}) for {uri}.", "Check AWS_ENDPOINT_URL_S3."
        ) from error


def connect(endpoint: str = "", credential: Credential | None = None, *, patient: bool = True) -> Any:
    """The client of an S3, made once: it takes a fifth of a second, and any thread may use it.

    Args:
        endpoint: its URL; "" for the S3 that the AWS variables and files name.
        credential: for it; None for that of the AWS variables and files.
        patient: try again when it fails, and wait for slow answers.
    """
    with _making:
        return _client(endpoint, credential, patient, _settings())


_making = threading.Lock()


def _settings() -> tuple[tuple[str, str], ...]:
    """The variables that decide which S3 is meant and who asks; a client of others is another one."""
    return tuple(sorted((name, value) for name, value in os.environ.items() if name.startswith("AWS_")))


@lru_cache(8)
def _client(endpoint: str, credential: Credential | None, patient: bool, settings: tuple[tuple[str, str], ...]) -> Any:
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5 if patient else 2,
        read_timeout=30 if patient else 10,
        retries={"mode": "standard", "max_attempts": 3} if patient else {"total_max_attempts": 1},
        max_pool_connections=64,
    )
    own = {"endpoint_url": endpoint, "region_name": "us-east-1"} if endpoint else {}
    if credential is not None:
        own |= {
            "aws_access_key_id": credential.access_key_id,
            "aws_secret_access_key": credential.secret_access_key,
        }
    return boto3.session.Session().client("s3", config=config, **own)


_WRITES = frozenset({"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"})
_GONE = (Gone, "{uri} does not exist.", "Check the key.")
_DENIED = (Unreadable, "The server may not {action} {uri} ({code}).", "Give its credentials {permission} on it.")
_CHANGED = (Unreadable, "{uri} was changed while it was being read.", "Start again when nobody writes to it.")
_FAILED = (Unavailable, "S3 failed on {uri} ({code}).", "Try again.")
#: What the codes of S3's errors become: the error, its message and what to do next.
_TABLE: dict[str, tuple[type[KilonovaError], str, str]] = {
    **dict.fromkeys(("NoSuchKey", "404", "NotFound"), _GONE),
    "NoSuchBucket": (Unreadable, "The bucket of {uri} does not exist.", "Check its name and AWS_ENDPOINT_URL_S3."),
    **dict.fromkeys(
        ("AccessDenied", "403", "AllAccessDisabled", "InvalidAccessKeyId", "SignatureDoesNotMatch"), _DENIED
    ),
    **dict.fromkeys(("PreconditionFailed", "412"), _CHANGED),
    **dict.fromkeys(("SlowDown", "RequestTimeout"), _FAILED),
}


def _refusal(uri: str, error: Any) -> KilonovaError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    otherwise = _FAILED if status >= 500 else (Unreadable, "S3 refused {operation} on {uri}: {code}.", "")
    ours, message, hint = _TABLE.get(code, otherwise)
    writes = error.operation_name in _WRITES
    words = {
        "uri": uri,
        "code": code,
        "operation": error.operation_name,
        "action": "write" if writes else "read",
        "permission": "s3:PutObject" if writes else "s3:GetObject",
    }
    return ours(message.format(**words), hint.format(**words))
