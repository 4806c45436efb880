"""From a query of any kind to ranked hits.

Hits by vectors are ranked by z-scores (``ranking``). What the keywords of a query fit best is lifted by one standard
deviation, other texts in proportion (benchmarks/words.py).
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import islice

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.errors import InvalidInput, NotFound
from kilonova.media.content import Text
from kilonova.media.text import check_unicode
from kilonova.models.background import background
from kilonova.models.card import Purpose
from kilonova.search.fusion import diverse_order, reciprocal_rank, rocchio, weighted_scores
from kilonova.search.query import Fusion, Hit, Mode, Query, kind_filter
from kilonova.search.ranking import BACKGROUND_MODALITY, ZScore, background_of, file_key, group_by_file, similarity
from kilonova.search.rerank import Reranker, reorder
from kilonova.segments.files import Kind
from kilonova.stores.base import Collection, Match, Metric, VectorStore
from kilonova.stores.checks import check_query
from kilonova.stores.filters.tree import all_of
from kilonova.vectors import unit

__all__ = ["Searcher", "purpose_of"]

_DEPTH = 100  # candidates of each list, at least
_SAMPLE = 400  # points of a kind that a cosine is measured against
_RERANKED = 30  # hits that a reranker reads
_PURPOSES = {
    Kind.TEXT: Purpose.TEXT_RETRIEVAL,
    Kind.DOCUMENT: Purpose.DOCUMENT_RETRIEVAL,
    Kind.IMAGE: Purpose.IMAGE_RETRIEVAL,
    Kind.AUDIO: Purpose.AUDIO_RETRIEVAL,
    Kind.VIDEO: Purpose.VIDEO_RETRIEVAL,
}


def purpose_of(kinds: Sequence[Kind]) -> Purpose:
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
        self._backgrounds: dict[str, tuple[int, dict[Kind | None, np.ndarray]]] = {}

    async def search(self, collection: Collection, query: Query) -> list[Hit]:
        """The hits, best first.

        Raises:
            InvalidInput: nothing is asked for, or the model cannot embed it.
            NotFound: no point has an id of ``relevant`` or ``irrelevant``.
        """
        for item, _ in query.contents:
            if isinstance(item, Text):
                check_unicode(item.value)
        if query.min_similarity is not None and (query.mode is Mode.KEYWORD or collection.metric is Metric.EUCLID):
            raise InvalidInput(
                "Hits have no similarity here, so none can be required.",
                "Leave it out; a search by keywords or by Euclid's distance has scores and distances.",
            )
        vector = await self._vector(collection, query)
        words = " ".join(item.value for item, weight in query.contents if isinstance(item, Text) and weight > 0)
        if query.mode is Mode.KEYWORD and not words:
            raise InvalidInput("There are no keywords to look for.", "Give a text, or search by vectors.")
        hits = await asyncio.to_thread(self._ask_store, collection, query, vector, words)
        if not (query.relevant or query.irrelevant):
            return hits
        plain = await self.search(collection, replace(query, relevant=(), irrelevant=()))
        ranks = {_key(hit, query): rank for rank, hit in enumerate(plain, 1)}
        return [replace(hit, before=ranks.get(_key(hit, query), 0)) for hit in hits]

    async def _vector(self, collection: Collection, query: Query) -> np.ndarray | None:
        if query.vector is not None:
            mixed = query.vector
            check_query(collection, mixed)
        elif not query.contents:
            raise InvalidInput("The query is empty.", "Give a text or a file.")
        elif query.mode is Mode.KEYWORD:
            return None
        else:
            aim = purpose_of(query.kinds)
            found = await asyncio.gather(
                *(self._engine.embed(item, aim, collection.dimension) for item, _ in query.contents)
            )
            mixed = np.zeros(collection.dimension, np.float32)
            for embedding, (_, weight) in zip(found, query.contents, strict=True):
                mixed += np.float32(weight) * embedding.vector
            if not np.linalg.norm(mixed) > 0:
                raise InvalidInput("Positive and negative inputs cancel out.")
            mixed = unit(mixed)
        if query.relevant or query.irrelevant:
            judged = await asyncio.to_thread(self._vectors, collection.name, [*query.relevant, *query.irrelevant])
            mixed = rocchio(mixed, [judged[one] for one in query.relevant], [judged[one] for one in query.irrelevant])
        return mixed

    def _vectors(self, name: str, ids: Sequence[str]) -> dict[str, np.ndarray]:
        found = {point.id: point.vector for point in self._store.get(name, ids)}
        if missing := [one for one in ids if one not in found]:
            raise NotFound(f"There is no point {missing[0]} in {name}.", "Take ids from hits.")
        return found

    def _ask_store(self, collection: Collection, query: Query, vector: np.ndarray | None, words: str) -> list[Hit]:
        depth = max(_DEPTH, 5 * query.limit)
        scale = ZScore(self._background(collection), vector) if vector is not None else None
        near = self._near(collection, query, vector, depth, scale) if vector is not None and scale is not None else {}
        by_keyword: dict[str, Match] = {}
        if words and query.mode is not Mode.VECTOR:
            where = all_of(query.where, kind_filter(query.kinds))
            by_keyword = {one.id: one for one in self._store.lexical(collection.name, words, depth, where)}
        scores = self._scores(collection, query, vector, scale, near, by_keyword)
        if query.min_similarity is not None:
            near = {name: one for name, one in near.items() if (one[0].score or 0.0) >= query.min_similarity}
            scores = {name: score for name, score in scores.items() if name in near}
        matches = {**by_keyword, **{name: match for name, (match, _) in near.items()}}
        order = list(scores)
        if query.diversity > 0:
            known = self._vectors(collection.name, order[: 5 * query.limit])
            units = {name: unit(one) for name, one in known.items()}
            order = diverse_order({name: scores[name] for name in units}, units, depth, query.diversity)
        hits = []
        for name in order:
            alike = near[name][0] if name in near else Match(name, {})
            hits.append(Hit(name, scores[name], matches[name].payload, alike.score, alike.distance))
        hits = group_by_file(hits) if query.group_by_file else hits
        if self._reranker is not None and words:
            hits = self._rerank(collection.name, words, hits[: max(_RERANKED, query.limit)], self._reranker)
        return hits[: query.limit]

    def _scores(
        self,
        collection: Collection,
        query: Query,
        vector: np.ndarray | None,
        scale: ZScore | None,
        near: dict[str, tuple[Match, float]],
        by_keyword: dict[str, Match],
    ) -> dict[str, float]:
        """What hits are ranked by, best first; what only keywords found is added to ``near``."""
        keyword_scores = {name: one.score or 0.0 for name, one in by_keyword.items()}
        if vector is None or scale is None:
            return keyword_scores
        ranks = [list(near), list(by_keyword)]
        if collection.metric is not Metric.EUCLID:
            near |= self._similar(
                collection, [one for name, one in by_keyword.items() if name not in near], vector, scale
            )
            if query.fusion is Fusion.WEIGHTS:
                return weighted_scores({name: score for name, (_, score) in near.items()}, keyword_scores)
        return reciprocal_rank(ranks) if by_keyword else {name: score for name, (_, score) in near.items()}

    def _rerank(self, name: str, words: str, hits: Sequence[Hit], reranker: Reranker) -> list[Hit]:
        """Hits by what the reranker says of their best part; its score takes the place of theirs."""
        parts = {hit.id: [hit.id, *(str(one["id"]) for one in hit.moments)] for hit in hits}
        found = {
            point.id: point.text for point in self._store.get(name, [one for ids in parts.values() for one in ids])
        }
        texts = {one: text for one, text in found.items() if text.strip()}
        said = dict(zip(texts, reranker(words, list(texts.values())).tolist(), strict=True)) if texts else {}
        best = [max((said[one] for one in parts[hit.id] if one in said), default=None) for hit in hits]
        return [replace(hits[place], score=_either(best[place], hits[place].score)) for place in reorder(best)]

    def _near(
        self, collection: Collection, query: Query, vector: np.ndarray, depth: int, scale: ZScore
    ) -> dict[str, tuple[Match, float]]:
        """What is near, best first, with what it is ranked by."""
        ranked: list[tuple[Match, float]] = []
        for kind in query.kinds or scale.kinds:
            where = all_of(query.where, kind_filter((kind,)) if kind is not None else None)
            found = self._store.nearest(collection.name, vector, depth, where, exact=query.exact)
            ranked += [(one, scale(one)) for one in found]
        return {one.id: (one, score) for one, score in sorted(ranked, key=lambda pair: -pair[1])}

    def _similar(
        self, collection: Collection, found: Sequence[Match], vector: np.ndarray, scale: ZScore
    ) -> dict[str, tuple[Match, float]]:
        """How near that is which only words found."""
        vectors = {point.id: point.vector for point in self._store.get(collection.name, [one.id for one in found])}
        measured = {}
        for one in found:
            if one.id in vectors:  # else deleted meanwhile
                match = Match(one.id, one.payload, similarity(collection, vectors[one.id], vector))
                measured[one.id] = (match, scale(match))
        return measured

    def _background(self, collection: Collection) -> dict[Kind | None, np.ndarray]:
        """What cosines are measured against, for each kind that there is: the model's own background, or a sample of
        the collection. Looked at again when the collection has changed by half."""
        count = self._store.count(collection.name)
        then, samples = self._backgrounds.get(collection.name, (0, {}))
        if then and then * 2 / 3 <= count <= then * 3 / 2:
            return samples
        usual = background(self._engine.card, collection.dimension)
        own: dict[Kind | None, np.ndarray] = {}
        for kind in Kind:
            some = islice(self._store.scroll(collection.name, kind_filter((kind,))), 1 if usual else _SAMPLE)
            if found := [point.vector for point in some]:
                own[kind] = np.stack(found)
        if not own:  # points that were not made of files
            found = [point.vector for point in islice(self._store.scroll(collection.name), _SAMPLE)]
            own = {None: np.stack(found) if found else np.zeros((1, collection.dimension), np.float32)}
        samples = {
            kind: usual[BACKGROUND_MODALITY[kind]] if kind is not None and usual else background_of(kind, own)
            for kind in own
        }
        self._backgrounds[collection.name] = (count, samples)
        return samples


def _either(one: float | None, other: float) -> float:
    return other if one is None else one


def _key(hit: Hit, query: Query) -> str:
    return file_key(hit) if query.group_by_file else hit.id
