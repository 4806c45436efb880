"""Whatever one file does is its own entry among the failures; the others go on."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import PIL.Image
import PIL.TiffImagePlugin
import pytest

from kilonova.engine.engine import Engine
from kilonova.errors import InvalidInput
from kilonova.search import indexed, ingest
from kilonova.segments import describe, document_worker
from kilonova.segments.files import Kind
from kilonova.segments.listing import look, resolve
from kilonova.segments.progress import Progress
from kilonova.storage.files import name_of, open_file, path_of, uri_of
from kilonova.storage.objects import ObjectInfo
from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Collection, Point
from tests import samples
from tests.search.indexing import brought, known
from tests.servers import BIN, clean_environment


class Panic(BaseException):
    """What pyo3's PanicException is: no Exception."""


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    made = tmp_path / "照片"
    made.mkdir()
    for name in ("a.txt", "好.txt", "z.txt"):
        (made / name).write_text(f"words of {name}")
    return made


def failed(tally: Progress) -> dict[str, str]:
    return {uri.rpartition("/")[2]: reason for uri, reason in tally.failed}


def photo(path: Path, gps: dict[int, object]) -> None:
    exif = PIL.Image.Exif()
    exif[272] = "X100"
    exif.get_ifd(0x8825).update(gps)
    PIL.Image.new("RGB", (32, 32), "navy").save(path, exif=exif)


HERE = {1: "N", 3: "E", 4: (151.0, 12.0, 0.0)}


@pytest.mark.parametrize(
    "gps",
    [
        {**HERE, 2: tuple(PIL.TiffImagePlugin.IFDRational(0, 0) for _ in range(3))},
        {**HERE, 2: (91.0, 0.0, 0.0)},
        {**HERE, 2: (33.0, 51.0, 36.0), 4: (181.0, 0.0, 0.0)},
        {**HERE, 2: (33.0, 4_000.0, 36.0)},
        {1: "N", 2: (33.0, 51.0, 36.0)},
    ],
)
def test_what_is_no_place_is_no_position(tmp_path: Path, folder: Path, gps: dict[int, object]) -> None:
    photo(folder / "p.jpg", gps)
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.failed) == (4, [])
    payload = known(tmp_path)["p.jpg"].payload
    assert not {"latitude", "longitude"} & set(payload)
    assert (payload["camera"], payload["width"]) == ("X100", 32)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (b'{"title": "kept", "a": NaN}', "NaN"),
        (b'{"title": "kept", "a": [1, -Infinity]}', "infinite"),
        (b'{"title": "kept", "a": 1e999}', "infinite"),
        (b'{"title": "kept", "a": [' + b"[1]," * 20_000 + b"1]}", "values"),
        (b'{"title": "kept", "a": 9223372036854775808}', "64 bits"),
        (b'{"title": "kept", "a": ' + b'{"n":' * 40 + b"1" + b"}" * 40 + b"}", "nested"),
    ],
)
def test_values_that_no_store_keeps_are_left_out(tmp_path: Path, folder: Path, text: bytes, said: str) -> None:
    (folder / "a.txt.json").write_bytes(text)
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.failed) == (3, [])
    ((uri, reason),) = tally.warnings
    assert uri == str(folder / "a.txt.json")
    assert said in reason
    payload = known(tmp_path)["a.txt"].payload
    assert payload["title"] == "kept"
    assert "a" not in payload


def test_texts_lose_what_is_no_character(tmp_path: Path, folder: Path) -> None:
    (folder / "a.txt.json").write_bytes(
        b'{"t\\ud800itle": "\\udfff\\u0000a\\ufffe\xe5\xa5\xbd", "in": {"x": ["\\ud800"]}}'
    )
    (folder / "nul.txt").write_bytes(b"before\0after")
    tally = brought(tmp_path, folder)
    assert (tally.failed, tally.warnings) == ([], [])
    found = known(tmp_path)
    assert found["a.txt"].payload["title"] == "a好"
    assert found["a.txt"].payload["in"] == {"x": [""]}
    assert "\0" not in found["nul.txt"].text + found["nul.txt"].payload["snippet"]


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"{broken", "no JSON"),
        (b"[1]", "no JSON object"),
        (b"", "no JSON"),
        (b"[" * 100_000, "nested too deep"),
        (b'"' + b"x" * 300_000 + b'"', "bytes"),
        (b'{"n": ' + b"9" * 5_000 + b"}", "no JSON"),
    ],
)
def test_a_sidecar_costs_itself(tmp_path: Path, folder: Path, data: bytes, said: str) -> None:
    (folder / "a.txt.json").write_bytes(data)
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.failed) == (3, [])
    ((_, reason),) = tally.warnings
    assert said in reason
    again = brought(tmp_path, folder)  # said again, and nothing is done again
    assert (again.unchanged, len(again.warnings)) == (3, 1)
    (folder / "a.txt.json").write_text('{"title": "修好了"}')
    third = brought(tmp_path, folder)
    assert (third.warnings, known(tmp_path)["a.txt"].payload["title"]) == ([], "修好了")


def test_subtitles_cost_themselves(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (folder / "film.mp4").write_bytes(samples.video("mp4", 2.0))
    (folder / "film.srt").write_text("no subtitles at all")
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.failed) == (4, [])
    assert [Path(uri).name for uri, _ in tally.warnings] == ["film.srt"]

    def crash(*_: object) -> None:
        raise AttributeError("a parser's fault")

    monkeypatch.setattr("kilonova.media.subtitles.cues", crash)
    (folder / "film.srt").touch()
    assert "AttributeError" in brought(tmp_path, folder).warnings[0][1]


def test_a_sidecar_that_cannot_be_read_today_is_not_forgotten(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "a.txt.json").write_text('{"title": "港口"}')
    brought(tmp_path, folder)
    refuse(monkeypatch, folder / "a.txt.json")
    tally = brought(tmp_path, folder)
    assert (tally.unchanged, tally.failed, len(tally.warnings)) == (3, [], 1)
    assert known(tmp_path)["a.txt"].payload["title"] == "港口"


def refuse(monkeypatch: pytest.MonkeyPatch, path: Path, number: int = 13) -> None:
    """Have opening a file fail; root may read everything, so modes do not do."""
    right = Path.open

    def wrong(self: Path, *arguments: Any, **options: Any) -> object:
        if self == path:
            raise OSError(number, os.strerror(number), str(path))
        return right(self, *arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr(Path, "open", wrong)


@pytest.mark.parametrize("number", [13, 5, 116])  # EACCES, EIO, ESTALE
def test_a_file_that_cannot_be_read_keeps_what_is_known(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, number: int
) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").write_text("other words")
    (folder / "z.txt").write_text("more words")
    refuse(monkeypatch, folder / "a.txt", number)
    tally = brought(tmp_path, folder)
    assert (tally.changed, tally.unchanged, tally.removed) == (1, 1, 0)
    assert os.strerror(number) in failed(tally)["a.txt"]
    assert known(tmp_path)["a.txt"].payload["snippet"] == "words of a.txt"


@pytest.mark.parametrize("fault", [RuntimeError("a fault of ours"), RecursionError(), MemoryError(), Panic("panicked")])
def test_whatever_is_raised_is_that_files_failure(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch, fault: BaseException
) -> None:
    right = QdrantEdge._upsert

    def upsert(self: QdrantEdge, collection: Collection, points: list[Point]) -> None:
        if points[0].payload["name"] == "好.txt":
            raise fault
        right(self, collection, points)

    monkeypatch.setattr(QdrantEdge, "_upsert", upsert)
    tally = brought(tmp_path, folder)
    assert (tally.added, list(failed(tally))) == (2, ["好.txt"])
    assert type(fault).__name__ in failed(tally)["好.txt"]
    assert set(known(tmp_path)) == {"a.txt", "z.txt"}


def test_what_a_store_refuses_is_not_forgotten(tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").write_text("changed")

    def refuse_all(*_: object) -> None:
        raise InvalidInput("The payload is refused.")

    monkeypatch.setattr(QdrantEdge, "_upsert", refuse_all)
    tally = brought(tmp_path, folder)
    assert failed(tally) == {"a.txt": "The payload is refused."}
    assert known(tmp_path)["a.txt"].payload["snippet"] == "words of a.txt"


def test_points_of_others_with_a_uri_do_not_end_it(tmp_path: Path, folder: Path) -> None:
    brought(tmp_path, folder)
    store = QdrantEdge(tmp_path / "data" / "collections")
    vector = next(iter(store.scroll("files"))).vector
    foreign: list[dict[str, Any]] = [
        {"uri": str(folder / "gone.txt")},
        {"uri": 7},
        {"uri": str(folder / "a.txt"), "hash": None, "parts": "x"},
    ]
    store.upsert("files", [Point(f"other{number}", vector, one) for number, one in enumerate(foreign)])
    store.close()
    assert brought(tmp_path, folder).unchanged == 3


def test_names_that_are_no_utf8(tmp_path: Path, folder: Path) -> None:
    raw = os.fsencode(folder)
    for name in (b"caf\xe9.txt", b"100%\xff.txt", "旅行".encode("gbk") + b".txt"):
        Path(os.fsdecode(raw + b"/" + name)).write_text("quokka")
    (folder / "100%25.txt").write_text("percent")
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.failed) == (7, [])
    found = known(tmp_path)
    assert {"caf%E9.txt", "100%%FF.txt", "%C2%C3%D0%D0.txt", "100%25.txt"} <= set(found)
    uri = found["caf%E9.txt"].payload["uri"]
    assert uri == f"file://{folder}/caf%E9.txt"
    json.dumps([point.payload for point in found.values()], ensure_ascii=False).encode()
    with open_file(uri, ObjectInfo(0, "")) as file:
        assert file.read() == b"quokka"
    indexed.record(tmp_path / "data", "files", resolve([str(folder)]), [uri])
    assert indexed.find_path(tmp_path / "data", "files", uri) == os.fspath(path_of(uri))
    assert indexed.find_path(tmp_path / "data", "files", f"file://{folder}/%2E%2E/x.txt") is None
    path_of(uri).unlink()
    again = brought(tmp_path, folder)
    assert (again.unchanged, again.removed) == (6, 1)
    (bad,) = resolve([os.fsdecode(raw + b"/100%\xff.txt")])
    assert [file.uri for file in look([bad]).files] == [bad]


@pytest.mark.parametrize("raw", [b"/a/caf\xe9", b"/%/\xff%41", "/港口".encode(), b"/a/100%25", b"/\xed\xa0\x80"])
def test_uris_are_reversible(raw: bytes) -> None:
    uri = uri_of(os.fsdecode(raw))
    uri.encode()
    assert os.fsencode(path_of(uri)) == raw
    name_of(uri).encode()


def test_sound_in_a_films_file_is_not_embedded_again(tmp_path: Path, folder: Path) -> None:
    (folder / "声音.mp4").write_bytes(samples.audio("m4a", 2.0))
    assert brought(tmp_path, folder).added == 4
    (folder / "声音.mp4").rename(folder / "voice.mp4")
    (folder / "voice.mp4").touch()
    tally = brought(tmp_path, folder)
    assert (tally.moved, tally.removed, tally.segments, tally.failed) == (1, 1, 0, [])
    assert known(tmp_path)["voice.mp4"].payload["kind"] == "audio"


def test_names_are_kept_composed(tmp_path: Path, folder: Path) -> None:
    (folder / "cafe\u0301.txt").write_text("as macOS writes it")
    brought(tmp_path, folder)
    assert known(tmp_path)["caf\u00e9.txt"].payload["uri"].endswith("cafe\u0301.txt")


def test_what_a_file_says_of_itself_survives_broken_exif(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "p.jpg"
    photo(path, {})

    def crash(_: object) -> None:
        raise TypeError("Exif that no one reads")

    monkeypatch.setattr(describe, "_exif", crash)
    asked = document_worker.FactsRequest(str(path), ObjectInfo(path.stat().st_size, ""), Kind.IMAGE)
    assert document_worker.handler(str(tmp_path))(asked) == {"width": 32, "height": 32}


def test_what_a_part_of_a_model_cannot_embed_is_not_forgotten(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    brought(tmp_path, folder)
    (folder / "a.txt").write_text("changed")

    def refuse_all(*_: object) -> None:
        raise InvalidInput("The part of the model that is loaded embeds no texts.")

    monkeypatch.setattr(Engine, "require", refuse_all)
    tally = brought(tmp_path, folder)
    assert (tally.unchanged, list(failed(tally))) == (2, ["a.txt"])
    assert "a.txt" in known(tmp_path)


def test_a_file_with_endless_parts_is_indexed_as_far_as_they_fit(
    tmp_path: Path, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ingest, "_MOST_SEGMENTS", 3)
    (folder / "a.txt").write_text("word " * 1_000)
    tally = brought(tmp_path, folder)
    assert (tally.added, tally.segments) == (2, 5)
    assert "first 3 parts" in failed(tally)["a.txt"]


@pytest.mark.parametrize("root", ["s3://", "s3:///x", "~nobody-of-that-name/x", "x" * 300, "a.txt/below"])
def test_roots_that_are_none_are_their_own_failures(tmp_path: Path, folder: Path, root: str) -> None:
    tally = brought(tmp_path, folder, root)
    assert (tally.added, len(tally.failed)) == (3, 1)


def test_ctrl_c_says_so_and_leaves_nothing_broken(tmp_path: Path) -> None:
    folder = tmp_path / "many"
    folder.mkdir()
    for number in range(2_000):
        (folder / f"{number}.txt").write_text(f"文件 {number}")
    command = [str(BIN / "kilonova"), "index", str(folder), "--data", str(tmp_path / "data"), "--json"]
    command += ["--model", "fake", "--dimension", "256"]
    temporary, log = tmp_path / "tmp", tmp_path / "log"
    temporary.mkdir()
    environment = clean_environment() | {"TMPDIR": str(temporary), "KILONOVA_FAKE_LOG": str(log)}
    process = subprocess.Popen(command, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    while process.poll() is None and not (log.exists() and log.stat().st_size > 500):
        time.sleep(0.01)
    process.send_signal(signal.SIGINT)
    out, errors = process.communicate(timeout=60)
    assert process.returncode == 130, errors
    assert b"Traceback" not in errors
    assert json.loads(out)["error"] == "Stopped by Ctrl-C."
    assert list(temporary.glob("kilonova-*")) == []
    tally = brought(tmp_path, folder)
    assert (tally.added + tally.unchanged, tally.failed) == (2_000, [])


def test_words_beyond_what_a_point_keeps_do_not_cost_the_file(folder: Path, tmp_path: Path) -> None:
    (folder / "film.mp4").write_bytes(samples.video("mp4", 2.0))
    (folder / "film.srt").write_text("1\n00:00:00,000 --> 00:00:02,000\n" + "numbat " * 200_000)
    (folder / "titled.mp3").write_bytes(_titled("quokka " * 200_000) + samples.audio("mp3", 2.0))
    tally = brought(tmp_path, folder)
    assert (tally.failed, tally.warnings) == ([], [])
    points = known(tmp_path)
    assert "numbat numbat" in points["film.mp4"].text
    assert points["titled.mp3"].payload["title"].startswith("quokka quokka")


def _titled(title: str) -> bytes:
    """An ID3 tag."""
    frame = b"\3" + title.encode()
    frame = b"TIT2" + _seven_bits(len(frame)) + b"\0\0" + frame
    return b"ID3\4\0\0" + _seven_bits(len(frame)) + frame


def _seven_bits(number: int) -> bytes:
    return bytes(number >> shift & 127 for shift in (21, 14, 7, 0))
