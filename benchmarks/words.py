"""Search by words: what the terms of a text should be, and what words add to vectors. Questions of the Debian FAQ.

pip install jieba janome
python -m benchmarks.words --work /tmp/kilonova-training
"""

from __future__ import annotations

import argparse
import asyncio
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from importlib import import_module
from pathlib import Path

import numpy as np

from kilonova.engine.engine import Engine
from kilonova.media.content import Text
from kilonova.models.card import Purpose
from kilonova.search.query import Mode, Query
from kilonova.search.searcher import Searcher
from kilonova.segments.files import Kind
from kilonova.stores import lexical
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, Point
from training import questions

_K1, _B = 1.2, 0.75
Cut = Callable[[str], list[str]]


def segmenter(language: str) -> Cut:
    """Words by jieba (Chinese) or Janome (Japanese)."""
    if language == "ja":
        janome = import_module("janome.tokenizer").Tokenizer()
        return lambda text: [token.surface.strip() for token in janome.tokenize(text.lower()) if token.surface.strip()]
    cut = import_module("jieba").cut_for_search
    return lambda text: [word for word in cut(text.lower()) if word.strip()]


def best_of(cut: Cut, asked: Sequence[str], texts: Sequence[str]) -> list[int]:
    """The rank of each question's own text by BM25, from 0."""
    counts = [Counter(cut(text)) for text in texts]
    usual = float(np.mean([count.total() for count in counts]))
    frequency = Counter(term for count in counts for term in count)
    ranks = []
    for row, question in enumerate(asked):
        scores = np.zeros(len(texts))
        for term in set(cut(question)) & frequency.keys():
            rare = np.log(1 + (len(texts) - frequency[term] + 0.5) / (frequency[term] + 0.5))
            for place, count in enumerate(counts):
                bound = count[term] + _K1 * (1 - _B + _B * count.total() / usual)
                scores[place] += rare * count[term] * (_K1 + 1) / bound
        ranks.append(int((scores > scores[row]).sum()) if scores[row] > 0 else len(texts))
    return ranks


async def by_mode(asked: Sequence[str], texts: Sequence[str]) -> dict[Mode, list[int]]:
    """The same through a collection, for each way of searching."""
    ranks: dict[Mode, list[int]] = {mode: [] for mode in Mode}
    with tempfile.TemporaryDirectory() as folder:
        store, collection = QdrantEdge(Path(folder)), Collection("faq", "kilonova-mini", 1024)
        store.create(collection)
        async with Engine("kilonova-mini") as engine:
            await engine.ready()
            found = await engine.embed_all([Text(text) for text in texts], Purpose.GENERIC_INDEX, 1024)
            store.upsert(
                "faq",
                [
                    Point(str(row), one.vector, {"kind": "text"}, texts[row])
                    for row, one in enumerate(found)
                ],
            )  # fmt: skip
            searcher = Searcher(store, engine)
            for row, question in enumerate(asked):
                for mode in Mode:
                    query = Query([(Text(question), 1.0)], kinds=(Kind.TEXT,), limit=50, mode=mode)
                    names = [hit.id for hit in await searcher.search(collection, query)]
                    ranks[mode].append(names.index(str(row)) if str(row) in names else len(texts))
        store.close()
    return ranks


def told(name: str, ranks: Sequence[int]) -> None:
    """Print recall@1, @5 and @10."""
    recalls = "  ".join(f"@{k} {np.mean([rank < k for rank in ranks]):.3f}" for k in (1, 5, 10))
    print(f"  {name:24} {recalls}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--languages", nargs="+", default=["zh-cn", "ja", "en", "de"])
    options = parser.parse_args()
    for language in options.languages:
        asked, texts = zip(*questions.faq(options.work, language), strict=True)
        print(f"{language}: {len(asked)} questions")
        if language in ("zh-cn", "ja"):
            told("BM25, segmenter", best_of(segmenter(language), asked, texts))
            told("BM25, characters, pairs", best_of(lexical.terms, asked, texts))
        for mode, ranks in asyncio.run(by_mode(asked, texts)).items():
            told(f"Kilonova, {mode}", ranks)


if __name__ == "__main__":
    main()
