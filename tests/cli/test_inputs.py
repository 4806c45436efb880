"""What arguments name: files that are there, words, and paths where there is nothing."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from typing import Any

import pytest

from kilonova.cli.inputs import read_file
from kilonova.errors import InvalidInput
from kilonova.media.content import Detail, Encoded, Modality, Text, VideoPart
from tests import samples
from tests.cli.test_cli import kilonova
from tests.servers import BIN, clean_environment

WORDS = [
    *(
        "cat",
        "日落海滩",
        "a beach at sunset",
        "and/or",
        "24/7",
        "km/h",
        "他/她",
        "3.14",
        "e.g.",
        "U.S.A.",
        "v1.2",
        "Dr. Who",
    ),
    *(
        "see the report.pdf",
        "example.com",
        "你好。再见",
        "a\nb/c.pdf",
        "1/2",
        "C++/Rust",
        "/ is the root",
        "*.jpg of cats",
    ),
    *("x" * 5000, "x/" * 3000, "...", "?", "~", "a\0b"),
]
PATHS = [
    *(
        "nosuch.pdf",
        "nosuch.docx",
        "nosuch.heic",
        "照片.jpg",
        "笔记.txt",
        "main.py",
        "x.svg",
        "archive.zip",
        "a/b/c.mp3",
    ),
    *("./nosuch", "../nosuch", "~/nosuch-kilonova", "/nosuch", "/nosuch/file", "nosuch/", "my photos/cat.jpg"),
    *("https://example.com/cat.jpg", "/目录/文件"),
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("words", WORDS)
def test_words(words: str) -> None:
    found = read_file(words, Detail.STANDARD)
    assert isinstance(found, Text)
    assert found.value == words


@pytest.mark.parametrize("path", PATHS)
def test_paths_of_nothing(path: str) -> None:
    with pytest.raises(InvalidInput, match="There is no file") as caught:
        read_file(path, Detail.STANDARD)
    assert "--text" in caught.value.hint


def test_lines_of_standard_input_are_words_unless_a_file_of_media_is_meant() -> None:
    for line in ("/r/pictures", "node.js", "nosuch.pdf", "./x", "main.py"):
        assert isinstance(read_file(line, Detail.STANDARD, guess=False), Text)
    with pytest.raises(InvalidInput, match="There is no file"):
        read_file("none.jpg", Detail.STANDARD, guess=False)


def test_a_path_in_a_folder_that_is_there(tmp_path: Path) -> None:
    (tmp_path / "照片").mkdir()
    for path in ("照片/猫", f"{tmp_path}/cat"):
        with pytest.raises(InvalidInput, match="There is no file"):
            read_file(path, Detail.STANDARD)
    for path in ("照片", str(tmp_path), "."):
        with pytest.raises(InvalidInput, match=r"is a folder.*kilonova index"):
            read_file(path, Detail.STANDARD)


def test_what_is_no_regular_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(InvalidInput, match="no regular file"):
        read_file("pipe", Detail.STANDARD)


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("plain.pdf", b"%PDF-1.7 ...", "a document of pages.*kilonova index"),
        ("plain", b"%PDF-1.7 ...", "document of pages"),
        ("words.docx", b"PK\x03\x04", "a document of pages.*kilonova index"),
        ("things.zip", b"PK\x03\x04", "is zip"),
        ("drawing.svg", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "is svg, which cannot be embedded"),
        ("old.doc", b"\xd0\xcf\x11\xe0", "is doc, which cannot be embedded"),
        ("rubbish", bytes(range(32)) * 100, "no text in any encoding"),
    ],
)
def test_files_that_are_not_embedded(tmp_path: Path, name: str, data: bytes, said: str) -> None:
    (tmp_path / name).write_bytes(data)
    with pytest.raises(InvalidInput, match=said):
        read_file(name, Detail.STANDARD)


def test_files(tmp_path: Path) -> None:
    (tmp_path / "gbk.txt").write_bytes("灯塔和港口的报告\n".encode("gbk"))
    (tmp_path / "wide.txt").write_bytes("灯塔和港口的报告\n".encode("utf-16"))
    for name in ("gbk.txt", "wide.txt"):
        assert read_file(name, Detail.STANDARD) == Text("灯塔和港口的报告\n")
    (tmp_path / "film.mp4").write_bytes(samples.video("mp4"))
    film = read_file("film.mp4", Detail.STANDARD)
    assert isinstance(film, Encoded)
    assert (film.modality, film.part) == (Modality.VIDEO, VideoPart.ANY)


def test_the_command(tmp_path: Path) -> None:
    (tmp_path / "voice.mp4").write_bytes(samples.audio("m4a"))
    done = kilonova("embed", "--model", "fake", "--json", "voice.mp4", "--text", "nosuch.pdf", "--text", "/tmp", "猫")
    assert done.returncode == 0, done.stderr
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["voice.mp4", "猫", "nosuch.pdf", "/tmp"]
    done = kilonova("embed", "--model", "fake", "--json", "nosuch.pdf", "猫", str(tmp_path))
    assert done.returncode == 1
    assert [json.loads(line)["input"] for line in done.stdout.splitlines()] == ["猫"]
    assert "There is no file nosuch.pdf" in done.stderr
    assert "is a folder" in done.stderr


def test_an_empty_path_is_not_the_current_folder(tmp_path: Path) -> None:
    """A script's variable that is not set must not index, or forget, whatever folder it runs in."""
    done = kilonova("index", "", "--model", "fake", "--data", str(tmp_path / "data"))
    assert done.returncode == 1
    assert "A path is empty." in done.stderr


def test_tables_show_names_as_they_are(tmp_path: Path) -> None:
    """Names and words of files are data: neither Rich's markup nor a terminal's controls."""
    names = ["[red]a[bold].txt", "\x1b[2Jb.txt", "灯塔 [1].txt"]
    (tmp_path / "media").mkdir()
    for name in names:
        (tmp_path / "media" / name).write_text("kookaburra [/nothing] \x1b]0;title\x07 灯塔")

    def run(*arguments: str) -> str:
        command = [str(BIN / "kilonova"), *arguments, "--data", str(tmp_path / "data")]
        variables = {**clean_environment(), "COLUMNS": "200"}
        done = subprocess.run(command, env=variables, capture_output=True, text=True, check=False, timeout=60)
        assert done.returncode == 0, done.stderr
        return done.stdout

    run("index", str(tmp_path / "media"), "--model", "fake", "--dimension", "256")
    found = run("search", "kookaburra", "--mode", "keyword")
    assert "[red]a[bold].txt" in found
    assert "灯塔 [1].txt" in found
    assert "[/nothing]" in found
    assert "\x1b" not in found


@pytest.mark.parametrize("arguments", [["embed", "--model", "fake"], ["search", "--mode", "keyword"], ["search"]])
def test_arguments_that_are_no_utf8(tmp_path: Path, arguments: list[str]) -> None:
    command: list[Any] = [str(BIN / "kilonova"), *arguments, b"caf\xff"]
    if arguments[0] == "search":
        media = tmp_path / "a.txt"
        media.write_text("caf\u00e9")
        index = [str(BIN / "kilonova"), "index", str(media), "--model", "fake", "--data", str(tmp_path / "data")]
        assert subprocess.run(index, env=clean_environment(), check=False, capture_output=True).returncode == 0
        command += ["--data", str(tmp_path / "data")]
    done = subprocess.run(command, env=clean_environment(), capture_output=True, text=True, check=False, timeout=60)
    assert done.returncode == 1
    assert "is not valid Unicode. Write it in UTF-8." in done.stderr
