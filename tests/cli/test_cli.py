"""The command line as a user runs it: as a process of its own."""

import json
import os
import subprocess
from pathlib import Path

import numpy as np
import pytest

from tests import samples
from tests.servers import BIN, Kilonova, clean_environment


def kilonova(
    *arguments: str, home: Path | None = None, stdin: str = "", **variables: str
) -> subprocess.CompletedProcess[str]:
    environment = {**clean_environment(), "COLUMNS": "200", **variables}
    if home is not None:
        environment["KILONOVA_HOME"] = str(home)
    command = [str(BIN / "kilonova"), *arguments]
    return subprocess.run(
        command, env=environment, capture_output=True, text=True, timeout=60, check=False, input=stdin
    )


@pytest.mark.parametrize("command", ["serve", "env", "embed", "models", "doctor", "index", "search", "classify"])
def test_help_has_examples(command: str) -> None:
    done = kilonova(command, "--help")
    assert done.returncode == 0
    assert "Examples" in done.stdout
    assert f"kilonova {command}" in done.stdout


def test_version_and_no_arguments() -> None:
    assert kilonova("--version").stdout.strip() == "0.1.0"
    assert "serve" in kilonova().stdout


def test_embed_as_json() -> None:
    done = kilonova("embed", "--json", "--dimension", "384", "日落海滩", "a beach at sunset", "the annual report")
    assert done.returncode == 0, done.stderr
    found = [json.loads(line) for line in done.stdout.splitlines()]
    assert [one["input"] for one in found] == ["日落海滩", "a beach at sunset", "the annual report"]
    vectors = np.array([one["embedding"] for one in found])
    assert vectors.shape == (3, 384)
    assert np.allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    assert vectors[0] @ vectors[1] > vectors[0] @ vectors[2]


def test_embed_lines_and_files_into_npy(tmp_path: Path) -> None:
    (tmp_path / "笔记.txt").write_text("海边的日落")
    out = tmp_path / "out.npy"
    done = kilonova(
        "embed", "--npy", str(out), "--dimension", "256", "-", str(tmp_path / "笔记.txt"), stdin="first\n\n第二行\n"
    )
    assert done.returncode == 0, done.stderr
    assert np.load(out).shape == (3, 256)
    assert np.load(out).dtype == np.float32


def test_embed_media_with_a_model_that_can(tmp_path: Path) -> None:
    names = {"photo.png": samples.image(), "sound.mp3": samples.audio("mp3"), "film.mp4": samples.video("mp4")}
    for name, data in names.items():
        (tmp_path / name).write_bytes(data)
    paths = [str(tmp_path / name) for name in names]
    done = kilonova("embed", "--model", "fake", "--json", *paths)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout.splitlines()) == 3


def test_one_bad_file_never_stops_the_others(tmp_path: Path) -> None:
    (tmp_path / "bad.png").write_bytes(samples.image()[:45])
    (tmp_path / "page.pdf").write_bytes(b"%PDF-1.7 ...")
    (tmp_path / "binary.dat").write_bytes(b"\x80\x81\x00\x01")
    bad = [str(tmp_path / name) for name in ("bad.png", "page.pdf", "binary.dat", "none.jpg")]
    done = kilonova("embed", "--model", "fake", "--json", "before", *bad, "after")
    assert done.returncode == 1
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["before", "after"]
    for said in ("cannot be decoded", "is pdf", "is no text in any encoding", "There is no file"):
        assert said in done.stderr


def test_npy_is_all_or_nothing(tmp_path: Path) -> None:
    out = tmp_path / "out.npy"
    done = kilonova("embed", "--model", "fake", "--npy", str(out), "fine", "none.jpg")
    assert done.returncode == 1
    assert f"1 of 2 inputs failed; {out} is not written" in done.stderr
    assert not out.exists()
    done = kilonova("embed", "--model", "fake", "--npy", str(tmp_path / "nowhere" / "out.npy"), "fine")
    assert done.returncode == 1
    assert "cannot be written" in done.stderr


def test_embed_shows_a_table() -> None:
    done = kilonova("embed", "--model", "fake", "红色的汽车", "红色的火车")
    assert "1.000" in done.stdout
    assert "红色的汽车" in done.stdout


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("embed", "x", "--dimension", "100"), "100 is none of"),
        (("embed", *map(str, range(21))), "too many for a table"),
        (("embed", "x", "--model", "gpt"), "There is no model 'gpt'"),
        (("serve", "--model", "gpt"), "Known models: kilonova-mini"),
        (("serve", "--host", "0.0.0.0"), "Refusing to listen on 0.0.0.0"),
        (("serve", "--log-level", "loud"), "none of debug, info"),
        (("serve", "--tls-cert", "x.pem"), "come together"),
    ],
)
def test_wrong_usage_is_one_clear_message(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = kilonova(*arguments, home=tmp_path)
    assert done.returncode in (1, 2)
    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_models() -> None:
    found = {one["id"]: one for one in json.loads(kilonova("models", "--json").stdout)}
    assert sorted(found["kilonova-mini"]["modalities"]) == ["audio", "image", "text", "video"]
    assert set(found["kilonova-mini"]["dimensions"].values()) == {"trained"}
    assert "kilonova-mini" in kilonova("models").stdout


def test_env_is_what_a_shell_takes(tmp_path: Path) -> None:
    done = kilonova("env", "--port", "8123", home=tmp_path)
    script = done.stdout + '\necho "$AWS_ENDPOINT_URL_BEDROCK_RUNTIME|$AWS_ACCESS_KEY_ID|${AWS_SESSION_TOKEN-none}"'
    shown = subprocess.run(
        ["sh", "-c", script], capture_output=True, text=True, check=True, env={**os.environ, "AWS_SESSION_TOKEN": "old"}
    ).stdout.strip()
    url, key, token = shown.split("|")
    assert url == "http://127.0.0.1:8123"
    assert key in (tmp_path / "dev-credentials.toml").read_text()
    assert token == "none"
    assert "set -gx AWS_REGION us-east-1;" in kilonova("env", "--shell", "fish", home=tmp_path).stdout
    assert "$Env:AWS_REGION = 'us-east-1'" in kilonova("env", "--shell", "powershell", home=tmp_path).stdout
    configured = kilonova("env", home=tmp_path, KILONOVA_CREDENTIALS="AKIDX:it's")
    assert "AKIDX" in configured.stdout


def test_doctor(tmp_path: Path, fake: Kilonova) -> None:
    found = {
        one["what"]: one
        for one in json.loads(kilonova("doctor", "--json", "--port", str(fake.port), home=tmp_path).stdout)
    }
    assert found["model kilonova-mini"]["ok"]
    assert found["server"]["detail"].endswith("serves fake")
    assert not found["S3"]["ok"]
    assert "AWS_ACCESS_KEY_ID" in found["S3"]["remedy"]
    lonely = kilonova("doctor", "--port", "9", home=tmp_path)
    assert lonely.returncode == 0
    assert "kilonova serve --port 9" in lonely.stdout


def test_doctor_finds_missing_weights(tmp_path: Path) -> None:
    (tmp_path / "kilonova_mini.py").write_text("")
    done = kilonova("doctor", "--json", home=tmp_path, PYTHONPATH=str(tmp_path))
    found = {one["what"]: one for one in json.loads(done.stdout)}
    assert done.returncode == 1
    assert found["model kilonova-mini"]["remedy"] == "Run: pip install kilonova-mini"


def test_a_reader_that_leaves_is_no_error() -> None:
    done = subprocess.run(
        f"{BIN}/kilonova embed --model fake --json $(seq 300) | head -1; exit ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert len(done.stdout.splitlines()) == 1
    assert "Traceback" not in done.stderr


def test_a_model_that_is_not_here_is_not_served(tmp_path: Path) -> None:
    done = kilonova("serve", "--port", "0", "--model", "embeddinggemma-2:text", KILONOVA_DATA=str(tmp_path))
    assert done.returncode == 1
    assert done.stderr == "kilonova: embeddinggemma-2 is not on this machine. kilonova pull embeddinggemma-2\n"


def test_speed_is_measured_and_kept(tmp_path: Path) -> None:
    found = kilonova("models", "fake:text,image", "--measure", "--json", KILONOVA_DATA=str(tmp_path))
    assert "measuring fake:text,image" in found.stderr
    (entry,) = json.loads(found.stdout)
    assert set(entry["speed"]) == {"short texts a second", "images of 768 x 512 a second", "date"}
    shown = kilonova("models", KILONOVA_DATA=str(tmp_path)).stdout
    assert f"{entry['speed']['short texts a second']:g} short texts a second" in shown
    assert "measured here" in shown
    again = json.loads(kilonova("models", "--json", KILONOVA_DATA=str(tmp_path)).stdout)
    assert [bool(one["speed"]) for one in again if one["id"] in ("kilonova-mini", "fake")] == [False, True]
    (gemma,) = json.loads(kilonova("models", "embeddinggemma-2", "--json", KILONOVA_DATA=str(tmp_path)).stdout)
    assert not gemma["here"]
    refused = kilonova("models", "embeddinggemma-2", "--measure", KILONOVA_DATA=str(tmp_path))
    assert "kilonova pull embeddinggemma-2" in refused.stderr
