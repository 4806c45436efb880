"""Recordings of known kinds that are only ever measured with: twenty classes of environmental sounds, and the library
of a programming language for children, of which training hears nothing.

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

__all__ = ["CLASSES", "TEST_PACKAGES", "scratch_clips", "test_clips"]

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
# What is heard in English and Chinese, and its files.
_SCRATCH = {
    "a bird": ("鸟叫", "Bird"),
    "a cat": ("猫叫", "Cat Kitten Meow"),
    "crickets chirping": ("蟋蟀叫", "Cricket Crickets"),
    "a dog barking": ("狗叫声", "Dog1 Dog2"),
    "a duck": ("鸭子叫", "Duck"),
    "a goose": ("鹅叫", "Goose"),
    "a horse": ("马叫", "Horse"),
    "a horse galloping": ("马奔跑", "HorseGallop"),
    "an owl": ("猫头鹰", "Owl"),
    "a rooster crowing": ("公鸡打鸣", "Rooster"),
    "a wolf howling": ("狼嚎", "WolfHowl"),
    "a church bell": ("教堂的钟声", "BellToll"),
    "bubbles": ("水泡", "Bubbles"),
    "a car passing by": ("汽车开过", "CarPassing"),
    "a door closing": ("关门", "DoorClose"),
    "a creaking door": ("门吱嘎响", "DoorCreak"),
    "a motorcycle": ("摩托车", "MotorcyclePassing"),
    "a sewing machine": ("缝纫机", "SewingMachine"),
    "typing on a keyboard": ("敲键盘", "Typing"),
    "a drop of water": ("滴水", "WaterDrop"),
    "running water": ("流水声", "WaterRunning Ripples"),
    "a crying baby": ("婴儿哭", "BabyCry"),
    "coughing": ("咳嗽", "Cough-female Cough-male"),
    "snapping fingers": ("打响指", "FingerSnap"),
    "footsteps": ("脚步声", "Footsteps-1 Footsteps-2"),
    "people laughing": ("笑声", "Laugh-female Laugh-male1 Laugh-male2 Laugh-male3"),
    "people at a party": ("聚会上的人声", "PartyNoise"),
    "someone screaming": ("尖叫", "Scream-female Scream-male1 Scream-male2"),
    "slurping": ("吸溜着喝", "Slurp"),
    "a sneeze": ("打喷嚏", "Sneeze-female Sneeze-male"),
    "a didgeridoo": ("迪吉里杜管", "Dijjeridoo"),
    "a guitar": ("吉他", "GuitarStrum"),
    "a trumpet": ("小号", "Trumpet1 Trumpet2"),
    "a gong": ("锣", "Gong"),
    "clapping hands": ("拍手", "HandClap"),
    "a cymbal": ("钹", "CymbalCrash RideCymbal"),
    "a shaker": ("沙锤", "Shaker"),
    "beatboxing": ("口技", "BeatBox1 BeatBox2"),
    "a woman singing": ("女人唱歌", "Singer1 Singer2"),
}


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


def scratch_clips(work: Path) -> tuple[list[tuple[Path, str]], dict[str, tuple[str, str]]]:
    """The recordings of Scratch 1.4 and their classes, and what the classes are called in English and Chinese."""
    of = {stem: english for english, (_, stems) in _SCRATCH.items() for stem in stems.split()}
    found = [(path, of[path.stem]) for path in sorted(debian(work, "scratch").rglob("*")) if path.stem in of]
    return found, {english: (english, chinese) for english, (chinese, _) in _SCRATCH.items()}
