"""``kilonova pull`` from a hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.models.hub import COMMIT, Hub
from tests.models.tiny import bert, gemma, onnx_bert
from tests.servers import BIN

pytestmark = pytest.mark.models

Pull = Callable[..., "subprocess.CompletedProcess[str]"]


def files(folder: str) -> dict[str, bytes]:
    paths = [path for path in Path(folder).rglob("*") if path.is_file()]
    return {str(path.relative_to(folder)): path.read_bytes() for path in paths}


@pytest.fixture
def hub() -> Iterator[Hub]:
    extra = {"pytorch_model.bin": b"pickle", "onnx/model.onnx": b"another form", "training_args.pt": b"pickle"}
    models = {
        "google/embeddinggemma-2": {**files(gemma()), **extra},
        "someone/文本-bert": {**files(bert()), **extra},
        "someone/onnx": {**files(onnx_bert()), "model.safetensors": b"for torch", "pytorch_model.bin": b"pickle"},
        "someone/pickles": {"config.json": b"{}", "pytorch_model.bin": b"pickle"},
    }
    with Hub(models).serve() as hub:
        yield hub


@pytest.fixture
def kilonova(hub: Hub, tmp_path: Path) -> Pull:
    environment = {
        **os.environ,
        "HF_ENDPOINT": hub.url,
        "KILONOVA_DATA": str(tmp_path / "data"),
        "HF_HOME": str(tmp_path),
    }

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        command = [str(BIN / "kilonova"), *arguments]
        return subprocess.run(command, capture_output=True, text=True, env=environment, timeout=110, check=False)

    return run


def test_pull_and_embed(kilonova: Pull, hub: Hub, tmp_path: Path) -> None:
    before = kilonova("embed", "--model", "embeddinggemma-2", "日落")
    assert before.returncode == 1
    assert "kilonova pull embeddinggemma-2" in before.stderr
    assert hub.sent == 0  # nothing is downloaded that was not asked for
    done = kilonova("pull", "embeddinggemma-2")
    assert done.returncode == 0, done.stderr
    assert f"google/embeddinggemma-2, version {COMMIT[:12]}" in done.stderr
    assert "licence apache-2.0" in done.stderr
    folder = tmp_path / "data" / "models" / "embeddinggemma-2"
    assert files(str(folder)) == files(gemma())  # and neither pickles nor other forms
    found = json.loads(kilonova("embed", "--model", "embeddinggemma-2:text", "--json", "日落").stdout)
    assert len(found["embedding"]) == 1024
    (shown,) = [one for one in json.loads(kilonova("models", "--json").stdout) if one["id"] == "embeddinggemma-2"]
    assert shown["here"]


def test_any_model_by_its_name(kilonova: Pull) -> None:
    done = kilonova("pull", "someone/文本-bert", "--json")
    assert json.loads(done.stdout)["model"] == "文本-bert"
    assert "%" not in done.stderr  # no progress bars
    assert "文本-bert" in kilonova("models").stdout
    found = kilonova("embed", "--model", "文本-bert", "--json", "日落")
    assert found.returncode == 0, found.stderr


def test_for_a_machine_without_network(kilonova: Pull, tmp_path: Path) -> None:
    stick = tmp_path / "stick"
    done = kilonova("pull", "google/embeddinggemma-2", "--to", str(stick))
    assert f"--model {stick / 'embeddinggemma-2'}" in done.stderr
    found = kilonova("embed", "--model", f"{stick / 'embeddinggemma-2'}:text", "--json", "日落")
    assert found.returncode == 0, found.stderr
    again = kilonova("pull", "embeddinggemma-2", "--to", str(stick))
    assert "exists already" in again.stderr


def test_a_broken_file_is_not_taken(kilonova: Pull, hub: Hub, tmp_path: Path) -> None:
    for name in ("model.safetensors", "tokenizer_config.json"):
        hub.broken, folder = {name}, tmp_path / name
        done = kilonova("pull", "embeddinggemma-2", "--to", str(folder))
        assert done.returncode == 1
        assert f"{name} of google/embeddinggemma-2 came broken" in done.stderr
        assert not (folder / "embeddinggemma-2").exists()
        hub.broken = set()
        assert kilonova("pull", "embeddinggemma-2", "--to", str(folder)).returncode == 0
        assert files(str(folder / "embeddinggemma-2")) == files(gemma())


def test_it_goes_on_where_it_broke_off(kilonova: Pull, hub: Hub, tmp_path: Path) -> None:
    whole = hub.models["google/embeddinggemma-2"]["model.safetensors"]
    hub.break_off, hub.ended = len(whole) // 4, True
    done = kilonova("pull", "embeddinggemma-2")
    assert done.returncode == 1
    assert "cannot be reached" in done.stderr
    assert not (tmp_path / "data" / "models" / "embeddinggemma-2").exists()
    hub.break_off, hub.ended, hub.ranges, hub.sent = None, False, [], 0
    assert kilonova("pull", "embeddinggemma-2").returncode == 0
    assert hub.ranges
    assert hub.sent < len(whole)


def test_one_run_survives_broken_connections(kilonova: Pull, hub: Hub, tmp_path: Path) -> None:
    hub.break_off = len(hub.models["google/embeddinggemma-2"]["model.safetensors"]) // 4
    done = kilonova("pull", "embeddinggemma-2")
    assert done.returncode == 0, done.stderr
    assert len(hub.ranges) >= 4
    assert files(str(tmp_path / "data" / "models" / "embeddinggemma-2")) == files(gemma())


def test_refusals(kilonova: Pull) -> None:
    for name, said in (
        ("someone/nothing", "has no model someone/nothing"),
        ("someone/pickles", "no weights in safetensors"),
        ("kilonova-mini", "needs no download"),
        ("nothing", "There is no model 'nothing'"),
        ("google/embeddinggemma-2 --revision gone", "no such version"),
    ):
        done = kilonova("pull", *name.split())
        assert done.returncode == 1
        assert said in done.stderr, done.stderr
    assert "kilonova pull OWNER/NAME" in kilonova("embed", "--model", "someone/文本-bert", "x").stderr


def test_an_onnx_file_in_place_of_torch_weights(kilonova: Pull, hub: Hub) -> None:
    missing = kilonova("pull", "someone/onnx", "--onnx", "onnx/model_q4.onnx")
    assert missing.returncode == 1
    assert "Its ONNX files: onnx/model.onnx, onnx/model_int8.onnx" in missing.stderr
    done = kilonova("pull", "someone/onnx", "--onnx", "onnx/model_int8.onnx", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["model"] == "onnx-onnx-int8"
    folder = Path(found["folder"])
    assert [path.name for path in folder.rglob("*.onnx")] == ["model_int8.onnx"]
    assert not list(folder.rglob("*.safetensors"))
    done = kilonova("embed", "--model", "onnx-onnx-int8", "--dimension", "256", "--json", "日落")
    assert len(json.loads(done.stdout)["embedding"]) == 256
