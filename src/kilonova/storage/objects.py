"""Large objects: read by ranges as they are needed, written part by part as they are made."""

from __future__ import annotations

import io
import random
import time
from collections import OrderedDict
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, TypeVar

from kilonova.errors import Unavailable
from kilonova.storage.s3 import call, owner_argument, split_prefix, split_uri

__all__ = ["PART_BYTES", "ObjectFile", "ObjectInfo", "Target", "describe", "objects", "patiently"]

#: S3 takes parts of at least 5 MiB, the last one excepted.
PART_BYTES = 8 << 20
_RANGE_BYTES = 4 << 20
_KEPT = 6  # ranges in memory: where a container's index and its media lie apart, both stay
_ATTEMPTS = 6

T = TypeVar("T")


def patiently(work: Callable[[], T]) -> T:
    """Do S3 work again while S3 fails: six times in about half a minute.

    Raises:
        Unavailable: it kept failing.
        KilonovaError: what trying again does not mend, at once.
    """
    for attempt in range(_ATTEMPTS):
        try:
            return work()
        except Unavailable:
            if attempt == _ATTEMPTS - 1:
                raise
            time.sleep(random.uniform(0.5, 1.0) * 2.0**attempt * 0.5)  # full jitter would retry at once at times
    raise AssertionError("unreachable")


@dataclass(frozen=True)
class ObjectInfo:
    """What identifies an object's present state: its size in bytes and its ETag."""

    size: int
    etag: str


def describe(client: Any, uri: str, owner: str | None = None) -> ObjectInfo:
    """Size and ETag of an object.

    Raises:
        InvalidInput: it does not exist or may not be read.
        Unavailable: S3 keeps failing.
    """
    bucket, key = split_uri(uri)
    found = patiently(lambda: call(uri, client.head_object, Bucket=bucket, Key=key, **owner_argument(owner)))
    return ObjectInfo(int(found["ContentLength"]), str(found["ETag"]))


def objects(client: Any, uri: str) -> Iterator[tuple[str, ObjectInfo]]:
    """All objects under a prefix, in the order of their keys.

    Raises:
        InvalidInput: the bucket does not exist or may not be listed.
        Unavailable: S3 keeps failing.
    """
    bucket, prefix = split_prefix(uri)
    going_on: dict[str, str] = {}
    while True:
        page = patiently(
            lambda: call(uri, client.list_objects_v2, Bucket=bucket, Prefix=prefix, **going_on)  # noqa: B023
        )
        for found in page.get("Contents", ()):
            yield f"s3://{bucket}/{found['Key']}", ObjectInfo(int(found["Size"]), str(found["ETag"]))
        if not page.get("IsTruncated"):
            return
        going_on = {"ContinuationToken": page["NextContinuationToken"]}


class ObjectFile(io.RawIOBase):
    """An object of S3 as a file: ranges are fetched when they are read, the next one ahead of time.

    Every range is asked for with the ETag of that state, so that an object that changes meanwhile is noticed.

    Args:
        client: boto3's.
        uri: ``s3://bucket/key``.
        info: the state that is wanted (``describe``).
        owner: 12-digit account that must own the bucket.
    """

    def __init__(self, client: Any, uri: str, info: ObjectInfo, owner: str | None = None) -> None:
        super().__init__()
        self._client, self._uri, self._owner = client, uri, owner
        self.size, self._etag = info.size, info.etag
        self._place = 0
        self._ranges: OrderedDict[int, Future[bytes]] = OrderedDict()
        self._fetcher = ThreadPoolExecutor(2, "kilonova-s3")

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._place

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        base = {io.SEEK_SET: 0, io.SEEK_CUR: self._place, io.SEEK_END: self.size}[whence]
        self._place = max(0, base + offset)
        return self._place

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer).cast("B")
        data = self.read(len(view))
        view[: len(data)] = data
        return len(data)

    def read(self, count: int = -1) -> bytes:
        """Bytes from the present place on; fewer than wanted only at the end.

        Raises:
            InvalidInput: the object was changed or deleted meanwhile.
            Unavailable: S3 keeps failing.
        """
        end = self.size if count < 0 else min(self.size, self._place + count)
        parts = []
        while self._place < end:
            index, skip = divmod(self._place, _RANGE_BYTES)
            data = self._range(index).result()
            part = data[skip : skip + end - self._place]
            parts.append(part)
            self._place += len(part)
        return parts[0] if len(parts) == 1 else b"".join(parts)

    def close(self) -> None:
        self._fetcher.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _range(self, index: int) -> Future[bytes]:
        for number in (index, index + 1):
            if number not in self._ranges and number * _RANGE_BYTES < self.size:
                self._ranges[number] = self._fetcher.submit(patiently, lambda number=number: self._fetch(number))
        self._ranges.move_to_end(index)
        while len(self._ranges) > _KEPT:
            self._ranges.popitem(last=False)
        return self._ranges[index]

    def _fetch(self, index: int) -> bytes:
        bucket, key = split_uri(self._uri)
        start = index * _RANGE_BYTES
        end = min(self.size, start + _RANGE_BYTES) - 1

        def get() -> bytes:
            found = self._client.get_object(
                Bucket=bucket, Key=key, Range=f"bytes={start}-{end}", IfMatch=self._etag, **owner_argument(self._owner)
            )
            with found["Body"] as body:
                data: bytes = body.read()
            return data

        data: bytes = call(self._uri, get)
        if len(data) != end + 1 - start:
            raise Unavailable(f"S3 gave {len(data):,} of {end + 1 - start:,} bytes of {self._uri}.", "Try again.")
        return data


@dataclass(frozen=True)
class Target:
    """Where output goes.

    Attributes:
        client: boto3's.
        uri: ``s3://bucket/prefix`` without a slash at its end.
        owner: 12-digit account that must own the bucket.
        kms_key: key that S3 shall encrypt with.
    """

    client: Any
    uri: str
    owner: str | None = None
    kms_key: str | None = None

    def put(self, name: str, data: bytes) -> None:
        """Write a small object at once."""
        self._call(name, self.client.put_object, Body=data, **self._encryption())

    def begin(self, name: str) -> str:
        """Begin a multipart upload; its id."""
        return str(self._call(name, self.client.create_multipart_upload, **self._encryption())["UploadId"])

    def part(self, name: str, upload: str, number: int, data: bytes) -> str:
        """Write part ``number``, from one on; its ETag. The same part may be written again."""
        return str(self._call(name, self.client.upload_part, UploadId=upload, PartNumber=number, Body=data)["ETag"])

    def complete(self, name: str, upload: str, etags: list[str]) -> None:
        """Put the parts together."""
        parts = [{"PartNumber": number, "ETag": etag} for number, etag in enumerate(etags, 1)]
        self._call(name, self.client.complete_multipart_upload, UploadId=upload, MultipartUpload={"Parts": parts})

    def abort(self, name: str, upload: str) -> None:
        """Drop a multipart upload and its parts."""
        self._call(name, self.client.abort_multipart_upload, UploadId=upload)

    def _call(self, name: str, work: Callable[..., Any], **arguments: Any) -> Any:
        uri = f"{self.uri}/{name}"
        bucket, key = split_uri(uri)
        return patiently(lambda: call(uri, work, Bucket=bucket, Key=key, **owner_argument(self.owner), **arguments))

    def _encryption(self) -> dict[str, str]:
        return {"ServerSideEncryption": "aws:kms", "SSEKMSKeyId": self.kms_key} if self.kms_key else {}
