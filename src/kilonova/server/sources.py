"""The bytes of files that requests hold or name."""

from __future__ import annotations

from kilonova.media import limits
from kilonova.media.content import Modality
from kilonova.server.operation import Call
from kilonova.storage.s3 import S3Reader
from kilonova.wire.nova import Source

__all__ = ["Sources"]


class Sources:
    """Reads inline files and those in S3."""

    def __init__(self) -> None:
        self.s3 = S3Reader()

    async def read(self, call: Call, source: Source, modality: Modality) -> bytes:
        """The file's bytes.

        Raises:
            kilonova.errors.InvalidInput: it does not exist, may not be read, or is too large.
            kilonova.errors.Unavailable: S3 cannot be reached or fails.
        """
        if source.s3Location is None:
            assert isinstance(source.bytes, bytes)
            return source.bytes
        place = source.s3Location
        return await self.s3.read(place.uri, limits.S3_BYTES[modality], place.bucketOwner, call.hold)
