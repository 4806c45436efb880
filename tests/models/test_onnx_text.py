"""Text models as ONNX files, exported from a tiny one with random weights."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import onnx
import pytest

from kilonova.errors import InvalidInput
from kilonova.media.content import Modality, Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing.models import TEXTS, ModelSuite, vectors
from tests.models.tiny import bert, onnx_bert, torch

pytestmark = pytest.mark.models

SHORT = [text for text in TEXTS if len(text) < 50]


def reference(text: str) -> np.ndarray:
    """What transformers makes of a text's first token."""
    from transformers import AutoModel, AutoTokenizer

    model, tokenizer = AutoModel.from_pretrained(bert()).eval(), AutoTokenizer.from_pretrained(bert())
    with torch.no_grad():
        return np.asarray(model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0, 0].numpy())


class TestFloat(ModelSuite):
    name: ClassVar[str] = f"{onnx_bert()}/onnx/model.onnx"

    def test_card(self) -> None:
        card = registry.card(self.name)
        assert (card.native_dimension, card.max_tokens, card.modalities) == (32, 96, {Modality.TEXT})
        assert card.prompts[Purpose.GENERIC_INDEX] == "passage: "
        assert (card.id, card.title, card.gpu) == (self.name, "onnx-bert", False)

    def test_as_transformers_says(self, model: Any) -> None:
        found = vectors(model, [Text(text) for text in SHORT], Purpose.TEXT_RETRIEVAL)
        for vector, text in zip(found, SHORT, strict=True):
            assert np.allclose(vector, reference("query: " + text), atol=1e-5)


class TestEightBits(ModelSuite):
    """Its activations are scaled by the largest of a run, so texts are embedded one by one: the suite would tell."""

    name: ClassVar[str] = f"{onnx_bert()}/onnx/model_int8.onnx"

    def test_near_float(self, model: Any) -> None:
        found = vectors(model, [Text(text) for text in SHORT], Purpose.TEXT_RETRIEVAL)
        right = np.stack([reference("query: " + text) for text in SHORT])
        cosines = (found * right).sum(1) / np.linalg.norm(found, axis=1) / np.linalg.norm(right, axis=1)
        assert cosines.min() > 0.99


class TestFolderWithOne(ModelSuite):
    name: ClassVar[str] = f"{onnx_bert()}/../onnx-one"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Path(shutil.copytree(f"{onnx_bert()}/../onnx-one", tmp_path / "model"))


def test_several_files() -> None:
    with pytest.raises(InvalidInput, match=r"several ONNX files: onnx/model.onnx, onnx/model_int8.onnx.*--model"):
        registry.card(onnx_bert())


def test_no_file(tmp_path: Path) -> None:
    with pytest.raises(InvalidInput, match="no file"):
        registry.card(str(tmp_path / "model.onnx"))


@pytest.mark.parametrize(("mode", "state"), [("mean", slice(None)), ("lasttoken", slice(-1, None))])
def test_pooling(folder: Path, mode: str, state: slice) -> None:
    from transformers import AutoModel, AutoTokenizer

    (folder / "1_Pooling/config.json").write_text(json.dumps({"embedding_dimension": 32, "pooling_mode": mode}))
    model = registry.load(str(folder))
    reference, tokenizer = AutoModel.from_pretrained(bert()).eval(), AutoTokenizer.from_pretrained(bert())
    found = vectors(model, [Text(text) for text in SHORT], Purpose.CLUSTERING)
    for vector, text in zip(found, SHORT, strict=True):
        with torch.no_grad():
            states = reference(**tokenizer(text, return_tensors="pt")).last_hidden_state[0]
        assert np.allclose(vector, states[state].mean(0).numpy(), atol=1e-5)


def test_pooling_as_older_versions_wrote_it(folder: Path) -> None:
    config = {"word_embedding_dimension": 32, "pooling_mode_cls_token": True, "pooling_mode_mean_tokens": False}
    before, text = registry.load(str(folder)), [Text("日落 abc")]
    (folder / "1_Pooling/config.json").write_text(json.dumps(config))
    after = registry.load(str(folder))
    assert np.array_equal(vectors(after, text, Purpose.CLUSTERING), vectors(before, text, Purpose.CLUSTERING))


@pytest.mark.parametrize(
    ("file", "change", "match"),
    [
        ("1_Pooling/config.json", {"pooling_mode": "max"}, "pools by max"),
        ("1_Pooling/config.json", {"pooling_mode": "mean", "include_prompt": False}, "prompts out of the mean"),
        ("modules.json", None, "no modules.json"),
        ("tokenizer.json", None, "no tokenizer.json"),
    ],
)
def test_refused(folder: Path, file: str, change: dict[str, object] | None, match: str) -> None:
    if change is None:
        (folder / file).unlink()
    else:
        (folder / file).write_text(json.dumps({"embedding_dimension": 32, **change}))
    with pytest.raises(InvalidInput, match=match):
        registry.load(str(folder))


def test_layers_that_are_not_in_the_file(folder: Path) -> None:
    modules = json.loads((folder / "modules.json").read_text())
    modules.append({"idx": 3, "name": "3", "path": "3_Dense", "type": "sentence_transformers.base.modules.dense.Dense"})
    (folder / "3_Dense").mkdir()
    (folder / "3_Dense/config.json").write_text('{"out_features": 24}')
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InvalidInput, match="Dense behind its transformer"):
        registry.load(str(folder))


def test_no_pooling(folder: Path) -> None:
    modules = [one for one in json.loads((folder / "modules.json").read_text()) if "Pooling" not in one["type"]]
    (folder / "modules.json").write_text(json.dumps(modules))
    with pytest.raises(InvalidInput, match="no pooling"):
        registry.load(str(folder))


@pytest.mark.parametrize("side", ["input", "output"])
def test_files_of_other_shapes(folder: Path, side: str) -> None:
    graph = onnx.load(folder / "onnx/model.onnx")
    old, new = {"input": ("token_type_ids", "pixel_values"), "output": ("last_hidden_state", "logits")}[side]
    (value,) = [value for value in getattr(graph.graph, side) if value.name == old]
    value.name = new
    for node in graph.graph.node:
        names = getattr(node, side)
        for place, name in enumerate(names):
            names[place] = new if name == old else name
    onnx.save(graph, folder / "onnx/model.onnx")
    with pytest.raises(InvalidInput, match=new):
        registry.load(str(folder))


def test_a_file_that_gives_whole_vectors(folder: Path) -> None:
    """As exports of models with layers behind the transformer do; the pooling in ``modules.json`` is in it then."""
    graph = onnx.load(folder / "onnx/model.onnx")
    graph.graph.node.append(
        onnx.helper.make_node("ReduceMax", ["last_hidden_state", "along"], ["sentence_embedding"], keepdims=0)
    )
    graph.graph.initializer.append(onnx.numpy_helper.from_array(np.array([1]), "along"))
    graph.graph.output.append(onnx.helper.make_tensor_value_info("sentence_embedding", onnx.TensorProto.FLOAT, None))
    onnx.save(graph, folder / "onnx/model.onnx")
    (folder / "modules.json").unlink()
    model = registry.load(str(folder))
    (found,) = vectors(model, [Text("狗叫声")], Purpose.CLUSTERING)
    from transformers import AutoModel, AutoTokenizer

    with torch.no_grad():
        tokens = AutoTokenizer.from_pretrained(bert())("狗叫声", return_tensors="pt")
        right = AutoModel.from_pretrained(bert()).eval()(**tokens).last_hidden_state[0].amax(0)
    assert np.allclose(found, right.numpy(), atol=1e-5)
