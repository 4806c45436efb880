"""From a query of any kind to ranked hits.

Cosines of a query with texts and with pictures do not have one scale, so each is measured against those that the query
has with usual things of its kind: (cosine - mean) / standard deviation. What these things are the model says
(``models.background``), or else a sample of the collection. What the words of a query fit best is lifted by one
standard deviation, other texts in proportion (benchmarks/words.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from itertools import islice
from typing import Any

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.errors import InvalidInput, NotFound
from kilonova.media.content import Content, Encoded, Modality, Text
from kilonova.media.text import check_unicode
from kilonova.models.background import background
from kilonova.models.card import Purpose
from kilonova.search.fusion import diverse, reciprocal_rank, rocchio, weighted
from kilonova.search.rerank import Reranker, reordered
from kilonova.segments.files import PLACE, Kind
from kilonova.stores.base import Collection, Match, Metric, VectorStore
from kilonova.stores.checks import check_query
from kilonova.stores.filters.tree import Compare, Filter, In, all_of
from kilonova.vectors import unit

__all__ = ["UNLIKE", "Fusion", "Hit", "Mode", "Query", "Searcher", "of", "purpose"]

#: Weight of words that hits should not be like.
UNLIKE = -0.5
_DEPTH = 100  # candidates of each list, at least
_SAMPLE = 400  # points of a kind that a cosine is measured against
_LEAST = 8  # fewer say little
_ALIKE = ((Kind.TEXT, Kind.DOCUMENT), (Kind.IMAGE, Kind.VIDEO), (Kind.AUDIO,))
_LEAST_SPREAD = 1e-3
_MOMENTS = 3
_RERANKED = 30  # hits that a reranker reads

_MEANT = {
    Kind.TEXT: Modality.TEXT,
    Kind.DOCUMENT: Modality.TEXT,
    Kind.IMAGE: Modality.IMAGE,
    Kind.VIDEO: Modality.IMAGE,
    Kind.AUDIO: Modality.AUDIO,
}
_PURPOSES = {
    Kind.TEXT: Purpose.TEXT_RETRIEVAL,
    Kind.DOCUMENT: Purpose.DOCUMENT_RETRIEVAL,
    Kind.IMAGE: Purpose.IMAGE_RETRIEVAL,
    Kind.AUDIO: Purpose.AUDIO_RETRIEVAL,
    Kind.VIDEO: Purpose.VIDEO_RETRIEVAL,
}


class Mode(StrEnum):
    """How hits are found: by vectors, by words (BM25), or by both."""

    HYBRID = "hybrid"
    DENSE = "dense"
    WORDS = "words"


class Fusion(StrEnum):
    """How hits by vectors and by words are put together: by weighted scores, or by reciprocal ranks."""

    WEIGHTS = "weights"
    RANKS = "ranks"


@dataclass(frozen=True)
class Query:
    """What is looked for.

    Attributes:
        wanted: contents and their weights; a weight below zero is what hits should not be like.
        vector: of the collection's dimension, instead of contents.
        kinds: which kinds of files are searched; () is all.
        where: a filter on payloads.
        k: hits at most.
        mode: how they are found. Words are taken from the wanted texts.
        fusion: how both are put together.
        least: cosine that a hit must have at least.
        diversity: 0 to 1, see ``fusion.diverse``.
        grouped: one hit for each file, with its best moments.
        good, bad: ids of points that earlier hits were right or wrong in.
        exact: compare with every point instead of asking the index.
    """

    wanted: Sequence[tuple[Content | Encoded, float]] = ()
    vector: np.ndarray | None = None
    kinds: tuple[Kind, ...] = ()
    where: Filter | None = None
    k: int = 10
    mode: Mode = Mode.HYBRID
    fusion: Fusion = Fusion.WEIGHTS
    least: float | None = None
    diversity: float = 0.0
    grouped: bool = True
    good: Sequence[str] = ()
    bad: Sequence[str] = ()
    exact: bool = False


@dataclass(frozen=True)
class Hit:
    """A file or a point that was found.

    Attributes:
        id: of its best point.
        score: what it is ranked by; higher is better.
        similarity: cosine or dot product with the query, None where only words found it.
        distance: the same where the collection compares by Euclid's distance; lower is better.
        payload: of its best point.
        moments: the other points of its file that were found, best first: their ids, scores and places.
        before: its rank without ``good`` and ``bad``, 0 where it was no hit; None where there is no feedback.
    """

    id: str
    score: float
    payload: Mapping[str, Any]
    similarity: float | None = None
    distance: float | None = None
    moments: Sequence[Mapping[str, Any]] = field(default=())
    before: int | None = None

    def as_dict(self) -> dict[str, Any]:
        """The hit as JSON values, without what does not apply to it."""
        found: dict[str, Any] = {"id": self.id, "score": round(self.score, 6)}
        for name in ("similarity", "distance", "before"):
            value = getattr(self, name)
            if value is not None:
                found[name] = round(value, 6)
        return {**found, "payload": dict(self.payload), "moments": list(self.moments)}


def purpose(kinds: Sequence[Kind]) -> Purpose:
    """What a query's vector is for, by what is searched."""
    return _PURPOSES[kinds[0]] if len(kinds) == 1 else Purpose.GENERIC_RETRIEVAL


class Searcher:
    """Searches the collections of a store with a model.

    Args:
        store: where they lie.
        engine: of their model.
        reranker: reads the words of the first hits again where a query has words.
    """

    def __init__(self, store: VectorStore, engine: Engine, reranker: Reranker | None = None) -> None:
        self._store, self._engine, self._reranker = store, engine, reranker
        self._samples: dict[str, tuple[int, dict[Kind | None, np.ndarray]]] = {}

    async def search(self, collection: Collection, query: Query) -> list[Hit]:
        """The hits, best first.

        Raises:
            InvalidInput: nothing is asked for, or the model cannot embed it.
            NotFound: no point has an id of ``good`` or ``bad``.
        """
        for item, _ in query.wanted:
            if isinstance(item, Text):
                check_unicode(item.value)
        vector = await self._vector(collection, query)
        words = " ".join(item.value for item, weight in query.wanted if isinstance(item, Text) and weight > 0)
        if query.mode is Mode.WORDS and not words:
            raise InvalidInput("There are no words to look for.", "Give a text, or search by vectors.")
        hits = await asyncio.to_thread(self._found, collection, query, vector, words)
        if not (query.good or query.bad):
            return hits
        plain = await self.search(collection, replace(query, good=(), bad=()))
        ranks = {_thing(hit, query): rank for rank, hit in enumerate(plain, 1)}
        return [replace(hit, before=ranks.get(_thing(hit, query), 0)) for hit in hits]

    async def _vector(self, collection: Collection, query: Query) -> np.ndarray | None:
        if query.vector is not None:
            mixed = query.vector
            check_query(collection, mixed)
        elif not query.wanted:
            raise InvalidInput("Nothing is looked for.", "Give a text or a file.")
        elif query.mode is Mode.WORDS:
            return None
        else:
            aim = purpose(query.kinds)
            found = await asyncio.gather(
                *(self._engine.embed(item, aim, collection.dimension) for item, _ in query.wanted)
            )
            mixed = np.zeros(collection.dimension, np.float32)
            for embedding, (_, weight) in zip(found, query.wanted, strict=True):
                assert embedding is not None  # only the sound of a film can be missing
                mixed += np.float32(weight) * embedding.vector
            if not np.linalg.norm(mixed) > 0:
                raise InvalidInput("What is wanted and what is not cancel each other.")
            mixed = unit(mixed)
        if query.good or query.bad:
            marked = await asyncio.to_thread(self._vectors, collection.name, [*query.good, *query.bad])
            mixed = rocchio(mixed, [marked[one] for one in query.good], [marked[one] for one in query.bad])
        return mixed

    def _vectors(self, name: str, ids: Sequence[str]) -> dict[str, np.ndarray]:
        found = {point.id: point.vector for point in self._store.get(name, ids)}
        if missing := [one for one in ids if one not in found]:
            raise NotFound(f"There is no point {missing[0]} in {name}.", "Take ids from hits.")
        return found

    def _found(self, collection: Collection, query: Query, vector: np.ndarray | None, words: str) -> list[Hit]:
        depth = max(_DEPTH, 5 * query.k)
        scale = _Scale(self._sampled(collection), vector) if vector is not None else None
        near = self._near(collection, query, vector, depth, scale) if vector is not None and scale is not None else {}
        spoken: dict[str, Match] = {}
        if words and query.mode is not Mode.DENSE:
            where = all_of(query.where, of(query.kinds))
            spoken = {one.id: one for one in self._store.lexical(collection.name, words, depth, where)}
        if vector is None or scale is None:
            scores = {name: one.score or 0.0 for name, one in spoken.items()}
        elif collection.metric is Metric.EUCLID or query.fusion is Fusion.RANKS:
            scores = reciprocal_rank([list(near), list(spoken)]) if spoken else {n: one[1] for n, one in near.items()}
        else:
            near |= self._measured(collection, [one for name, one in spoken.items() if name not in near], vector, scale)
            words_fit = {name: one.score or 0.0 for name, one in spoken.items()}
            scores = weighted({name: score for name, (_, score) in near.items()}, words_fit)
        matches = {**spoken, **{name: match for name, (match, _) in near.items()}}
        if query.least is not None:
            scores = {name: score for name, score in scores.items() if (matches[name].score or 0.0) >= query.least}
        order = list(scores)
        if query.diversity > 0:
            known = self._vectors(collection.name, order[: 5 * query.k])
            units = {name: unit(one) for name, one in known.items()}
            order = diverse({name: scores[name] for name in units}, units, depth, query.diversity)
        hits = []
        for name in order:
            alike = near[name][0] if name in near else Match(name, {})
            hits.append(Hit(name, scores[name], matches[name].payload, alike.score, alike.distance))
        hits = _grouped(hits, query) if query.grouped else hits
        if self._reranker is not None and words:
            hits = self._reranked(collection.name, words, hits[: max(_RERANKED, query.k)], self._reranker)
        return hits[: query.k]

    def _reranked(self, name: str, words: str, hits: Sequence[Hit], reranker: Reranker) -> list[Hit]:
        """Hits by what the reranker says of their best part; its score takes the place of theirs."""
        parts = {hit.id: [hit.id, *(str(one["id"]) for one in hit.moments)] for hit in hits}
        found = {
            point.id: point.text for point in self._store.get(name, [one for ids in parts.values() for one in ids])
        }
        texts = {one: text for one, text in found.items() if text.strip()}
        said = dict(zip(texts, reranker(words, list(texts.values())).tolist(), strict=True)) if texts else {}
        best = [max((said[one] for one in parts[hit.id] if one in said), default=None) for hit in hits]
        return [replace(hits[place], score=_either(best[place], hits[place].score)) for place in reordered(best)]

    def _near(
        self, collection: Collection, query: Query, vector: np.ndarray, depth: int, scale: _Scale
    ) -> dict[str, tuple[Match, float]]:
        """What is near, best first, with what it is ranked by."""
        ranked: list[tuple[Match, float]] = []
        for kind in query.kinds or scale.kinds:
            where = all_of(query.where, of((kind,)) if kind is not None else None)
            found = self._store.nearest(collection.name, vector, depth, where, exact=query.exact)
            ranked += [(one, scale(one)) for one in found]
        return {one.id: (one, score) for one, score in sorted(ranked, key=lambda pair: -pair[1])}

    def _measured(
        self, collection: Collection, found: Sequence[Match], vector: np.ndarray, scale: _Scale
    ) -> dict[str, tuple[Match, float]]:
        """How near that is which only words found."""
        vectors = {point.id: point.vector for point in self._store.get(collection.name, [one.id for one in found])}
        measured = {}
        for one in found:
            if one.id in vectors:  # else deleted meanwhile
                match = Match(one.id, one.payload, _alike(collection, vectors[one.id], vector))
                measured[one.id] = (match, scale(match))
        return measured

    def _sampled(self, collection: Collection) -> dict[Kind | None, np.ndarray]:
        """What cosines are measured against, for each kind that there is: the model's own background, or a sample of
        the collection. Looked at again when the collection has changed by half."""
        count = self._store.count(collection.name)
        then, samples = self._samples.get(collection.name, (0, {}))
        if then and then * 2 / 3 <= count <= then * 3 / 2:
            return samples
        usual = background(self._engine.card, collection.dimension)
        own: dict[Kind | None, np.ndarray] = {}
        for kind in Kind:
            some = islice(self._store.scroll(collection.name, of((kind,))), 1 if usual else _SAMPLE)
            if found := [point.vector for point in some]:
                own[kind] = np.stack(found)
        if not own:  # points that were not made of files
            found = [point.vector for point in islice(self._store.scroll(collection.name), _SAMPLE)]
            own = {None: np.stack(found) if found else np.zeros((1, collection.dimension), np.float32)}
        samples = {kind: usual[_MEANT[kind]] if kind is not None and usual else _enough(kind, own) for kind in own}
        self._samples[collection.name] = (count, samples)
        return samples


class _Scale:
    """By how many standard deviations a similarity lies above those that a query has with usual things of the kind."""

    def __init__(self, samples: Mapping[Kind | None, np.ndarray], vector: np.ndarray) -> None:
        usual = {kind: sample @ vector for kind, sample in samples.items()}
        self._usual = {kind: (float(one.mean()), max(float(one.std()), _LEAST_SPREAD)) for kind, one in usual.items()}
        self.kinds = list(samples)

    def __call__(self, found: Match) -> float:
        if found.score is None:  # Euclid's distance has one scale for all
            return -(found.distance or 0.0)
        kind = found.payload.get("kind")
        mean, spread = self._usual.get(Kind(kind) if kind in list(Kind) else None, (0.0, 1.0))
        return (found.score - mean) / spread


def _either(one: float | None, other: float) -> float:
    return other if one is None else one


def _alike(collection: Collection, one: np.ndarray, other: np.ndarray) -> float:
    return float(unit(one) @ unit(other) if collection.metric is Metric.COSINE else one @ other)


def of(kinds: Sequence[Kind]) -> Filter | None:
    """The filter that lets these kinds through; None for ()."""
    if not kinds:
        return None
    return Compare("kind", "=", str(kinds[0])) if len(kinds) == 1 else In("kind", tuple(map(str, kinds)))


def _enough(kind: Kind | None, own: Mapping[Kind | None, np.ndarray]) -> np.ndarray:
    """A kind's sample, or where it is small that of the kinds like it, or of all."""
    family: tuple[Kind | None, ...] = next((family for family in _ALIKE if kind in family), (kind,))
    pool: list[np.ndarray] = []
    for kinds in ((kind,), family, tuple(own)):
        pool = [own[one] for one in kinds if one in own]
        if sum(map(len, pool)) >= _LEAST:
            break
    return np.concatenate(pool)


def _thing(hit: Hit, query: Query) -> str:
    """What a hit stands for: its file, or itself; points without a file stand for themselves."""
    return str(hit.payload.get("uri", hit.id)) if query.grouped else hit.id


def _grouped(hits: Sequence[Hit], query: Query) -> list[Hit]:
    """One hit for each file."""
    files: dict[str, list[Hit]] = {}
    for hit in hits:
        files.setdefault(_thing(hit, query), []).append(hit)
    return [
        Hit(
            best.id,
            best.score,
            best.payload,
            best.similarity,
            best.distance,
            [
                {"id": one.id, "score": one.score} | {name: one.payload[name] for name in PLACE if name in one.payload}
                for one in others[:_MOMENTS]
            ],
        )
        for best, *others in files.values()
    ]
