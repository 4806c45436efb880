"""What every model family must do: subclass ``ModelSuite`` in the family's own test file.

class TestMine(ModelSuite):
    name = "mine"
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import ClassVar

import numpy as np
import pytest

from kilonova.cli.inputs import read_file
from kilonova.engine.engine import Engine
from kilonova.engine.matryoshka import DIMENSIONS, cut
from kilonova.errors import InvalidInput
from kilonova.media import decoder
from kilonova.media.content import Content, Detail, Encoded, Input, Mixed, Modality, Text, Truncation
from kilonova.models import registry
from kilonova.models.base import EmbeddingModel
from kilonova.models.card import Purpose
from kilonova.testing import _samples as samples

__all__ = ["FILES", "TEXTS", "ModelSuite", "vectors"]

#: In several languages and scripts, short and long.
TEXTS = (
    "日落海滩", "狗叫声", "A dog barks at the mailman in the rain, twice!",
    "Où est la bibliothèque ?", "これはテストです。",
    "한국어 문장입니다", "مرحبا بالعالم", "Привет, мир!", "x", "emoji 😀👨‍👩‍👧", "long " * 700, "汉字" * 300,
)  # fmt: skip
#: By modality.
FILES = {
    Modality.IMAGE: [samples.image(form, width, 64) for form in ("png", "jpeg") for width in (96, 301)],
    Modality.AUDIO: [samples.audio(form, seconds) for form in ("wav", "mp3") for seconds in (0.3, 2.0)],
    Modality.VIDEO: [samples.video(form, seconds) for form in ("mp4", "webm") for seconds in (0.5, 3.0)],
}


def vectors(model: EmbeddingModel, contents: Sequence[Input], purpose: Purpose = Purpose.GENERIC_INDEX) -> np.ndarray:
    """The vectors of contents of one modality as one batch, float32 [len(contents), native_dimension]."""
    return np.stack([one.vector for one in model.embed([model.prepare(content, purpose) for content in contents])])


class ModelSuite:
    """Set ``name``; everything is run for the modalities in the model's card.

    Attributes:
        name: as ``--model`` takes it.
        tolerance: how far numbers of one vector of unit length may differ between runs in another batch.
    """

    name: ClassVar[str]
    tolerance: ClassVar[float] = 1e-5

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> EmbeddingModel:
        """The model, loaded into this process once for all tests of the class."""
        return registry.load(cls.name)

    def contents(self, model: EmbeddingModel) -> Iterator[tuple[Modality, list[Content]]]:
        """Some contents of each modality that the model embeds."""
        card = model.card
        if Modality.TEXT in card.modalities:
            yield Modality.TEXT, [Text(text) for text in TEXTS]
        for modality, files in FILES.items():
            if modality in card.modalities:
                found = [decoder.decode(Encoded(modality, data), card.sample_rate, card.frame_rate) for data in files]
                yield modality, [content for content in found if content is not None]

    def embed(
        self, model: EmbeddingModel, contents: Sequence[Content], purpose: Purpose = Purpose.GENERIC_INDEX
    ) -> np.ndarray:
        """Their vectors as one batch, of unit length, float32 [len(contents), native_dimension]."""
        found = vectors(model, contents, purpose)
        assert found.dtype == np.float32
        assert found.shape == (len(contents), model.card.native_dimension)
        assert np.isfinite(found).all()
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    def test_batch_equals_single_in_any_order(self, model: EmbeddingModel) -> None:
        for _, contents in self.contents(model):
            together = self.embed(model, contents)
            alone = np.concatenate([self.embed(model, [content]) for content in contents])
            backwards = self.embed(model, contents[::-1])[::-1]
            assert np.abs(together - alone).max() < self.tolerance
            assert np.abs(together - backwards).max() < self.tolerance

    def test_embedding_leaves_what_was_prepared_as_it_was(self, model: EmbeddingModel) -> None:
        for _, contents in self.contents(model):
            batch = [model.prepare(content, Purpose.GENERIC_INDEX) for content in contents]
            before = [(one.tokens, one.kept_characters) for one in batch]
            found = model.embed(batch)
            assert [(one.tokens, one.kept_characters) for one in batch] == before
            assert all(one.tokens >= 0 and isinstance(one.tokens, int) for one in found)
            assert all(one.kept_characters == cut for one, (_, cut) in zip(found, before, strict=True) if cut)

    def test_deterministic(self, model: EmbeddingModel) -> None:
        fresh = registry.load(self.name)
        for _, contents in self.contents(model):
            assert np.array_equal(self.embed(model, contents), self.embed(fresh, contents))

    def test_every_purpose_gives_a_vector(self, model: EmbeddingModel) -> None:
        for _, contents in self.contents(model):
            for purpose in Purpose:
                self.embed(model, contents[:1], purpose)

    def test_unit_length_and_prefix_property(self, model: EmbeddingModel) -> None:
        for _, contents in self.contents(model):
            for vector in self.embed(model, contents):
                full = cut(vector, 3072)
                for dimension in DIMENSIONS:
                    short, prefix = cut(vector, dimension), full[:dimension]
                    assert abs(np.linalg.norm(short) - 1) < 1e-5
                    assert np.abs(short - prefix / np.linalg.norm(prefix)).max() < 1e-6

    def test_through_the_engine_path_equals_bytes(self, model: EmbeddingModel, tmp_path: Path) -> None:
        async def run() -> None:
            async with Engine(self.name) as engine:
                await engine.ready()
                for modality, contents in self.contents(model):
                    direct = self.embed(model, contents[:2])
                    for index, content in enumerate(contents[:2]):
                        data = content.value.encode() if isinstance(content, Text) else FILES[modality][index]
                        path = tmp_path / f"{modality}{index}"
                        path.write_bytes(data)
                        item = content if isinstance(content, Text) else Encoded(modality, data)
                        from_bytes = await engine.embed(item, Purpose.GENERIC_INDEX, 3072)
                        named = path.rename(path.with_suffix({"text": ".txt"}.get(modality, "")))
                        read = read_file(str(named), Detail.STANDARD)
                        from_path = await engine.embed(read, Purpose.GENERIC_INDEX, 3072)
                        assert np.array_equal(from_bytes.vector, from_path.vector)
                        assert np.abs(from_bytes.vector - cut(direct[index], 3072)).max() < self.tolerance

        asyncio.run(run())

    def test_what_the_card_does_not_list_is_refused(self, model: EmbeddingModel) -> None:
        async def run() -> None:
            async with Engine(self.name) as engine:
                await engine.ready()
                for modality, files in FILES.items():
                    if modality not in model.card.modalities:
                        with pytest.raises(InvalidInput, match=f"cannot embed {modality}"):
                            await engine.embed(Encoded(modality, files[0]), Purpose.GENERIC_INDEX, 256)

        asyncio.run(run())

    def test_prepare_refuses_files_and_mixtures_that_the_card_does_not_take(self, model: EmbeddingModel) -> None:
        card = model.card
        text, file = Text("日落海滩"), Encoded(Modality.IMAGE, FILES[Modality.IMAGE][0])
        for taken, content in ((card.takes_files, file), (card.mixes, Mixed((text, file)))):
            if not taken:
                with pytest.raises(InvalidInput):
                    model.prepare(content, Purpose.GENERIC_INDEX)

    def test_truncation(self, model: EmbeddingModel) -> None:
        if Modality.TEXT not in model.card.modalities:
            pytest.skip("the model embeds no text")
        limit = model.card.max_tokens
        words = "".join(f"词{index} word{index} " for index in range(limit // 2))
        with pytest.raises(InvalidInput, match=f"{limit}"):
            model.prepare(Text(words, Truncation.NONE), Purpose.GENERIC_INDEX)
        end = model.prepare(Text(words, Truncation.END), Purpose.GENERIC_INDEX)
        start = model.prepare(Text(words, Truncation.START), Purpose.GENERIC_INDEX)
        assert end.tokens == start.tokens == limit
        assert end.kept_characters is not None
        assert start.kept_characters is not None
        again = model.prepare(Text(words[: end.kept_characters], Truncation.NONE), Purpose.GENERIC_INDEX)
        assert again.data == end.data
        assert again.kept_characters is None
        # what START keeps may begin inside a word, whose rest can be cut into one token more
        again = model.prepare(Text(words[-start.kept_characters :], Truncation.START), Purpose.GENERIC_INDEX)
        assert limit - 1 <= again.tokens <= limit
        ours, theirs = (one.vector for one in model.embed([again, start]))
        assert float(ours @ theirs) > 0.999 * float(np.linalg.norm(ours) * np.linalg.norm(theirs))
