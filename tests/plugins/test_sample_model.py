"""The sample of a model plug-in: what docs/adding-a-model.md shows, installed and used."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import pytest

from kilonova import plugins
from kilonova.media.content import Text
from kilonova.models import registry
from kilonova.models.card import Purpose
from kilonova.testing import KilonovaServer, ModelSuite
from kilonova.testing.models import vectors
from tests.plugins.distributions import install_project
from tests.servers import BIN, clean_environment

PROJECT = Path(__file__).parent / "kilonova-ngrams"
TEXTS = ["the lighthouse at the harbour", "a receipt for two coffees", "港口的灯塔", "两杯咖啡的收据"]


@pytest.fixture(scope="module", autouse=True)
def path(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """``PYTHONPATH`` with the plug-in, for this process and those that it starts."""
    folder = tmp_path_factory.mktemp("site")
    install_project(folder, PROJECT)
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(folder)
        patch.setenv("PYTHONPATH", os.pathsep.join(filter(None, [str(folder), os.environ.get("PYTHONPATH")])))
        yield os.environ["PYTHONPATH"]
    sys.modules.pop("kilonova_ngrams", None)


class TestNgrams(ModelSuite):
    name: ClassVar[str] = "ngrams"

    @pytest.mark.parametrize(
        ("query", "place"), [("harbor lighthouse", 0), ("recieipt, cofee", 1), ("灯塔在港口", 2), ("咖啡收据", 3)]
    )
    def test_spellings_are_found(self, model: Any, query: str, place: int) -> None:
        index = vectors(model, [Text(text) for text in TEXTS])
        index /= np.linalg.norm(index, axis=1, keepdims=True)
        for dimension in (256, 1024):
            asked = vectors(model, [Text(query)], Purpose.TEXT_RETRIEVAL)[0, :dimension]
            assert int((index[:, :dimension] @ asked).argmax()) == place


def test_it_is_listed() -> None:
    assert registry.names()[-1] == "ngrams"
    found = [one for one in plugins.installed() if one.name == "ngrams"]
    assert found == [plugins.Plugin("kilonova.models", "ngrams", "kilonova-ngrams", "1.0", built_in=False)]
    command = [str(BIN / "kilonova"), "models", "--json"]
    done = subprocess.run(command, env=clean_environment(), check=True, capture_output=True, text=True)
    assert [card["id"] for card in json.loads(done.stdout)][-1] == "ngrams"


def test_the_command_line_embeds_with_it() -> None:
    command = [str(BIN / "kilonova"), "embed", "港口的灯塔", "--model", "ngrams", "--dimension", "256", "--json"]
    done = subprocess.run(command, env=clean_environment(), check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    model = registry.load("ngrams")
    right = vectors(model, [Text("港口的灯塔")])[0, :256]
    assert np.allclose(json.loads(done.stdout)["embedding"], right / np.linalg.norm(right), atol=1e-5)


def test_a_server_serves_it() -> None:
    with KilonovaServer(model="ngrams") as server:
        body = {
            "taskType": "SINGLE_EMBEDDING",
            "singleEmbeddingParams": {
                "embeddingPurpose": "GENERIC_INDEX",
                "embeddingDimension": 1024,
                "text": {"truncationMode": "END", "value": "灯塔"},
            },
        }
        answer = server.wait_ready().client().invoke_model(modelId="ngrams", body=json.dumps(body))
        assert len(json.loads(answer["body"].read())["embeddings"][0]["embedding"]) == 1024
