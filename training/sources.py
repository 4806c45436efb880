"""Where the training data comes from: Debian's, PyPI's and npm's registries, and ``../shared/data``.

Every picture has captions by language and a split: "train" teaches, "test" is only ever measured with.
"""

from __future__ import annotations

import ast
import hashlib
import json
import re
import subprocess
import sys
import tarfile
import zipfile
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from rich import print as say

__all__ = ["LANGUAGES", "Picture", "clipart", "debian", "emoji", "flickr8k", "imagenet_names", "npm",
           "stamps", "wheel", "words_in_pictures"]  # fmt: skip

#: Languages whose captions are used, of those that the sources have; codes as in CLDR.
LANGUAGES = (
    "en", "zh", "zh-Hant", "ja", "ko", "de", "fr", "es", "it", "pt", "nl", "sv", "pl", "cs", "ru", "uk", "el", "tr",
    "ar", "he", "fa", "hi", "th", "vi", "id",
)  # fmt: skip
_STAMP_CODES = {"zh": "zh_cn", "zh-Hant": "zh_tw", "pt": "pt_br"}


@dataclass(frozen=True)
class Picture:
    """An image file, its captions by language, and whether it may teach."""

    path: Path
    captions: dict[str, tuple[str, ...]]
    split: str


def _run(*command: str, cwd: Path) -> None:
    cwd.mkdir(parents=True, exist_ok=True)
    say(" ".join(command))
    subprocess.run(command, cwd=cwd, check=True, stdout=subprocess.DEVNULL)


def wheel(work: Path, requirement: str) -> Path:
    """A wheel of PyPI, downloaded once; the requirement is ``name==version``."""
    folder = work / "wheels"
    pattern = requirement.replace("-", "_").replace("==", "-") + "-*.whl"
    if not list(folder.glob(pattern)):
        _run(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--dest", ".", requirement, cwd=folder)
    return next(folder.glob(pattern))


def npm(work: Path, package: str) -> Path:
    """A package of npm as it is packed, downloaded once; ``name@version``."""
    place = work / "npm" / f"{_plain(package)}.tgz"
    if not place.is_file():
        _run("npm", "pack", "--silent", package, cwd=place.parent)
    return place


def _plain(package: str) -> str:
    """What ``npm pack`` calls the file of a package."""
    return package.removeprefix("@").replace("/", "-").replace("@", "-")


def debian(work: Path, package: str) -> Path:
    """The unpacked files of a Debian package, downloaded once. apt checks the archive's signature."""
    folder = work / "debian" / package
    if not folder.is_dir():
        archives = work / "archives"
        _run("apt-get", "download", "--quiet", package, cwd=archives)
        archive = next(archives.glob(f"{package}_*.deb"))
        part = folder.with_name(f"{package}.part")
        part.mkdir(parents=True, exist_ok=True)
        _run("dpkg-deb", "--extract", archive.name, str(part.resolve()), cwd=archives)
        part.rename(folder)
    return folder


def flickr8k(shared: Path) -> list[Picture]:
    """Flickr8k's photographs with five English and five Chinese captions each (../shared/data/README.md)."""
    found = []
    for split, name in (("train", "train"), ("test", "val")):
        captions: dict[str, dict[str, list[str]]] = defaultdict(lambda: defaultdict(list))
        for language in ("en", "zh"):
            for line in (shared / f"flickr8k/captions.{language}.{name}.tsv").read_text().splitlines():
                image, caption = line.split("\t", 1)
                captions[image][language].append(caption.strip())
        found += [
            Picture(shared / f"flickr8k/images/{image}.jpg", {key: tuple(value) for key, value in texts.items()}, split)
            for image, texts in sorted(captions.items())
        ]
    return found


def half(name: str) -> str:
    """A fixed half of the names by their hash: "train" or "test"."""
    return "train" if hashlib.blake2b(name.encode()).digest()[0] % 2 else "test"


def stamps(work: Path) -> list[Picture]:
    """Tux Paint's stamps: drawings and cut-out photographs with a description in many languages."""
    root = debian(work, "tuxpaint-stamps-default") / "usr/share/tuxpaint/stamps"
    found = []
    for path in sorted(root.rglob("*.png")):
        text = path.with_suffix(".txt")
        if path.stem.endswith(("_mirror", "_flip")) or not text.is_file():
            continue
        lines = [line.strip() for line in text.read_text(errors="replace").splitlines() if line.strip()]
        by_code = {"en": lines[0]} if lines else {}
        for line in lines[1:]:
            if match := re.match(r"([A-Za-z_@]+)\.utf8=(.+)", line):
                by_code[match[1].lower()] = match[2].strip()
        captions: dict[str, tuple[str, ...]] = {
            language: (by_code[code],)
            for language in LANGUAGES
            if (code := _STAMP_CODES.get(language, language)) in by_code
        }
        if captions:
            found.append(Picture(path, captions, half(str(path.relative_to(root)))))
    return found


def emoji(work: Path) -> list[Picture]:
    """Emoji as three teams draw them, with the names and keywords that CLDR gives them; all of them may teach."""
    names: dict[str, dict[str, tuple[str, ...]]] = defaultdict(dict)
    for language, table in _annotations(work):
        for character, entry in table.items():
            if "tts" in entry:
                names[character][language] = (entry["tts"][0], ", ".join(entry.get("default", entry["tts"])))
    # by code points in hexadecimal, without the selector of colour
    known = {"-".join(f"{ord(point):x}" for point in character if point != "\ufe0f"): character for character in names}
    paths = _glyphs(work, sorted(names))
    paths += [path for package, folder in _DRAWINGS for path in _files(work, package, folder)]
    shown = {path: known.get(path.stem.replace("-fe0f", "").lstrip("0")) for path in paths}
    return [Picture(path, names[character], "train") for path, character in shown.items() if character]


# Packages of npm with a picture for each emoji, named by its code points, and the folder where they lie.
_DRAWINGS = (("@lobehub/fluent-emoji-3d@1.1.0", "assets"), ("emoji-datasource-twitter@16.0.0", "img/twitter/64"))


def _files(work: Path, package: str, folder: str) -> list[Path]:
    root = work / "npm" / _plain(package)
    if not root.is_dir():
        part = root.with_name(f"{root.name}.part")
        with tarfile.open(npm(work, package)) as archive:
            archive.extractall(part, filter="data")
        part.rename(root)
    return sorted((root / "package" / folder).iterdir())


def words_in_pictures(work: Path) -> list[Picture]:
    """art4apps' drawings of 579 words as eduActiv8 has them, in nine languages; all of them may teach."""
    root = debian(work, "pysiogame") / "usr/share/games/pysiogame"
    tables = {language: _word_lists(root / "i18n/custom" / file) for language, file in _WORD_LISTS.items()}
    found = []
    for group, english in tables["en"].items():
        for row, word in enumerate(english):
            path = root / f"res/images/art4apps/{group.removeprefix('a4a_')}/{word.replace(' ', '_')}.jpg"
            captions: dict[str, tuple[str, ...]] = {
                language: (table[group][row],) for language, table in tables.items() if table[group][row]
            }
            if path.is_file():
                found.append(Picture(path, captions, "train"))
    return found


_WORD_LISTS = {"en": "a4a_words.py"} | {
    language: f"a4a_py/{language}.py" for language in ("de", "fr", "es", "it", "pt", "ru", "pl", "uk")
}


def _word_lists(file: Path) -> dict[str, list[str]]:
    """What is assigned to the keys of ``d`` in a file of literals."""
    return {
        ast.literal_eval(node.targets[0].slice): ast.literal_eval(node.value)
        for node in ast.parse(file.read_text()).body
        if isinstance(node, ast.Assign) and isinstance(node.targets[0], ast.Subscript)
    }


def _annotations(work: Path) -> Iterator[tuple[str, dict[str, dict[str, list[str]]]]]:
    with tarfile.open(npm(work, "cldr-annotations-full@48.2.0")) as archive:
        for language in LANGUAGES:
            file = archive.extractfile(f"package/annotations/{language}/annotations.json")
            assert file is not None
            yield language, json.load(file)["annotations"]["annotations"]


def _glyphs(work: Path, characters: list[str]) -> list[Path]:
    """The bitmaps of single-character emoji, written as PNG files named by their code point."""
    from fontTools.ttLib import TTFont

    folder = work / "emoji"
    if not folder.is_dir():
        (file,) = debian(work, "fonts-noto-color-emoji").rglob("NotoColorEmoji.ttf")
        font = TTFont(file)
        glyphs, bitmaps = font.getBestCmap(), font["CBDT"].strikeData[0]
        part = folder.with_name("emoji.part")
        part.mkdir(exist_ok=True)
        for character in characters:
            name = glyphs.get(ord(character)) if len(character) == 1 else None
            if name in bitmaps:
                (part / f"{ord(character):x}.png").write_bytes(bitmaps[name].imageData)
        part.rename(folder)
    return sorted(folder.glob("*.png"))


_DRAWN = ("animals", "buildings", "food", "plants", "tools", "transportation", "recreation", "people", "electronics",
          "office", "education", "science", "household", "containers")  # fmt: skip


def clipart(work: Path) -> list[Picture]:
    """Open Clip Art's drawings of things, described by their file names; all of them may teach.

    A name is a title, mostly followed by who drew it and a number: ``duck_jon_phillips_01.png``. Its first words are
    taken, once two and once three of them, and once the folder with the first.
    """
    root = debian(work, "openclipart-png") / "usr/share/openclipart/png"
    found = []
    for path in sorted(root.rglob("*.png")):
        folder = path.relative_to(root).parts[:-1]
        words = [word for word in re.split(r"[\W\d_]+", path.stem.lower()) if len(word) > 1]
        if not words or not folder or folder[0] not in _DRAWN or {"cards", "icons"} & set(folder):
            continue
        if path.stat().st_size > 200_000 or half(path.name) == "test":  # some have 600 million pixels; half is enough
            continue
        captions: dict[str, tuple[str, ...]] = {
            "en": (" ".join(words[:2]),),
            "en-long": (" ".join(words[:3]),),
            "en-folder": (f"{words[0]}, {folder[-1].replace('_', ' ')}",),
        }
        found.append(Picture(path, captions, "train"))
    return found


def imagenet_names(work: Path) -> list[str]:
    """The 1,000 class names of ImageNet, as torchvision (BSD-3-Clause) writes them."""
    source = zipfile.ZipFile(wheel(work, "torchvision==0.29.2")).read("torchvision/models/_meta.py").decode()
    for node in ast.parse(source).body:
        if isinstance(node, ast.Assign) and getattr(node.targets[0], "id", "") == "_IMAGENET_CATEGORIES":
            return list(ast.literal_eval(node.value))
    raise SystemExit("torchvision no longer lists ImageNet's classes in models/_meta.py")
