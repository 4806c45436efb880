"""Contents in every form that users have them in: equal things give equal vectors, wrong ones say what is wrong."""

from __future__ import annotations

import asyncio
import io
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, cast

import numpy as np
import PIL.Image
import pytest

import kilonova
from kilonova.api.contents import Content
from kilonova.api.reading import InputReader
from kilonova.media.content import Encoded, Image, Input
from kilonova.models.cards import FAKE
from tests import samples


@pytest.fixture(scope="module")
def embedder() -> Iterator[kilonova.Embedder]:
    with kilonova.Embedder("fake") as made:
        yield made


def test_paths_bytes_pillow_and_pixels_are_one_image(embedder: kilonova.Embedder, tmp_path: Path) -> None:
    data = samples.image("png")
    path = tmp_path / "图片.png"
    path.write_bytes(data)
    image = PIL.Image.open(io.BytesIO(data))
    forms: list[Content] = [
        path,
        kilonova.Image(path),
        kilonova.Image(str(path)),
        kilonova.Image(data),
        image,
        kilonova.Image(image),
    ]
    vectors = embedder.embed_many([*forms, kilonova.Image(np.asarray(image.convert("RGB")))])
    assert vectors.shape == (7, 1024)
    assert np.array_equal(vectors, np.repeat(vectors[:1], 7, axis=0))


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGBA", "CMYK", "YCbCr", "I;16", "F"])
def test_pillow_images_of_every_mode(embedder: kilonova.Embedder, mode: str) -> None:
    assert embedder.embed(
        PIL.Image.new("RGB", (40, 30), "teal").convert("F" if mode == "F" else "L").convert(mode)
    ).any()


def test_samples_are_the_file_that_they_were_read_from(tmp_path: Path) -> None:
    data = samples.audio("wav", 1.0, 16_000)
    read = np.frombuffer(data[-32_000:], "<i2")
    reader = InputReader(FAKE)
    floats, integers, stereo = (
        asyncio.run(reader.read(kilonova.Audio(one, rate=16_000)))
        for one in (read / 32_768, read, np.stack([read, read], axis=1))
    )
    assert isinstance(floats, Encoded)
    assert isinstance(integers, Encoded)
    assert isinstance(stereo, Encoded)
    assert floats.data == integers.data
    with kilonova.Embedder("fake") as embedder:
        vectors = embedder.embed_many([floats, stereo])
    assert vectors[0] @ vectors[1] == pytest.approx(1.0, abs=1e-4)


def test_texts_say_what_is_cut(embedder: kilonova.Embedder) -> None:
    long = "港口的灯塔 " * 100_000
    assert embedder.embed(long).shape == (1024,)
    with pytest.raises(kilonova.InvalidInput):
        embedder.embed(kilonova.Text(long, truncation="NONE"))
    (result,) = embedder.embed_each([long])
    assert not isinstance(result, kilonova.KilonovaError)
    assert result.kept_characters is not None


def test_pages_of_documents(embedder: kilonova.Embedder, folder: Path) -> None:
    async def read(page: int) -> Input:
        reader = InputReader(FAKE)
        try:
            return await reader.read(kilonova.Document(folder / "report.pdf", page))
        finally:
            await reader.aclose()

    for page, words in ((1, "first page"), (2, "second page")):
        found = asyncio.run(read(page))
        assert isinstance(found, Image)
        assert found.text == words
        assert np.array_equal(embedder.embed(kilonova.Document(folder / "report.pdf", page)), embedder.embed(found))
    for page in (0, 3):
        with pytest.raises(kilonova.InvalidInput, match=f"has no page {page}"):
            embedder.embed(kilonova.Document(folder / "report.pdf", page))


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"bytes", "Not a content: bytes"),
        (3, "Not a content: int"),
        (Path("nowhere.png"), "There is no file nowhere.png"),
        (kilonova.Image("nowhere.png"), "There is no file nowhere.png"),
        (kilonova.Image(np.zeros((4, 4, 3), np.float32)), "Pixels must be uint8"),
        (kilonova.Image(3), "Not an image: int"),
        (kilonova.Image("a.png", detail="FINE"), "'FINE' is no detail"),
        (kilonova.Audio(np.zeros(100, np.float32)), "Give the sample rate in Hz"),
        (kilonova.Audio(np.zeros((2, 2, 2), np.float32), rate=8_000), r"Samples must be \[n\]"),
        (kilonova.Text("a", truncation="MIDDLE"), "'MIDDLE' is no truncation"),
        (kilonova.Mixed("a"), "two parts or more"),
        (kilonova.Audio(np.zeros((2, 8_000), np.float32), rate=8_000), r"Samples must be \[n\]"),
        (kilonova.Audio(np.zeros(10, np.uint8), rate=8_000), "floats or signed integers"),
        (kilonova.Audio(np.zeros(10, np.float32), rate=cast(int, 0.5)), "sample rate in Hz"),
        (kilonova.Image(np.zeros((4, 4, 5), np.uint8)), "Pixels must be uint8"),
        (kilonova.Image(np.zeros((0, 0, 3), np.uint8)), "Pixels must be uint8"),
        (kilonova.Document(cast(str, b"%PDF")), "Not a document: bytes"),
        (kilonova.Text(cast(str, None)), "Not a text: NoneType"),
    ],
)
def test_what_is_no_content_says_so(embedder: kilonova.Embedder, content: Any, message: str) -> None:
    with pytest.raises(kilonova.InvalidInput, match=message):
        embedder.embed(content)


def test_a_text_that_is_called_an_image_is_refused(embedder: kilonova.Embedder, tmp_path: Path) -> None:
    path = tmp_path / "broken.jpg"
    path.write_text("404 Not Found")
    with pytest.raises(kilonova.InvalidInput, match="is no image; it is text"):
        embedder.embed(kilonova.Image(path))


def test_a_video_container_may_hold_audio(embedder: kilonova.Embedder, tmp_path: Path) -> None:
    path = tmp_path / "voice.mp4"
    path.write_bytes(samples.audio("m4a", 1.0))
    assert np.array_equal(embedder.embed(kilonova.Audio(path)), embedder.embed(kilonova.Audio(path.read_bytes())))


def test_a_truncated_pillow_image_is_one_failure(embedder: kilonova.Embedder) -> None:
    image = PIL.Image.open(io.BytesIO(samples.image("png")[:-40]))
    (result,) = embedder.embed_each([image])
    assert isinstance(result, kilonova.InvalidInput)


def test_one_text_is_no_list(embedder: kilonova.Embedder) -> None:
    with pytest.raises(kilonova.InvalidInput, match="one text, where several"):
        embedder.embed_many("abc")


def test_none_among_many_is_a_failure_and_no_end(embedder: kilonova.Embedder) -> None:
    kinds = [isinstance(one, kilonova.KilonovaError) for one in embedder.embed_each(["a", cast(str, None), "b"])]
    assert kinds == [False, True, False]


def test_callbacks_and_iterables_run_in_the_callers_thread(embedder: kilonova.Embedder) -> None:
    here, threads = threading.get_ident(), set[int]()

    def contents() -> Iterator[str]:
        for text in "abc":
            threads.add(threading.get_ident())
            yield f"{text} {embedder.embed(text)[0]}"  # which waits for the same model

    embedder.embed_many(contents(), on_progress=lambda _: threads.add(threading.get_ident()))
    assert threads == {here}


def test_closing_twice_and_using_what_is_closed() -> None:
    with kilonova.Embedder("fake") as embedder:
        embedder.close()
        before = threading.active_count()
        with pytest.raises(kilonova.Unavailable, match="closed"):
            embedder.embed("a")
    assert threading.active_count() == before


def test_what_is_not_entered_says_so() -> None:
    with pytest.raises(kilonova.Unavailable, match="async with"):
        asyncio.run(kilonova.AsyncEmbedder("fake").embed("a"))


def test_many_threads_do_not_fill_the_queue(embedder: kilonova.Embedder) -> None:
    with ThreadPoolExecutor(6) as pool:
        found = list(pool.map(lambda one: embedder.embed_many([f"{one} {n}" for n in range(100)]), range(6)))
    assert all(vectors.shape == (100, 1024) for vectors in found)


def test_a_file_of_another_kind_is_refused(embedder: kilonova.Embedder, folder: Path) -> None:
    with pytest.raises(kilonova.InvalidInput, match="is no audio; it is image"):
        embedder.embed(kilonova.Audio(folder / "cat.webp"))


@pytest.mark.parametrize(("purpose", "dimension"), [("SOMETHING", 1024), ("CLUSTERING", 100)])
def test_wrong_purposes_and_dimensions(embedder: kilonova.Embedder, purpose: str, dimension: int) -> None:
    with pytest.raises(kilonova.InvalidInput, match="Choose one of"):
        embedder.embed("a", purpose=purpose, dimension=dimension)


def test_many_are_each_one_in_order_with_progress(embedder: kilonova.Embedder) -> None:
    texts, seen = [f"第{number}号" for number in range(200)], list[int]()
    vectors = embedder.embed_many(iter(texts), dimension=256, on_progress=seen.append)
    assert seen == list(range(1, 201))
    assert np.array_equal(vectors[150], embedder.embed(texts[150], dimension=256))
    assert embedder.embed_many([]).shape == (0, 1024)


def test_one_bad_content_of_many(embedder: kilonova.Embedder) -> None:
    contents: list[Content] = ["a", Path("nowhere.png"), "b"]
    kinds = [isinstance(result, kilonova.KilonovaError) for result in embedder.embed_each(contents)]
    assert kinds == [False, True, False]
    with pytest.raises(kilonova.InvalidInput, match="nowhere"):
        embedder.embed_many(contents)


def test_an_unknown_model_leaves_no_thread() -> None:
    before = threading.active_count()
    with pytest.raises(kilonova.NotFound):
        kilonova.Embedder("nobody-has-this")
    assert threading.active_count() == before
