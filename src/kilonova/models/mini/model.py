"""The built-in model: prepares a content for its tower and joins what the towers and heads say."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kilonova.media.content import Audio, Detail, Image, Input, Text, Video
from kilonova.media.ocr import PageReader
from kilonova.models.base import Embedded, EmbeddingModel, Prepared, with_vectors
from kilonova.models.card import Purpose
from kilonova.models.cards import MINI
from kilonova.models.mini import space
from kilonova.models.mini.audio import AudioFeatures, AudioTower, Heard, hear
from kilonova.models.mini.image import ImageFeatures, ImageTower, Squares, squares
from kilonova.models.mini.session import open_session, weights_folder
from kilonova.models.mini.text import TextTower, add_spaces, open_tokenizer
from kilonova.models.mini.video import distinct
from kilonova.models.truncation import truncate

__all__ = ["Mini"]


@dataclass(frozen=True)
class _Words:
    ids: list[int]
    purpose: Purpose


@dataclass(frozen=True)
class _Picture:
    squares: Squares
    words: list[int] | None = None  # of a page, with their prompt


@dataclass(frozen=True)
class _Film:
    frames: list[Squares]
    weights: np.ndarray
    sound: Heard | None


class Mini(EmbeddingModel):
    """The built-in model.

    Raises:
        Unavailable: the weights' distribution is not installed.
    """

    card = MINI

    def __init__(self) -> None:
        weights = weights_folder()
        # All of these release the GIL while they load, which halves the time on 2 cores.
        with ThreadPoolExecutor(2) as pool:
            text = pool.submit(TextTower, weights)
            tokenizer = pool.submit(open_tokenizer, weights)
            image = pool.submit(ImageTower, weights)
            self._audio, self._heads = AudioTower(weights), _Heads(weights)
            self._text, self._tokenizer, self._image = text.result(), tokenizer.result(), image.result()
        self._pages = PageReader()
        self._prompts: dict[str, list[int]] = {
            text: self._tokenizer.encode(text) for text in set(self.card.prompts.values())
        }

    def prepare(self, content: Input, purpose: Purpose) -> Prepared:
        match content:
            case Text():
                return self._prepare_text(content, purpose)
            case Image():
                words = None
                if content.detail is Detail.DOCUMENT:
                    read = content.text if content.text is not None else self._pages(content.pixels)
                    ids = self._tokenizer.encode(add_spaces(read))
                    words = self._prompted(ids, Purpose.GENERIC_INDEX) if ids else None
                return Prepared(_Picture(squares(content.pixels), words), len(words or ()))
            case Audio():
                return Prepared(hear(content.samples), 0)
            case Video():
                rows, weights = distinct(content.frames)
                frames = [squares(content.frames[row]) for row in rows]
                sound = hear(content.audio.samples) if content.audio is not None else None
                return Prepared(_Film(frames, weights, sound), 0)
            case _:
                raise self.card.refusal(content)

    def embed(self, batch: Sequence[Prepared]) -> list[Embedded]:
        items = [prepared.data for prepared in batch]
        match items[0]:
            case _Words():
                vectors = self._embed_texts(items)
            case _Picture():
                vectors = self._embed_pictures(items)
            case _Film():
                vectors = self._embed_films(items)
            case _:
                vectors = self._heads.audio(self._audio(items))
        return with_vectors(batch, vectors)

    def _prepare_text(self, text: Text, purpose: Purpose) -> Prepared:
        plain = add_spaces(text.value)
        ids = self._tokenizer.encode(plain)
        kept, characters = truncate(
            text, len(ids), self.card, lambda: self._tokenizer.encode_as_offset_mapping(plain)["offsets"]
        )
        ids = ids[kept]
        return Prepared(_Words(self._prompted(ids, purpose), purpose), len(ids), characters)

    def _prompted(self, ids: list[int], purpose: Purpose) -> list[int]:
        return self._prompts[self.card.prompts[purpose]] + ids[: self.card.max_tokens]

    def _embed_texts(self, texts: list[_Words]) -> np.ndarray:
        sense, wording = self._heads.text(self._text([text.ids for text in texts]))
        vectors = np.empty((len(texts), space.DIMENSION), np.float32)
        for purpose in {text.purpose for text in texts}:
            rows = [row for row, text in enumerate(texts) if text.purpose is purpose]
            vectors[rows] = space.text_vectors(sense[rows], wording[rows], purpose, self._heads.usual)
        return vectors

    def _embed_pictures(self, pictures: list[_Picture]) -> np.ndarray:
        vectors = self._heads.image(self._image([picture.squares for picture in pictures]))
        rows = [row for row, picture in enumerate(pictures) if picture.words]
        if rows:
            words = self._embed_texts([_Words(pictures[row].words or [], Purpose.GENERIC_INDEX) for row in rows])
            vectors[rows] = space.page_vectors(vectors[rows], words)
        return vectors

    def _embed_films(self, films: list[_Film]) -> np.ndarray:
        frames = self._heads.image(self._image([frame for film in films for frame in film.frames]))
        starts = np.cumsum([0, *(len(film.frames) for film in films)])
        vectors = []
        for film, start, end in zip(films, starts[:-1], starts[1:], strict=True):
            heard = self._heads.audio(self._audio([film.sound]), in_film=True) if film.sound is not None else None
            vectors.append(space.video_vector(frames[start:end], film.weights, heard))
        return np.concatenate(vectors)


class _Heads:
    """The trained heads: features to vectors."""

    def __init__(self, weights: Path) -> None:
        self._text = open_session(weights / "text_head.onnx", threads=1)
        self._image = open_session(weights / "image_head.onnx", threads=1)
        self._audio = open_session(weights / "audio_head.onnx", threads=1)
        self.usual = space.Usual.read(weights)

    def text(self, pooled: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        sense, wording = self._text.run(["sense", "wording"], {"pooled": pooled})
        return np.asarray(sense), np.asarray(wording)

    def image(self, features: ImageFeatures) -> np.ndarray:
        inputs = {"pooled": features.pooled, "tokens": features.tokens, "classes": features.classes}
        sense, own = self._image.run(["sense", "own"], inputs)
        return space.seen(sense, own, self.usual)

    def audio(self, features: AudioFeatures, in_film: bool = False) -> np.ndarray:
        inputs = {"pooled": features.pooled, "texture": features.texture, "classes": features.classes}
        sense, own = self._audio.run(["sense", "own"], inputs)
        return space.heard(sense, own, self.usual, in_film)
