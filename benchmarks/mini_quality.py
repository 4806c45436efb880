"""How well the built-in model finds things, on data that taught it nothing: the README's table.

    python -m benchmarks.mini_quality [--only flickr stamps …] --shared FOLDER [--work /tmp/kilonova-training]

Sources that are not in ../shared come from Debian's packages (``training.sources``); each part is skipped with a
reason when its source is missing.
"""

from __future__ import annotations

import argparse
import asyncio
import io
import json
import re
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path

import av
import numpy as np
from PIL import Image as Pillow
from PIL import ImageOps
from sentencepiece import SentencePieceProcessor

from kilonova.engine.engine import Engine
from kilonova.engine.matryoshka import DIMENSIONS
from kilonova.evaluation.ranking import Scores, score
from kilonova.evaluation.run import Source, evaluate
from kilonova.media.content import Audio, Content, Detail, Encoded, Image, Modality, Text
from kilonova.media.document import pages
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from kilonova.models.mini.session import weights_folder
from kilonova.models.mini.text import TextTower, add_spaces, open_tokenizer
from kilonova.segments.timeline import Segmenter
from kilonova.vectors import unit
from training import audio_data, own_sound, questions, sound_classes, sources

_CACHE = 1 << 30  # bytes of vectors: those of the largest part
QUESTIONS = Path(__file__).with_name("page_questions.tsv")
Line = dict[str, object]

# kitchen20's classes in plain words; training.__main__ teaches with others.
KITCHEN_EN = {
    "blender": "blender", "boiling-water": "boiling water", "book": "book pages", "chopping": "chopping food",
    "clean-dishes": "cleaning dishes", "cupboard": "cupboard", "cutlery": "cutlery", "dishwasher": "dishwasher",
    "drawer": "drawer", "eat": "eating", "fridge": "fridge", "frying-pan": "frying pan", "juicer": "juicer",
    "microwave": "microwave", "peel": "peeling vegetables", "plates": "plates", "stove-burner": "stove burner",
    "stove-fan": "stove fan", "sweep": "sweeping", "water-flowing": "water flowing",
}  # fmt: skip
KITCHEN_ZH = {
    "blender": "搅拌机", "boiling-water": "烧开水", "book": "翻书", "chopping": "切东西", "clean-dishes": "清洗餐具",
    "cupboard": "橱柜", "cutlery": "刀叉", "dishwasher": "洗碗机", "drawer": "抽屉", "eat": "吃", "fridge": "冰箱",
    "frying-pan": "平底锅", "juicer": "榨汁机", "microwave": "微波炉", "peel": "削蔬菜皮", "plates": "盘子",
    "stove-burner": "炉灶点火", "stove-fan": "抽油烟机", "sweep": "扫地", "water-flowing": "流水",
}  # fmt: skip


def measured(
    sets: dict[str, list[tuple[str, str]]],
    items: dict[str, Source],
    detail: Detail = Detail.STANDARD,
    others: Sequence[str] = (),
) -> list[Line]:
    """Rows of ``kilonova eval`` for sets of pairs of cells; a cell that is not among the items is a text.

    One engine serves all sets, and its cache keeps the media that they share from being embedded again.
    """

    def read(cell: str) -> Source:
        return items[cell] if cell in items else Text(cell)

    async def run() -> list[Line]:
        lines: list[Line] = []
        async with Engine("kilonova-mini", cache_bytes=_CACHE) as engine:
            await engine.ready()
            for name, pairs in sets.items():
                report = await evaluate(pairs, read, engine, DIMENSIONS, detail, others)
                if report.failed:
                    raise SystemExit(f"failed: {report.failed}")
                lines += [{"set": name, **row} for row in report.as_dict()["results"]]
        return lines

    return asyncio.run(run())


def photograph(path: Path) -> Encoded:
    return Encoded(Modality.IMAGE, path.read_bytes())


def flickr(options: argparse.Namespace) -> list[Line]:
    """Flickr8k's val split, 1,000 photographs."""
    pictures = [one for one in sources.flickr8k(options.shared) if one.split == "test"]
    items: dict[str, Source] = {str(one.path): photograph(one.path) for one in pictures}
    return measured(_captioned("Flickr8k", pictures, ("en", "zh")), items)


def stamps(options: argparse.Namespace) -> list[Line]:
    """The half of Tux Paint's stamps that did not teach."""
    pictures = [one for one in sources.stamps(options.work) if one.split == "test"]
    items: dict[str, Source] = {str(one.path): photograph(one.path) for one in pictures}
    languages = ("en", "zh", "de", "fr", "es", "ru", "ja", "ko", "pt", "it")
    return measured(_captioned("stamps", pictures, languages), items)


def _captioned(
    name: str, pictures: Sequence[sources.Picture], languages: Sequence[str]
) -> dict[str, list[tuple[str, str]]]:
    """Captions and the paths of their pictures, a set for each language."""
    return {
        f"{name} {language}": [(text, str(one.path)) for one in pictures for text in one.captions.get(language, ())]
        for language in languages
    }


def faq(options: argparse.Namespace) -> list[Line]:
    """Questions of the Debian FAQ to their answers, ten languages, beside the text tower alone (e5)."""
    tokenizer, tower = open_tokenizer(weights_folder()), TextTower(weights_folder())
    pairs = {language: questions.faq(options.work, language) for language in questions.LANGUAGES}
    lines = measured({f"FAQ {language}": found for language, found in pairs.items()}, {})
    for language, found in pairs.items():
        lines.append({"set": f"FAQ {language}, e5 alone", **_e5(tokenizer, tower, found).as_dict()})
    return lines


def _e5(tokenizer: SentencePieceProcessor, tower: TextTower, found: Sequence[tuple[str, str]]) -> Scores:
    """What the frozen text tower finds by itself, both ways like ``evaluate``."""

    def vectors(prompt: str, texts: Sequence[str]) -> np.ndarray:
        return unit(tower([tokenizer.encode(prompt + add_spaces(text)) for text in texts]))

    asked, answers = zip(*found, strict=True)
    everything = [*asked, *answers]
    count = len(asked)
    relevant = [[count + row] for row in range(count)] + [[row] for row in range(count)]
    return score(vectors("query: ", everything), vectors("passage: ", everything), relevant, list(range(2 * count)))


def kitchen(options: argparse.Namespace) -> list[Line]:
    """kitchen20's fold 4 by class name among its 20 classes."""
    clips = _read(audio_data.kitchen20(options.shared, (4,)))
    return _by_name("kitchen20 fold 4", clips, {label: (KITCHEN_EN[label], KITCHEN_ZH[label]) for label in KITCHEN_EN})


def _read(paths: Iterable[tuple[Path, str]]) -> list[tuple[np.ndarray, str]]:
    """The first half minute of recordings, each with its class."""
    return [(audio_data.read(path, 30), label) for path, label in paths]


def environment(options: argparse.Namespace) -> list[Line]:
    """Twenty classes of environmental sounds that no label taught, and Scratch's library."""
    clips = _read(sound_classes.test_clips(options.work))
    names = {label: (english, chinese) for label, (english, chinese, _) in sound_classes.CLASSES.items()}
    lines = _by_name(f"environmental sounds ({len(clips)} clips)", clips, names)
    paths, names = sound_classes.scratch_clips(options.work)
    clips = _read(paths)
    return lines + _by_name(f"Scratch's sounds ({len(clips)} clips, {len(names)} classes)", clips, names)


def kinds(options: argparse.Namespace) -> list[Line]:
    """Speech of people, music, silence and noise; the speech and the music are in no training package."""
    rng, rate = np.random.default_rng(0), audio_data.RATE
    clips: list[tuple[np.ndarray, str]] = []
    for language in ("en", "es", "fr", "it", "ru"):
        root = sources.debian(options.work, f"asterisk-core-sounds-{language}-wav")
        spoken = sorted(path for path in root.rglob("*.wav") if path.stat().st_size > 40_000)
        clips += [(audio_data.read(spoken[row], 10), "speech") for row in rng.permutation(len(spoken))[:12]]
    for path in sorted(sources.debian(options.work, "openclonk-data").rglob("*.ogg")):
        samples = audio_data.read(path, 150)
        clips += [(samples[at : at + 10 * rate], "music") for at in range(0, len(samples) - 10 * rate, 20 * rate)]
    for index in range(40):
        noise = audio_data.coloured(rng, 5 * rate, index % 4 / 3)
        level = 10 ** rng.uniform(-1.5, -0.2) if index % 2 else 10 ** rng.uniform(-6, -4.5)
        clips.append(((noise / np.abs(noise).max() * level).astype(np.float32), "noise" if index % 2 else "silence"))
    names = {"speech": ("someone speaking", "有人说话"), "music": ("music", "音乐"),
             "silence": ("silence", "安静无声"), "noise": ("noise", "噪声")}  # fmt: skip
    return _by_name(f"kinds of sound ({len(clips)} clips)", clips, names)


def _by_name(name: str, clips: Sequence[tuple[np.ndarray, str]], classes: Mapping[str, tuple[str, str]]) -> list[Line]:
    """How many clips are nearest to the name of their class, in English and in Chinese."""
    model = registry.load("kilonova-mini")
    sounds = [Audio(samples, audio_data.RATE) for samples, _ in clips]
    vectors = embed(model, sounds, Purpose.GENERIC_INDEX)
    truth = np.array([list(classes).index(label) for _, label in clips])
    lines: list[Line] = []
    for side, language in enumerate(("en", "zh")):
        names = embed(model, [Text(words[side]) for words in classes.values()], Purpose.AUDIO_RETRIEVAL)
        for size in DIMENSIONS:
            chosen = (unit(vectors[:, :size]) @ unit(names[:, :size]).T).argmax(axis=1)
            share = float((chosen == truth).mean())
            lines.append({"set": f"{name} {language}", "dimension": size, "accuracy": share})
    return lines


_MUSIC = ("0ad-data", "asterisk-moh-opsound-wav", "extremetuxracer-data", "flare-game", "freedroidrpg-data",
          "hedgewars-data", "megaglest-data", "redeclipse-data", "scorched3d-data", "supertux-data",
          "supertuxkart-data", "unknown-horizons", "wesnoth-1.16-music", "widelands-data", "xmoto-data")  # fmt: skip


def songs(options: argparse.Namespace) -> list[Line]:
    """Ten seconds of a track at 64 kbit/s among thirty seconds each of 300 pieces of music."""
    model, rng = registry.load("kilonova-mini"), np.random.default_rng(0)
    tracks: list[np.ndarray] = []
    seen: set[int] = set()
    for package in _MUSIC:
        for path in sorted(sources.debian(options.work, package).rglob("*.[owm][gap][gav3]")):
            if path.stat().st_size > 400_000:  # music, not an effect
                samples = audio_data.read(path, 40)
                digest = hash(samples.tobytes())  # some pieces are there twice
                if len(samples) >= 40 * audio_data.RATE - 1 and digest not in seen:
                    seen.add(digest)
                    tracks.append(samples[10 * audio_data.RATE :])
    tracks = [tracks[row] for row in rng.permutation(len(tracks))[:300]]
    cuts = []
    for track in tracks:
        start = int(rng.integers(20 * audio_data.RATE))
        cuts.append(own_sound.at_64_kbit(track[start : start + 10 * audio_data.RATE]))
    queries = embed(model, [Audio(cut, audio_data.RATE) for cut in cuts], Purpose.AUDIO_RETRIEVAL)
    index = embed(model, [Audio(track, audio_data.RATE) for track in tracks], Purpose.GENERIC_INDEX)
    return _copies(f"song among {len(tracks)}", queries, index)


def copies(options: argparse.Namespace) -> list[Line]:
    """Changed photographs find their originals among 2,000."""
    model = registry.load("kilonova-mini")
    paths = sorted((options.shared / "flickr8k/images").iterdir())[:2000]
    originals = [Pillow.open(path).convert("RGB") for path in paths]
    index = embed(model, [Image(np.asarray(image)) for image in originals], Purpose.GENERIC_INDEX)
    changes: dict[str, Callable[[Pillow.Image], Pillow.Image]] = {
        "cropped to 60 % of its area": lambda image: image.crop((10, 25, 185, 200)),
        "a third of its size": lambda image: image.resize((75, 75)),
        "JPEG of quality 15": _poor_jpeg,
        "mirrored": ImageOps.mirror,
    }
    lines = []
    for name, change in changes.items():
        queries = embed(model, [Image(np.asarray(change(image))) for image in originals[::10]], Purpose.IMAGE_RETRIEVAL)
        lines += _copies(f"photograph, {name}", queries, index, step=10)
    return lines


def _poor_jpeg(image: Pillow.Image) -> Pillow.Image:
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=15)
    return Pillow.open(buffer).convert("RGB")


def _copies(name: str, queries: np.ndarray, index: np.ndarray, step: int = 1) -> list[Line]:
    relevant = [[row * step] for row in range(len(queries))]
    return [
        {"set": name, "dimension": size, **score(unit(queries[:, :size]), unit(index[:, :size]), relevant).as_dict()}
        for size in DIMENSIONS
    ]


def films(options: argparse.Namespace) -> list[Line]:
    """A film of 300 unseen photographs, 2.5 to 7 seconds of each: captions to its segments of five seconds."""
    rng, rate, wide, high = np.random.default_rng(0), 25, 448, 252
    pictures = [one for one in sources.flickr8k(options.shared) if one.split == "test"][:300]
    counts = (rng.uniform(2.5, 7, len(pictures)) * rate).astype(int)
    file = io.BytesIO()
    with av.open(file, "w", format="mp4") as out:
        stream = out.add_stream("libx264", rate=rate, options={"preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = wide, high, "yuv420p"
        for one, count, drift in zip(pictures, counts, rng.uniform(-1, 1, (len(pictures), 2)), strict=True):
            whole = ImageOps.fit(Pillow.open(one.path).convert("RGB"), (round(wide * 1.15), round(high * 1.15)))
            for place in range(count):  # the camera moves slowly
                left, top = ((0.5 + drift * (place / count - 0.5)) * (0.15 * wide, 0.15 * high)).astype(int)
                frame = whole.crop((left, top, left + wide, top + high))
                out.mux(stream.encode(av.VideoFrame.from_ndarray(np.asarray(frame), format="rgb24")))
        out.mux(stream.encode(None))
    model, index, found = registry.load("kilonova-mini"), 0, []
    segmenter = Segmenter(file, Modality.VIDEO, 5.0, model.card.frame_rate, model.card.sample_rate)
    while (segment := segmenter.segment(index)) is not None:
        found.append(segment)
        index += 1
    begin = time.perf_counter()
    vectors = embed(model, [segment.video for segment in found if segment.video is not None], Purpose.GENERIC_INDEX)
    lines: list[Line] = [
        {"set": "seconds of film/s in the model", "value": 5 * len(found) / (time.perf_counter() - begin)}
    ]
    ends = np.cumsum(counts) / rate
    relevant = [
        [segment.index for segment in found if min(segment.end, end) - max(segment.start, end - count / rate) >= 2.0]
        for end, count in zip(ends, counts, strict=True)
    ]
    rows = [row for row, segments in enumerate(relevant) if segments]
    for language in ("en", "zh"):
        asked = [Text(pictures[row].captions[language][0]) for row in rows]
        queries = embed(model, asked, Purpose.VIDEO_RETRIEVAL)
        for size in DIMENSIONS:
            scores = score(unit(queries[:, :size]), unit(vectors[:, :size]), [relevant[row] for row in rows])
            lines.append({"set": f"film of photographs {language}", "dimension": size, **scores.as_dict()})
    return lines


def manual_pages(work: Path) -> tuple[dict[str, Image], list[tuple[str, str]]]:
    """Two of three pages of an English and a Chinese manual and those that answer a question, by language and number;
    and fifty questions written by hand, each with the name of its page."""
    manuals = {
        "en": next(sources.debian(work, "debian-reference-en").rglob("*.pdf")),
        "zh": next(sources.debian(work, "debian-reference-zh-cn").rglob("*.pdf")),
    }
    asked = [line.split("\t") for line in QUESTIONS.read_text().splitlines() if line and line[0] != "#"]
    kept: dict[str, Image] = {}
    pairs = []
    for manual, path in manuals.items():
        found = list(pages(path))[29:]  # what comes before is the table of contents
        plain = [_plain(page.text or "") for page in found]
        wanted = {number for number, _ in enumerate(found) if number % 3 < 2}
        for name, words, question in asked:
            if name == manual:
                (number,) = (number for number, text in enumerate(plain) if _plain(words) in text)
                wanted.add(number)
                pairs.append((question, f"{manual} {number}"))
        kept |= {f"{manual} {number}": found[number] for number in sorted(wanted)}
    return kept, pairs


def documents(options: argparse.Namespace) -> list[Line]:
    """Fifty questions written by hand to the pages of an English and a Chinese manual; every third page is a scan."""
    found, pairs = manual_pages(options.work)
    items: dict[str, Source] = {}
    for manual in ("en", "zh"):
        for place, name in enumerate(name for name in found if name.startswith(manual)):
            page = found[name]
            items[name] = Image(page.pixels, page.detail, None if place % 3 == 0 else page.text)
    rows = measured({f"pages ({len(items)})": pairs}, items, Detail.DOCUMENT, [*items])
    return [row for row in rows if row["query"] == "text"]


def _plain(text: str) -> str:
    return re.sub(r"[\s\ufffe\u00ad]+", "", text).replace("’", "'")


def speed(options: argparse.Namespace) -> list[Line]:
    """Rates of the model in this process."""
    model, lines = registry.load("kilonova-mini"), []
    texts = [Text(f"两只狗在草地上面玩耍 two dogs play on the grass {n}") for n in range(32)]
    pixels = np.random.default_rng(0).integers(0, 255, (512, 768, 3), np.uint8)
    noise = np.random.default_rng(0).normal(0, 0.1, 30 * audio_data.RATE).astype(np.float32)
    work: tuple[tuple[str, list[Content], float], ...] = (
        ("short texts/s", list(texts), 32),
        ("one short text, ms", [texts[0]], 0),
        ("images/s", [Image(pixels)] * 16, 16),
        ("seconds of sound/s", [Audio(noise, audio_data.RATE)] * 4, 120),
    )
    for name, contents, amount in work:
        times = []
        for _ in range(8):
            begin = time.perf_counter()
            model.embed([model.prepare(content, Purpose.GENERIC_INDEX) for content in contents])
            times.append(time.perf_counter() - begin)
        middle = sorted(times)[len(times) // 2]
        lines.append({"set": name, "value": amount / middle if amount else 1000 * middle})
    return lines


def embed(model: EmbeddingModel, contents: Sequence[Content], purpose: Purpose) -> np.ndarray:
    """Vectors float32 [n, 3072] in batches of 16."""
    batches = (contents[first : first + 16] for first in range(0, len(contents), 16))
    results = (model.embed([model.prepare(one, purpose) for one in batch]) for batch in batches)
    return np.stack([one.vector for batch in results for one in batch])


PARTS = {
    "flickr": flickr, "stamps": stamps, "faq": faq, "kitchen": kitchen,
    "environment": environment, "kinds": kinds, "songs": songs, "copies": copies,
    "films": films, "documents": documents, "speed": speed,
}  # fmt: skip


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--shared", type=Path, required=True, help="Folder of the data, see training/README.md.")
    parser.add_argument("--work", type=Path, default=Path("/tmp/kilonova-training"))
    parser.add_argument("--json", type=Path, help="write all lines to this file")
    options = parser.parse_args()
    lines: list[Line] = []
    for name in options.only:
        begin = time.perf_counter()
        try:
            found = PARTS[name](options)
        except FileNotFoundError as error:
            print(f"{name}: skipped, {error}")
            continue
        print(f"== {name}: {PARTS[name].__doc__} ({time.perf_counter() - begin:.0f} s)")
        for line in found:
            print(
                "  ",
                " ".join(
                    f"{key}={value:.3f}" if isinstance(value, float) else f"{value}" for key, value in line.items()
                ),
            )
        lines += found
    if options.json:
        options.json.write_text(json.dumps(lines, ensure_ascii=False, indent=1))


if __name__ == "__main__":
    main()
