"""Recordings of known kinds that are only ever measured with: twenty classes of environmental sounds.

The games that they come from name their files by what is heard. Of every class at most eight clips are held out, by
the hash of their names; the others may teach, but nothing tells the training what they are.
"""

from __future__ import annotations

import re
import zlib
from collections import defaultdict
from functools import lru_cache
from pathlib import Path

from training.sources import debian
from training.unpack import SUFFIXES, unpack_sounds

__all__ = ["CLASSES", "TEST_PACKAGES", "test_clips"]

TEST_PACKAGES = ("0ad-data", "ufoai-sound", "searchandrescue-data", "lincity-ng-data")
#: English and Chinese as people would ask for it, and what the paths of the recordings look like.
CLASSES = {
    "cow": ("a cow mooing", "牛叫", r"animal/cattle_"),
    "chicken": ("a chicken clucking", "鸡叫", r"animal/chicken_"),
    "horse": ("a horse neighing", "马叫", r"animal/horse_(idle|select|attack)"),
    "lion": ("a lion roaring", "狮子吼叫", r"animal/lion"),
    "pig": ("a pig grunting", "猪叫", r"animal/pig_"),
    "sheep": ("a sheep or goat bleating", "羊叫", r"animal/sheep_|death/goat_"),
    "bird": ("birds singing", "鸟叫", r"dayscape/day_temperate"),
    "footsteps": ("footsteps", "脚步声", r"Footsteps/|singlesteps/fs_"),
    "stream": ("running water", "流水声", r"water/river|water/waterfall|waterfontain|sounds/Water\d"),
    "waves": ("ocean waves", "海浪", r"water/wave"),
    "rain": ("rain", "下雨", r"weather/rain"),
    "thunder": ("thunder", "打雷", r"weather/thunder|thunder(\d|_loud|_mod|_faint)"),
    "wind": ("wind", "刮风", r"weather/(wind|snow)|arcticwind"),
    "fire": ("a crackling fire", "火在燃烧", r"attack/fire/(c|sp)_|smallfire|sounds/Fire\d"),
    "glass": ("breaking glass", "打碎玻璃", r"breakglass"),
    "gunshot": ("a gunshot", "枪声", r"bullet-(rifle|pistol|shotgun|sniper|smg|hmg)|Musket"),
    "scream": ("someone screaming", "尖叫", r"civfemscream|female_death"),
    "helicopter": ("a helicopter", "直升机", r"helicopter_engine_(in|out)"),
    "jet": ("a jet engine", "喷气式飞机", r"jet_engine_(in|out|start)"),
    "train": ("a train", "火车", r"RailTrain"),
}  # fmt: skip
_MOST = 8


@lru_cache
def test_clips(work: Path) -> tuple[tuple[Path, str], ...]:
    """The held-out files and their classes."""
    found = defaultdict(list)
    for package in TEST_PACKAGES:
        root = debian(work, package)
        unpack_sounds(root)
        for path in root.rglob("*"):
            if path.suffix.lower() in SUFFIXES:
                place = str(path.relative_to(root))
                label = next((name for name, (_, _, pattern) in CLASSES.items() if re.search(pattern, place)), None)
                if label:
                    found[label].append(path)
    return tuple(
        (path, label)
        for label in CLASSES
        for path in sorted(found[label], key=lambda path: (zlib.crc32(path.name.encode()), path.name))[:_MOST]
    )
