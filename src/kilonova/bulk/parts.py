"""The Parquet files that bulk embedding writes; docs/bulk.md describes the columns."""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any
from uuid import uuid4

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from kilonova.bulk.files import state_key
from kilonova.errors import InvalidInput
from kilonova.models.card import Purpose
from kilonova.segments.files import File
from kilonova.storage.objects import ObjectFile, Target, objects

__all__ = ["BulkSettings", "Row", "done", "write"]

_META = b"kilonova"


@dataclass(frozen=True)
class BulkSettings:
    """How everything is embedded, and where the vectors go.

    Attributes:
        output: ``s3://bucket/prefix``.
        model: name in the registry.
        purpose: what the vectors will be used for.
        dimension: of the vectors.
        seconds: length of segments of audio and video.
        characters: longest segment of a text.
    """

    output: str
    model: str
    purpose: Purpose
    dimension: int
    seconds: int
    characters: int

    def described(self) -> bytes:
        """What all parts of one output share, as their metadata says it."""
        return " ".join(f"{name}={value}" for name, value in asdict(self).items() if name != "output").encode()


@dataclass(frozen=True, eq=False)
class Row:
    """A segment of a file, or a file that failed.

    Attributes:
        file: which one.
        kind: ``embeddingType``; "" when the whole file failed.
        segment: its number.
        start: seconds, or characters of a text; 0 of an image.
        end: likewise.
        vector: float32 [dimension], None where there is an error.
        error: what went wrong, "" when there is a vector.
    """

    file: File
    kind: str = ""
    segment: int = 0
    start: float = 0.0
    end: float = 0.0
    vector: np.ndarray | None = None
    error: str = ""

    @property
    def id(self) -> str:
        """The same for the same segment of the same state of a file, whoever embeds it."""
        noted = f"{self.file.uri}\n{self.file.info.etag}\n{self.kind}\n{self.segment}"
        return hashlib.sha256(noted.encode()).hexdigest()[:32]


def write(client: Any, settings: BulkSettings, rows: Sequence[Row]) -> str:
    """Write a part; its name. It is there as a whole or not at all."""
    vectors = pa.array(
        [row.vector if row.vector is not None else None for row in rows],
        pa.list_(pa.float32(), settings.dimension),
    )
    columns = {
        "id": pa.array([row.id for row in rows], pa.string()),
        "uri": pa.array([row.file.uri for row in rows], pa.string()),
        "etag": pa.array([row.file.info.etag for row in rows], pa.string()),
        "modality": pa.array([str(row.file.kind) for row in rows], pa.string()),
        "type": pa.array([row.kind or None for row in rows], pa.string()),
        "segment": pa.array([row.segment for row in rows], pa.int32()),
        "start": pa.array([row.start for row in rows], pa.float64()),
        "end": pa.array([row.end for row in rows], pa.float64()),
        "vector": vectors,
        "error": pa.array([row.error or None for row in rows], pa.string()),
    }
    table = pa.table(columns).replace_schema_metadata({_META: settings.described()})
    buffer = io.BytesIO()
    # vectors do not compress; names, which repeat, do
    pq.write_table(table, buffer, compression={name: "NONE" if name == "vector" else "ZSTD" for name in columns})
    name = f"part-{uuid4().hex}.parquet"
    Target(client, settings.output).put(name, buffer.getvalue())
    return name


def done(client: Any, settings: BulkSettings) -> set[bytes]:
    """Keys (``state_key``) of the files whose vectors are there already.

    Raises:
        InvalidInput: they were made with other settings.
    """
    found: set[bytes] = set()
    for uri, info in objects(client, f"{settings.output}/part-"):
        try:
            with ObjectFile(client, uri, info) as file:
                part = pq.ParquetFile(file)
                noted = (part.schema_arrow.metadata or {}).get(_META, b"")
                if noted != settings.described():
                    other = noted.decode(errors="replace") or "none are recorded"
                    raise InvalidInput(
                        f"{settings.output} holds vectors made with other settings: {other}.",
                        "Choose another --output, or the same settings.",
                    )
                table = part.read(columns=["uri", "etag"])
        except pa.ArrowException as error:
            raise InvalidInput(
                f"{uri} is no part of ours or is damaged: {error}.", "Delete it, and run again."
            ) from None
        pairs = zip(table["uri"].to_pylist(), table["etag"].to_pylist(), strict=True)
        found.update(state_key(name, etag) for name, etag in pairs)
    return found
