"""What kilonova-mini's texts have in common, which says nothing about one of them (``kilonova.models.mini.space``).

    python -m training.space --shared ../shared/data --work /tmp/kilonova-training

Writes ``space.npz``: of captions, names and passages in a dozen languages, once as texts that ask and once as texts
that are stored, the means and the direction of wording in which languages differ most; the direction of sense from what
is seen to what is heard; the mean of sounds. Nothing of it is what the benchmarks measure with. Afterwards run
``python -m training.background``.
"""

from __future__ import annotations

import argparse
import gzip
from pathlib import Path

import numpy as np

from kilonova.models.cards import MINI
from kilonova.models.mini.audio import AudioTower, hear
from kilonova.models.mini.session import open_session, weights_folder
from kilonova.models.mini.text import TextTower, add_spaces, open_tokenizer
from kilonova.vectors import unit
from training import audio_data, questions, sources

__all__ = ["texts", "usual"]

_SEED, _BATCH = 1, 32
_GROUPS = {"seen": "caption", "heard": "caption"}  # groups whose languages are compared; others are their own
_ASKING, _STORED = sorted(set(MINI.prompts.values()), reverse=True)
_OTHERS = tuple(language for language in questions.LANGUAGES if language not in ("en", "zh-cn"))  # not measured with


def _lines(path: Path) -> list[list[str]]:
    text = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    return [line.split("\t") for line in text.decode().splitlines()]


def texts(work: Path, shared: Path) -> dict[tuple[str, str], list[str]]:
    """Texts by what they are ("seen", "heard", "name" or "passage") and by language and source."""
    rng = np.random.default_rng(_SEED)

    def some(items: list[str], count: int) -> list[str]:
        return [items[row] for row in rng.permutation(len(items))[:count]]

    found: dict[tuple[str, str], list[str]] = {}
    for language in ("en", "zh"):
        captions = [row[1] for row in _lines(shared / f"flickr8k/captions.{language}.train.tsv")]
        found["seen", f"{language} flickr8k"] = some(captions, 250)
    folder, measured = (
        shared / "text",
        {row[0].split("_")[0] for row in _lines(shared / "flickr8k/captions.en.val.tsv")},
    )
    for name, column, count in (("val2017.en", 1, 120), ("zh", 1, 250), ("it", 2, 100)):
        path = folder / f"coco{'-' if name[0] == 'v' else '.'}{name}.tsv.gz"
        found["seen", f"{name.split('.')[-1]} coco"] = some([row[column] for row in _lines(path)], count)
    described = [row for row in _lines(folder / "multi30k.en-de-fr-cs.tsv.gz") if row[0] not in measured]
    for column, language in ((2, "de"), (3, "fr"), (4, "cs")):
        found["seen", f"{language} multi30k"] = some([row[column] for row in described], 80)
    found["heard", "en"] = some([row[1] for row in _lines(folder / "audiocaps.en.tsv.gz")], 120)
    found["heard", "ja"] = some([row[1] for row in _lines(folder / "audiocaps.en-ja.tsv.gz")], 100)
    for language in ("en", "zh", "de", "ja", "ru"):
        names = {row[1] for row in _lines(shared / f"imagenet/captions.{language}.tsv")}
        found["name", language] = some(sorted(names), 100)
    for language in _OTHERS:
        found["passage", language] = [answer for _, answer in questions.faq(work, language)][:60]
    return found


def _parts(found: list[str], prompt: str) -> tuple[np.ndarray, np.ndarray]:
    """Sense [n, 640] and wording [n, 384] of texts as the model's tower and head say them."""
    folder = weights_folder()
    tokenizer, tower = open_tokenizer(folder), TextTower(folder)
    session = open_session(folder / "text_head.onnx")
    pairs = []
    for first in range(0, len(found), _BATCH):
        ids = [tokenizer.encode(prompt) + tokenizer.encode(add_spaces(text)) for text in found[first : first + _BATCH]]
        pairs.append(session.run(["sense", "wording"], {"pooled": tower(ids)}))
    sense, wording = zip(*pairs, strict=True)
    return np.concatenate(sense), np.concatenate(wording)


def _language(groups: list[str], languages: list[str], wordings: list[np.ndarray]) -> np.ndarray:
    """The direction [384] in which the means of languages differ most within groups."""
    means = []
    for group in sorted(set(groups)):
        rows = [row for row, name in enumerate(groups) if name == group]
        centre = np.concatenate([wordings[row] for row in rows]).mean(axis=0)
        for language in sorted({languages[row] for row in rows}):
            mine = np.concatenate([wordings[row] for row in rows if languages[row] == language])
            means.append(mine.mean(axis=0) - centre)
    return np.asarray(np.linalg.svd(np.array(means), full_matrices=False)[2][0])


def _sounds(shared: Path) -> np.ndarray:
    """The mean sense [640] of every fourth clip of kitchen20's folds 1 to 3 and half of ../shared/data/sounds."""
    session = open_session(weights_folder() / "audio_head.onnx")
    tower = AudioTower(weights_folder())
    paths = [path for path, _ in audio_data.kitchen20(shared, (1, 2, 3))][::4]
    named = sorted({row[0] for row in _lines(shared / "sounds/captions.zh.tsv")})
    paths += [shared / f"sounds/audio/{name}.opus" for name in named if sources.half(name) == "train"]
    found = []
    for path in paths:
        features = tower([hear(audio_data.read(path, 30))])
        inputs = {"pooled": features.pooled, "texture": features.texture, "classes": features.classes}
        found.append(session.run(["sense"], inputs)[0][0])
    return np.asarray(np.mean(found, axis=0))


def usual(work: Path, shared: Path) -> dict[str, np.ndarray]:
    """The fields of ``kilonova.models.mini.space.Usual``."""
    found = texts(work, shared)
    groups = [_GROUPS.get(group, group) for group, _ in found]
    languages = [language.split()[0] for _, language in found]
    asked, stored = ([_parts(some, prompt) for some in found.values()] for prompt in (_ASKING, _STORED))
    made = {"asked_sense": np.concatenate([sense for sense, _ in asked]).mean(axis=0)}
    for name, parts in (("asked", asked), ("stored", stored)):
        wordings = [wording for _, wording in parts]
        made[f"{name}_wording"] = np.concatenate(wordings).mean(axis=0)
        made[f"{name}_language"] = _language(groups, languages, wordings)
    means: dict[str, list[np.ndarray]] = {"seen": [], "heard": []}
    for (group, language), (sense, _) in zip(found, asked, strict=True):
        if group == "heard" or (group == "seen" and language.split()[0] in ("en", "zh")):
            means[group].append(unit(sense - np.float32(0.5) * made["asked_sense"]).mean(axis=0))
    made["heard"] = unit(np.mean(means["heard"], axis=0) - np.mean(means["seen"], axis=0))
    made["sounds"] = _sounds(shared)
    return made


def main() -> None:
    """Write space.npz."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--shared", type=Path, required=True, help="Folder of the data, see training/README.md.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--out", type=Path, default=Path("weights/kilonova-mini/kilonova_mini"))
    options = parser.parse_args()
    made = {name: value.astype(np.float16) for name, value in usual(options.work, options.shared).items()}
    np.savez(options.out / "space.npz", **made)  # type: ignore[arg-type]


if __name__ == "__main__":
    main()
