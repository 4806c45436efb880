"""One index for everything, one query, cosines as they come: does the right kind come first?

    python -m benchmarks.one_space --shared FOLDER [--work /tmp/kilonova-training] [--json FILE]

Photographs, films, sounds, paragraphs and pages are embedded with GENERIC_INDEX into one index, and captions, names and
questions in English and Chinese with GENERIC_RETRIEVAL. Each line says what a query finds among everything ("mixed"),
and among what is seen, heard, written or printed alone, as the right answer is ("alone"). Nothing of it taught the
model. What is not in ../shared comes from Debian's packages (``training.sources``).
"""

from __future__ import annotations

import argparse
import json
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from PIL import Image as Pillow

from benchmarks.mini_quality import KITCHEN_EN, KITCHEN_ZH, embed, manual_pages
from kilonova.engine.matryoshka import DIMENSIONS
from kilonova.media.content import Audio, Content, Image, Text, Video
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.vectors import unit
from training import audio_data, questions, sources

_FILMS, _LEAST_CLIPS, _SECONDS = 100, 4, 8
Line = dict[str, object]


@dataclass(frozen=True)
class Asked:
    """Queries to things of one kind.

    Attributes:
        name: with the language.
        texts: the queries.
        right: for each query the rows of its kind that answer it.
        best: how many of the first results count.
        share: whether to count the share of right ones among them (precision), not only if there is one (recall).
    """

    name: str
    texts: list[str]
    right: list[list[int]]
    best: int
    share: bool = False


@dataclass(frozen=True)
class Kind:
    """Things of one kind and what is asked about them.

    Attributes:
        family: "seen", "heard", "written" or "printed"; what is found alone is found among the things of one family.
        things: to be indexed.
        asked: the sets of queries.
    """

    family: str
    things: list[Content]
    asked: list[Asked]


def _pixels(path: Path) -> np.ndarray:
    return np.asarray(Pillow.open(path).convert("RGB"))


def seen(options: argparse.Namespace, backing: Sequence[np.ndarray]) -> Iterator[Kind]:
    """Films of one photograph each, every second of them with a sound from ``backing``, and the other photographs."""
    pictures = [one for one in sources.flickr8k(options.shared) if one.split == "test"]
    films, photographs = pictures[:_FILMS], pictures[_FILMS:]

    def asked(name: str, them: Sequence[sources.Picture]) -> list[Asked]:
        rows = [[row] for row in range(len(them))]
        return [
            Asked(f"{name} {at}, recall@10", [one.captions[at][0] for one in them], rows, 10) for at in ("en", "zh")
        ]

    made: list[Content] = []
    for row, one in enumerate(films):
        sound = Audio(backing[row % len(backing)], audio_data.RATE) if row % 2 else None
        made.append(Video(np.stack([_pixels(one.path)] * 2), np.array([0.0, 1.0]), sound))
    yield Kind("seen", [Image(_pixels(one.path)) for one in photographs], asked("photographs", photographs))
    yield Kind("seen", made, asked("films", films))


def _by_name(name: str, clips: Sequence[tuple[np.ndarray, str]], names: dict[str, tuple[str, str]]) -> Kind:
    """Sounds by the English and the Chinese name of their class."""
    rows: dict[str, list[int]] = defaultdict(list)
    for row, (_, label) in enumerate(clips):
        rows[label].append(row)
    labels = sorted(rows)
    asked = [
        Asked(
            f"{name} {at}, precision@10", [names[one][side] for one in labels], [rows[one] for one in labels], 10, True
        )
        for side, at in enumerate(("en", "zh"))
    ]
    return Kind("heard", [Audio(samples, audio_data.RATE) for samples, _ in clips], asked)


def kitchen(options: argparse.Namespace) -> Kind:
    """kitchen20's fold 4."""
    clips = [(audio_data.read(path, 30), label) for path, label in audio_data.kitchen20(options.shared, (4,))]
    return _by_name("sounds of a kitchen", clips, {one: (KITCHEN_EN[one], KITCHEN_ZH[one]) for one in KITCHEN_EN})


def sounds(options: argparse.Namespace) -> tuple[Kind, list[np.ndarray]]:
    """The half of ../shared/data/sounds that their hash keeps from training; classes are their Chinese captions.

    They are asked for as sounds: a photograph of a dog is as right an answer to "a dog barking" as a bark.

    Returns:
        The sounds of classes that have enough of them, and the others.
    """
    folder = options.shared / "sounds"
    captions: dict[str, dict[str, str]] = {}
    for language in ("en", "zh"):
        lines = [line.split("\t") for line in (folder / f"captions.{language}.tsv").read_text("utf-8").splitlines()]
        captions[language] = dict(reversed(lines))  # the first of several
    groups: dict[str, list[str]] = defaultdict(list)
    for name, label in captions["zh"].items():
        if sources.half(name) == "test":
            groups[label].append(name)
    names = {label: (f"the sound of {captions['en'][group[0]]}", f"{label}的声音") for label, group in groups.items()}
    large, rest = [], []
    for label, group in sorted(groups.items()):
        clips = [audio_data.read(folder / f"audio/{name}.opus", _SECONDS) for name in sorted(group)]
        if len(group) >= _LEAST_CLIPS:
            large += [(clip, label) for clip in clips]
        else:
            rest += clips
    return _by_name("other sounds", large, names), rest


def texts(options: argparse.Namespace) -> Iterator[Kind]:
    """The paragraphs of the Debian FAQ in two languages."""
    for at, language in (("en", "en"), ("zh", "zh-cn")):
        asked, paragraphs = zip(*questions.faq(options.work, language), strict=True)
        rows = [[row] for row in range(len(asked))]
        both = [Asked(f"paragraphs {at}, recall@{best}", list(asked), rows, best) for best in (1, 10)]
        yield Kind("written", [Text(paragraph) for paragraph in paragraphs], both)


def documents(options: argparse.Namespace) -> Kind:
    """The pages of an English and a Chinese manual with their text layers."""
    found, pairs = manual_pages(options.work)
    places = {name: row for row, name in enumerate(found)}
    asked = []
    for language in ("en", "zh"):
        mine = [(question, [places[name]]) for question, name in pairs if name.startswith(language)]
        asked.append(Asked(f"pages {language}, recall@5", [one for one, _ in mine], [rows for _, rows in mine], 5))
    return Kind("printed", [Image(page.pixels, page.detail, page.text) for page in found.values()], asked)


def _share_found(cosines: np.ndarray, asked: Asked, first: int) -> float:
    """How much of what is right is among the best, rows of the kind counted from ``first``."""
    found = []
    for row, right in zip(cosines, asked.right, strict=True):
        best = set(np.argsort(-row)[: asked.best] - first)
        count = len(best.intersection(right))
        found.append(count / min(asked.best, len(right)) if asked.share else float(count > 0))
    return float(np.mean(found))


def measure(kinds: Sequence[Kind]) -> list[Line]:
    """A line for each set of queries and dimension."""
    model = registry.load("kilonova-mini")
    vectors = [embed(model, kind.things, Purpose.GENERIC_INDEX) for kind in kinds]
    index, lines, first = np.concatenate(vectors), [], 0
    families = np.concatenate([[kind.family] * len(kind.things) for kind in kinds])
    for kind in kinds:
        among = np.flatnonzero(families == kind.family)
        before = int(np.searchsorted(among, first))
        for asked in kind.asked:
            queries = embed(model, [Text(text) for text in asked.texts], Purpose.GENERIC_RETRIEVAL)
            for size in DIMENSIONS:
                cosines = unit(queries[:, :size]) @ unit(index[:, :size]).T
                mine = cosines[:, first : first + len(kind.things)]
                rights = [row[rows].mean() for row, rows in zip(mine, asked.right, strict=True)]
                lines.append(
                    {
                        "set": asked.name,
                        "dimension": size,
                        "mixed": _share_found(cosines, asked, first),
                        "alone": _share_found(cosines[:, among], asked, before),
                        "cosine of right": float(np.mean(rights)),
                        "cosine of the kind": float(mine.mean()),
                    }
                )
        first += len(kind.things)
    return lines


def main() -> None:
    """Print the lines."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="Folder of the data, see training/README.md.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--json", type=Path, help="write all lines to this file")
    options = parser.parse_args()
    others, rest = sounds(options)
    kinds = [*seen(options, rest), kitchen(options), others, *texts(options), documents(options)]
    print(f"{sum(len(kind.things) for kind in kinds)} vectors in one index")
    lines = measure(kinds)
    for line in sorted(lines, key=lambda line: str(line["set"])):
        values = (f"{key} {value:.3f}" for key, value in line.items() if isinstance(value, float))
        print(f"{line['set']:36} {line['dimension']:5}  ", "  ".join(values))
    if options.json:
        options.json.write_text(json.dumps(lines, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
