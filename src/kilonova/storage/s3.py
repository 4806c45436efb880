"""Objects of any S3: the endpoint and the credentials come from the standard AWS variables and files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import closing
from typing import Any

from kilonova.errors import Gone, InvalidInput, KilonovaError, Unavailable, Unreadable

__all__ = ["S3Reader", "connect", "explained", "owned", "split_prefix", "split_uri"]


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

    def __init__(self) -> None:
        self._client: Any = None
        self._starting = asyncio.Lock()

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
        async with self._starting:
            if self._client is None:
                self._client = await asyncio.to_thread(connect)
        found = await asyncio.to_thread(explained, uri, self._client.get_object, Bucket=bucket, Key=key, **owned(owner))
        with closing(found["Body"]) as body:
            size = found["ContentLength"]
            if size > limit:
                raise InvalidInput(f"{uri} has {size:,} bytes; at most {limit:,} are taken.", "Send a smaller object.")
            if hold is not None:
                hold(size)
            data: bytes = await asyncio.to_thread(explained, uri, body.read)
        return data


def owned(owner: str | None) -> dict[str, str]:
    """boto3's argument that holds S3 to an account, if one is wanted."""
    return {"ExpectedBucketOwner": owner} if owner else {}


def explained(uri: str, work: Callable[..., Any], **arguments: Any) -> Any:
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


def connect() -> Any:
    """A client of the S3 that the AWS variables and files name."""
    import boto3
    from botocore.config import Config

    config = Config(
        connect_timeout=5, read_timeout=30, retries={"mode": "standard", "max_attempts": 3}, max_pool_connections=32
    )
    return boto3.session.Session().client("s3", config=config)


_WRITES = frozenset({"PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload"})


def _refusal(uri: str, error: Any) -> KilonovaError:
    code = str(error.response.get("Error", {}).get("Code", ""))
    status = error.response.get("ResponseMetadata", {}).get("HTTPStatusCode", 0)
    match code:
        case "NoSuchKey" | "404" | "NotFound":
            return Gone(f"{uri} does not exist.", "Check the key.")
        case "NoSuchBucket":
            return Unreadable(f"The bucket of {uri} does not exist.", "Check its name and AWS_ENDPOINT_URL_S3.")
        case "AccessDenied" | "403" | "AllAccessDisabled" | "InvalidAccessKeyId" | "SignatureDoesNotMatch":
            action = "write" if error.operation_name in _WRITES else "read"
            return Unreadable(
                f"The server may not {action} {uri} ({code}).",
                f"Give its credentials s3:{'PutObject' if action == 'write' else 'GetObject'} on it.",
            )
        case "PreconditionFailed" | "412":
            return Unreadable(f"{uri} was changed while it was being read.", "Start again when nobody writes to it.")
    if status >= 500 or code in ("SlowDown", "RequestTimeout"):
        return Unavailable(f"S3 failed on {uri} ({code}).", "Try again.")
    return Unreadable(f"S3 refused {error.operation_name} on {uri}: {code}.")
