"""Retrieval measured on a folder with a TSV of pairs."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kilonova.engine.matryoshka import cut
from kilonova.errors import InvalidInput, KilonovaError
from kilonova.evaluation.ranking import Scores, score
from kilonova.media.content import Detail, Encoded, Image, Modality, Text
from kilonova.models.card import Purpose

if TYPE_CHECKING:
    from kilonova.engine.engine import Embedding, Engine

__all__ = ["Report", "ScoreRow", "evaluate", "read_pairs"]

Source = Text | Encoded | Image
Pair = tuple[str, str]

_AT_ONCE = 64
_PURPOSES = {
    Modality.TEXT: Purpose.TEXT_RETRIEVAL,
    Modality.IMAGE: Purpose.IMAGE_RETRIEVAL,
    Modality.AUDIO: Purpose.AUDIO_RETRIEVAL,
    Modality.VIDEO: Purpose.VIDEO_RETRIEVAL,
}


@dataclass(frozen=True)
class ScoreRow:
    """How well one modality finds another with vectors of one length."""

    query: Modality
    target: Modality
    dimension: int
    scores: Scores


@dataclass(frozen=True)
class Report:
    """All rows, and the inputs that could not be embedded with the reason; their pairs are left out."""

    rows: list[ScoreRow]
    failed: dict[str, str]

    def as_dict(self) -> dict[str, Any]:
        """The report for JSON."""
        rows = [
            {"query": row.query, "target": row.target, "dimension": row.dimension, **row.scores.as_dict()}
            for row in self.rows
        ]
        return {"results": rows, "failed": self.failed}


def read_pairs(path: Path) -> list[Pair]:
    """The lines ``query <tab> target`` of a TSV; blank lines and lines that start with # mean nothing.

    Raises:
        InvalidInput: the file is missing, empty, or has a line without exactly one tab.
    """
    try:
        lines = path.read_text("utf-8-sig").splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidInput(
            f"The pairs cannot be read: {error}.", "Give a UTF-8 file of lines: query, tab, target."
        ) from None
    pairs = []
    for number, line in enumerate(lines, 1):
        if not line.strip() or line.startswith("#"):
            continue
        cells = [cell.strip() for cell in line.split("\t")]
        if len(cells) != 2 or not all(cells):
            raise InvalidInput(f"{path}, line {number}: expected a query, one tab and a target.")
        pairs.append((cells[0], cells[1]))
    if not pairs:
        raise InvalidInput(f"{path} has no pairs.", "Write lines: query, tab, target; each a text or a file's name.")
    return pairs


async def evaluate(
    pairs: Sequence[Pair],
    read: Callable[[str], Source],
    engine: Engine,
    dimensions: Sequence[int],
    detail: Detail = Detail.STANDARD,
    others: Sequence[str] = (),
    track: Callable[[Sequence[Any]], Any] = iter,
) -> Report:
    """Embed both sides of all pairs and rank every modality's targets for every modality's queries, both ways.

    Args:
        pairs: queries and their targets; each cell is a text or a name that ``read`` knows.
        read: gives a cell's input; what it raises is listed as failed.
        engine: the running model; with a cache it embeds once what several calls share.
        dimensions: lengths of vectors to measure.
        detail: how images are looked at; with DOCUMENT_IMAGE the queries' purpose is DOCUMENT_RETRIEVAL.
        others: cells that nothing should find and that stand in every gallery of their modality.
        track: wraps the list of inputs while they are embedded, for a progress bar.
    """
    failed: dict[str, str] = {}
    sources: dict[str, Source] = {}
    for cell in dict.fromkeys([*(cell for pair in pairs for cell in pair), *others]):
        try:
            sources[cell] = await asyncio.to_thread(read, cell)
        except KilonovaError as error:
            failed[cell] = str(error)
    wanted = _relevance(pairs, sources)
    purposes = {
        (Purpose.GENERIC_INDEX, cell) for queries in wanted.values() for cells in queries.values() for cell in cells
    }
    purposes |= {(Purpose.GENERIC_INDEX, cell) for cell in others if cell in sources}
    for (_, target), queries in wanted.items():
        purposes |= {(_purpose(target, detail), cell) for cell in queries}
    vectors: dict[tuple[Purpose, str], np.ndarray] = {}
    places = asyncio.Semaphore(_AT_ONCE)

    async def one(purpose: Purpose, cell: str) -> Embedding | KilonovaError:
        async with places:
            try:
                return await engine.embed(sources[cell], purpose, max(dimensions))
            except KilonovaError as error:
                return error

    tasks = [(key, asyncio.create_task(one(*key))) for key in sorted(purposes)]
    try:
        for key, task in track(tasks):
            found = await task
            if isinstance(found, KilonovaError):
                failed[key[1]] = str(found)
            else:
                vectors[key] = found.vector
    finally:
        for _, task in tasks:
            task.cancel()
    distractors = [(cell, sources[cell].modality) for cell in others if (Purpose.GENERIC_INDEX, cell) in vectors]
    return Report(_rows(wanted, vectors, dimensions, detail, distractors), failed)


def _purpose(target: Modality, detail: Detail) -> Purpose:
    if target is Modality.IMAGE and detail is Detail.DOCUMENT:
        return Purpose.DOCUMENT_RETRIEVAL
    return _PURPOSES[target]


Relevance = dict[tuple[Modality, Modality], dict[str, set[str]]]


def _relevance(pairs: Sequence[Pair], sources: dict[str, Source]) -> Relevance:
    """By modalities of query and target: what each query should find. Every pair counts in both directions."""
    found: Relevance = defaultdict(lambda: defaultdict(set))
    for left, right in pairs:
        if left in sources and right in sources:
            for query, target in ((left, right), (right, left)):
                found[sources[query].modality, sources[target].modality][query].add(target)
    return found


def _rows(
    wanted: Relevance,
    vectors: dict[tuple[Purpose, str], np.ndarray],
    dimensions: Sequence[int],
    detail: Detail,
    distractors: Sequence[tuple[str, Modality]],
) -> list[ScoreRow]:
    rows = []
    for (query, target), relevance in sorted(wanted.items()):
        purpose = _purpose(target, detail)
        found = {cell for cells in relevance.values() for cell in cells if (Purpose.GENERIC_INDEX, cell) in vectors}
        gallery = sorted(found | {cell for cell, modality in distractors if modality is target})
        place = {cell: index for index, cell in enumerate(gallery)}
        asked = {
            cell: [place[other] for other in others if other in place]
            for cell, others in sorted(relevance.items())
            if (purpose, cell) in vectors
        }
        asked = {cell: others for cell, others in asked.items() if others}
        if not asked:
            continue
        itself = [None if cell not in place or cell in relevance[cell] else place[cell] for cell in asked]
        questions = np.stack([vectors[purpose, cell] for cell in asked])
        index = np.stack([vectors[Purpose.GENERIC_INDEX, cell] for cell in gallery])
        for dimension in dimensions:
            scores = score(_cut_rows(questions, dimension), _cut_rows(index, dimension), list(asked.values()), itself)
            rows.append(ScoreRow(query, target, dimension, scores))
    return rows


def _cut_rows(vectors: np.ndarray, dimension: int) -> np.ndarray:
    return np.stack([cut(vector, dimension) for vector in vectors])
