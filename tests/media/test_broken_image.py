"""Images that are cut short or broken beside their pixels, and large ones: what viewers show is seen."""

from __future__ import annotations

import struct
import subprocess
import sys
import zlib
from functools import cache
from typing import Any, cast

import numpy as np
import PIL.Image
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import image, limits
from kilonova.media.content import Detail
from tests.samples import encode

FORMS: dict[str, tuple[str, dict[str, Any]]] = {
    "jpeg": ("JPEG", {"quality": 85}),
    "progressive": ("JPEG", {"quality": 85, "progressive": True}),
    "png": ("PNG", {}),
    "gif": ("GIF", {"interlace": False}),
    "webp": ("WEBP", {"quality": 85}),
    "webp lossless": ("WEBP", {"lossless": True}),
    "tiff": ("TIFF", {}),
    "bmp": ("BMP", {}),
}


@cache
def photograph(width: int = 640, height: int = 480) -> PIL.Image.Image:
    """A gradient with waves and noise, so that it does not compress to nothing."""
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    noise = np.random.default_rng(0).normal(0, 6, (height, width, 1))
    pixels = np.stack([x, y, 255 - x], -1) + 20 * np.sin(x / 5)[..., None] + noise
    return PIL.Image.fromarray(pixels.clip(0, 255).astype(np.uint8))


@cache
def file(form: str) -> bytes:
    name, options = FORMS[form]
    return encode(photograph(), name, **options)


def seen(data: bytes) -> np.ndarray:
    return image.decode(cast(bytes, memoryview(data)), Detail.STANDARD).pixels.astype(
        int
    )  # as decoding processes get it


@pytest.mark.parametrize("tenths", range(1, 10))
@pytest.mark.parametrize("form", FORMS)
def test_cut_at_every_tenth(form: str, tenths: int) -> None:
    data = file(form)
    found, whole = seen(data[: len(data) * tenths // 10]), seen(data)
    assert found.shape[1] == whole.shape[1]
    if form == "bmp":  # stored from the bottom
        whole = whole[::-1]
        found = found[::-1]
    there = len(found) * (tenths - 1) // 10 if len(found) == len(whole) else len(found)
    rows = max(0, there - 32)  # a row of blocks may be half there
    assert not rows or np.abs(found[:rows] - whole[:rows]).mean() < (8 if form == "progressive" else 4)
    assert len(found) >= len(whole) * (tenths - 1) // 10


@pytest.mark.parametrize("missing", [1, 2, 3, 12, 100])
@pytest.mark.parametrize("form", FORMS)
def test_without_its_last_bytes(form: str, missing: int) -> None:
    found, whole = seen(file(form)[:-missing]), seen(file(form))
    rows = min(len(found), len(whole)) - 10
    if form == "bmp":
        found, whole = found[::-1], whole[::-1]
    assert rows > len(whole) * 9 // 10
    assert np.abs(found[:rows] - whole[:rows]).mean() < 1


def chunk(name: bytes, body: bytes, damage: int = 0) -> bytes:
    return struct.pack(">I4s", len(body), name) + body + struct.pack(">I", zlib.crc32(name + body) ^ damage)


def png_with(*chunks: bytes, last: bool = False) -> bytes:
    data = file("png")
    place = len(data) - 12 if last else 33  # before IEND, or behind IHDR
    return data[:place] + b"".join(chunks) + data[place:]


LONG = zlib.compress(b"workflow " * 300_000)


@pytest.mark.parametrize("last", [False, True])
@pytest.mark.parametrize(
    "extra",
    [
        chunk(b"pHYs", struct.pack(">IIB", 1, 1, 1), damage=1),
        chunk(b"zTXt", b"prompt\0\0" + LONG),
        chunk(b"iTXt", b"prompt\0\x01\0\0\0" + LONG),
        b"".join(chunk(b"tEXt", b"a\0" + b"x" * 900_000) for _ in range(80)),
        chunk(b"zTXt", b"prompt\0\0not zlib"),
        chunk(b"zTXt", b""),
        chunk(b"iCCP", b"profile\0\0not zlib"),
        chunk(b"iCCP", b"profile\0\x07" + LONG),
        chunk(b"pHYs", b""),
        chunk(b"tIME", b"x" * 3, damage=5),
        chunk(b"gAMA", b""),
        chunk(b"cHRM", b"abc"),
        chunk(b"eXIf", b"II*\0\xff\xff\xff\xff"),
        chunk(b"acTL", b""),
        chunk(b"abCd", b"private", damage=9),
    ],
    ids=range(15),
)
def test_png_that_is_broken_beside_its_pixels(extra: bytes, last: bool) -> None:
    assert np.array_equal(seen(png_with(extra, last=last)), seen(file("png")))


def test_png_with_wrong_checksums_of_its_pixels() -> None:
    data = bytearray(file("png"))
    data[29:33] = b"\0\0\0\0"
    place = data.index(b"IDAT")
    end = place + 4 + int.from_bytes(data[place - 4 : place], "big")
    data[end : end + 4] = b"\0\0\0\0"
    assert np.array_equal(seen(bytes(data)), seen(file("png")))


@pytest.mark.parametrize(
    ("marker", "body"),
    [
        (0xE1, b"Exif\0\0II*\0\xff\xff\xff\x7f"),
        (0xE1, b"Exif\0\0"),
        (0xE1, b"Exif\0\0XXXXXXXXXXX"),
        (0xE1, b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + b"\x12\x01\x03\0\xff\xff\xff\xff\xff\xff\xff\xff" * 20),
        (0xE2, b"ICC_PROFILE\0\x01\x05garbage"),
        (0xE2, b"MPF\0XX*\0\xff\xff\xff\xff"),
        (0xE2, b"MPF\0II*\0\x08\0\0\0\x01\0\x01\xb0"),
        (0xED, b"Photoshop 3.0\x008BIM\x03"),
        (0xEE, b"Adobe"),
        (0xE0, b"JFIF"),
        (0xFE, b"\xff\xfe not text"),
    ],
)
def test_jpeg_that_is_broken_beside_its_pixels(marker: int, body: bytes) -> None:
    data = file("jpeg")
    segment = bytes([0xFF, marker]) + (len(body) + 2).to_bytes(2, "big") + body
    assert np.array_equal(seen(data[:2] + segment + data[2:]), seen(data))


@pytest.mark.slow
@pytest.mark.parametrize("form", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF"])
@pytest.mark.parametrize("orientation", range(9))
def test_every_orientation_of_exif(form: str, orientation: int) -> None:
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    found = seen(encode(photograph(), form, exif=exif, quality=95))
    stored = np.asarray(photograph()).astype(int)
    upright = {
        2: stored[:, ::-1],
        3: stored[::-1, ::-1],
        4: stored[::-1],
        5: stored.transpose(1, 0, 2),
        6: np.rot90(stored, -1),
        7: np.rot90(stored, 2).transpose(1, 0, 2),
        8: np.rot90(stored, 1),
    }.get(orientation, stored)
    assert found.shape == upright.shape
    assert np.abs(found - upright).mean() < 8


MEASURE = """
import resource, sys
from kilonova.media import image
from kilonova.media.content import Detail
data = open(sys.argv[1], "rb").read()
resource.setrlimit(resource.RLIMIT_AS, (1 << 30, 1 << 30))
found = image.decode(data, Detail.STANDARD).pixels
print(found.shape[1], found.shape[0], *found[0, 0], *found[-1, -1])
"""


@pytest.mark.parametrize(
    ("mode", "form", "size", "options"),
    [
        ("RGBA", "PNG", (16_384, 8_192), {"compress_level": 1}),
        ("I;16", "PNG", (16_384, 8_192), {"compress_level": 1}),
        ("RGB", "PNG", (20_000, 15_000), {"compress_level": 1}),
        ("RGB", "WEBP", (16_383, 8_000), {"quality": 10, "method": 0}),
        ("RGB", "JPEG", (20_000, 15_000), {}),
        ("P", "GIF", (16_384, 8_192), {}),
        ("L", "BMP", (16_384, 8_192), {}),
    ],
    ids=["RGBA", "grey of 16 bits", "300 megapixels", "webp", "jpeg of 300 megapixels", "gif", "bmp"],
)
def test_large_pictures_fit_into_a_gigabyte(
    tmp_path: Any, mode: str, form: str, size: tuple[int, int], options: dict[str, Any]
) -> None:
    if mode == "I;16":
        ramp = np.broadcast_to(np.linspace(0, 65_535, size[0]).astype(np.uint16), size[::-1])
        picture = PIL.Image.fromarray(np.ascontiguousarray(ramp))
    else:
        picture = PIL.Image.linear_gradient("L").rotate(90).convert(mode).resize(size)
    path = tmp_path / "large"
    picture.save(path, form, **options)
    del picture
    done = subprocess.run([sys.executable, "-c", MEASURE, path], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    width, height, *corners = map(int, done.stdout.split())
    assert (width, height) == (768, round(768 * size[1] / size[0]))
    assert max(corners[:3]) < 12
    assert min(corners[3:]) > 243


def test_large_pictures_are_cut_and_turned_and_transparent_as_others_are(monkeypatch: pytest.MonkeyPatch) -> None:
    clear = photograph().convert("RGBA")
    clear.putalpha(PIL.Image.linear_gradient("L").resize(clear.size))
    exif = PIL.Image.Exif()
    exif[0x0112] = 6
    files = [encode(clear, "PNG", exif=exif), encode(clear, "WEBP", lossless=True), encode(clear, "TIFF")]
    usual = [seen(data) for data in files]
    monkeypatch.setattr(image, "_LARGE", 1)
    for data, expected in zip(files, usual, strict=True):
        assert seen(data).shape == expected.shape
        assert np.abs(seen(data) - expected).mean() < 3
    cut = seen(file("png")[: len(file("png")) // 2])
    assert 200 < len(cut) < 250


def test_more_than_300_megapixels_are_refused() -> None:
    vp8x = b"VP8X" + struct.pack("<IB3x", 10, 0) + (19_999).to_bytes(3, "little") * 2
    header = struct.pack(">IIBBBBB", 20_000, 20_000, 8, 2, 0, 0, 0)
    for data in (
        b"RIFF" + struct.pack("<I", 22) + b"WEBP" + vp8x,
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", b""),
    ):
        with pytest.raises(InvalidInput, match="20000 x 20000 pixels; at most 300,000,000"):
            image.decode(data, Detail.STANDARD)


@pytest.mark.parametrize(
    ("cores", "gigabytes", "count", "each"),
    [(2, 24, 2, 4.0), (16, 16, 8, 1.0), (16, 128, 16, 4.0), (8, 8, 4, 1.0), (4, 1, 1, 1.0), (64, 96, 48, 1.0)],
)
def test_decoders_share_half_of_the_machines_memory(cores: int, gigabytes: int, count: int, each: float) -> None:
    assert limits.decoders(cores, gigabytes << 30) == (count, int(each * (1 << 30)))


def test_what_a_heic_needs_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pillow_heif", None)
    with pytest.raises(InvalidInput, match=r"kilonova\[heic\]"):
        image.decode(b"\0\0\0\x1cftypheic" + bytes(200), Detail.STANDARD)


@pytest.mark.heic
def test_heic() -> None:
    import pillow_heif

    pillow_heif.register_heif_opener()
    assert np.abs(seen(encode(photograph(), "HEIF", quality=90)) - np.asarray(photograph())).mean() < 10
