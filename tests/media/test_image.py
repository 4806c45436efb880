import numpy as np
import PIL.Image
import pytest

from kilonova.errors import InvalidInput
from kilonova.media import image, limits
from kilonova.media.content import Detail
from tests import samples
from tests.samples import IMAGES, encode, gradient


def pixels(data: bytes, detail: Detail = Detail.STANDARD) -> np.ndarray:
    found = image.decode(data, detail).pixels
    assert found.dtype == np.uint8
    assert found.ndim == 3
    assert found.shape[2] == 3
    return found


@pytest.mark.parametrize("form", IMAGES)
def test_every_format(form: str) -> None:
    found = pixels(samples.image(form))
    assert found.shape == (64, 96, 3)
    assert np.abs(found.astype(int) - gradient(96, 64)).mean() < 12


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation(orientation: int) -> None:
    upright = PIL.Image.fromarray(gradient(96, 64))
    back = {
        2: PIL.Image.Transpose.FLIP_LEFT_RIGHT,
        3: PIL.Image.Transpose.ROTATE_180,
        4: PIL.Image.Transpose.FLIP_TOP_BOTTOM,
        5: PIL.Image.Transpose.TRANSPOSE,
        6: PIL.Image.Transpose.ROTATE_90,
        7: PIL.Image.Transpose.TRANSVERSE,
        8: PIL.Image.Transpose.ROTATE_270,
    }
    stored = upright.transpose(back[orientation]) if orientation in back else upright
    exif = PIL.Image.Exif()
    exif[0x0112] = orientation
    found = pixels(encode(stored, "jpeg", exif=exif, quality=95))
    assert np.abs(found.astype(int) - gradient(96, 64)).mean() < 4


@pytest.mark.parametrize(
    ("mode", "form"),
    [
        ("L", "png"),
        ("P", "png"),
        ("LA", "png"),
        ("RGBA", "webp"),
        ("CMYK", "jpeg"),
        ("L", "jpeg"),
        ("P", "gif"),
    ],
)
def test_modes(mode: str, form: str) -> None:
    source = PIL.Image.fromarray(gradient(96, 64))
    found = pixels(encode(source.convert(mode), form))
    expected = np.asarray(source.convert("L").convert("RGB") if mode in ("L", "LA") else source)
    assert np.abs(found.astype(int) - expected).mean() < 25


def test_black_and_white() -> None:
    bitmap = PIL.Image.fromarray(gradient(96, 64)).convert("1")
    found = pixels(encode(bitmap, "png"))
    assert set(np.unique(found)) == {0, 255}
    assert found[:, :48].mean() < found[:, 48:].mean()


def test_sixteen_bit_grey_is_scaled_not_clipped() -> None:
    ramp = np.tile(np.linspace(0, 65535, 96).astype(np.uint16), (64, 1))
    found = pixels(encode(PIL.Image.fromarray(ramp), "png"))
    assert found[0, 0, 0] < 3
    assert found[0, 95, 0] > 252
    assert 120 < found[0, 48, 0] < 136


def test_transparent_parts_are_white() -> None:
    clear = PIL.Image.new("RGBA", (20, 20), (255, 0, 0, 0))
    assert (pixels(encode(clear, "png")) == 255).all()
    palette = PIL.Image.new("P", (20, 20), 0)
    palette.putpalette([10, 20, 30])
    assert (pixels(encode(palette, "gif", transparency=0)) == 255).all()


@pytest.mark.parametrize("form", ["gif", "webp"])
def test_of_an_animation_the_first_frame_is_taken(form: str) -> None:
    frames = [PIL.Image.new("RGB", (32, 32), colour) for colour in ("red", "blue", "green")]
    found = pixels(encode(frames[0], form, save_all=True, append_images=frames[1:], duration=100, lossless=True))
    assert np.abs(found.reshape(-1, 3).mean(axis=0) - (255, 0, 0)).max() < 10


@pytest.mark.parametrize(
    ("detail", "side"), [(Detail.STANDARD, limits.STANDARD_SIDE), (Detail.DOCUMENT, limits.DOCUMENT_SIDE)]
)
def test_large_images_are_bounded_by_detail(detail: Detail, side: int) -> None:
    assert pixels(samples.image("jpeg", 3000, 1500), detail).shape[:2] == (side // 2, side)


def test_extreme_shapes() -> None:
    assert pixels(samples.image("png", 1, 1)).shape == (1, 1, 3)
    assert pixels(samples.image("png", 20_000, 1)).shape[:2] == (1, limits.STANDARD_SIDE)


def test_a_decompression_bomb_is_refused_before_it_is_decoded() -> None:
    small = bytearray(samples.image("png"))
    small[16:24] = (60_000).to_bytes(4, "big") * 2  # the header claims 3.6 gigapixels
    import zlib

    small[29:33] = zlib.crc32(bytes(small[12:29])).to_bytes(4, "big")
    with pytest.raises(InvalidInput, match="60000 x 60000"):
        image.decode(bytes(small), Detail.STANDARD)


def test_bytes_that_are_no_image_say_so() -> None:
    for data in (
        b"\x89PNG\r\n\x1a\n" + bytes(100),
        b"\xff\xd8\xff\xe0",
        b"GIF89a",
        b"RIFF....WEBPVP8 ",
        b"II*\0" * 9,
        b"hello",
    ):
        with pytest.raises(InvalidInput, match="cannot be decoded") as caught:
            image.decode(data, Detail.STANDARD)
        assert "object at 0x" not in str(caught.value)
        assert not caught.value.message.endswith("..")


@pytest.mark.parametrize("form", ["BMP", "TIFF", "AVIF", "JPEG2000", "MPO"])
def test_other_formats(form: str) -> None:
    found = pixels(encode(PIL.Image.fromarray(gradient(96, 64)), form))
    assert np.abs(found.astype(int) - gradient(96, 64)).mean() < 12


@pytest.mark.parametrize("form", ["gif", "webp", "png"])
@pytest.mark.parametrize("blank", [(0, 0, 0, 0), (0, 0, 0, 255), (255, 255, 255, 255)])
def test_of_an_animation_that_begins_blank_a_frame_that_shows_something_is_taken(
    form: str, blank: tuple[int, int, int, int]
) -> None:
    shown = PIL.Image.fromarray(gradient(96, 64)).convert("RGBA")
    empty = PIL.Image.new("RGBA", shown.size, blank)
    dark = PIL.Image.blend(empty, shown, 0.04) if form != "gif" else empty
    frames = [empty, dark, shown, shown, empty]
    data = encode(frames[0], form, save_all=True, append_images=frames[1:], duration=100, lossless=True, disposal=2)
    assert pixels(data).std() > 40


def test_numbers_that_are_none_in_a_float_image() -> None:
    values = np.tile(np.linspace(0, 1, 96, dtype=np.float32), (64, 1))
    values[3, 3], values[4, 4], values[5, 5] = np.nan, np.inf, -np.inf
    found = pixels(encode(PIL.Image.fromarray(values), "TIFF"))
    assert 100 < found.mean() < 150
