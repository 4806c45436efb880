"""`kilonova index` and `kilonova search` as a user runs them, on files of every kind."""

from __future__ import annotations

import json
import random
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import numpy as np
import PIL.Image
import PIL.ImageDraw
import PIL.ImageFont
import pptx
import pytest

from kilonova.stores.backends.edge import QdrantEdge
from kilonova.stores.base import Point
from tests import samples
from tests.servers import BIN, S3, clean_environment

LONG = "港口的早晨很安静，渔船还没有回来。The lamps go out one by one.\n" * 60


def kilonova(tmp_path: Path, *arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
    command = [str(BIN / "kilonova"), *arguments, "--data", str(tmp_path / "data")]
    environment = {**clean_environment(), "COLUMNS": "200", **variables}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=110, check=False)
    assert "Traceback" not in done.stderr, done.stderr
    return done


def index(tmp_path: Path, *arguments: str, **variables: str) -> dict[str, Any]:
    done = kilonova(tmp_path, "index", "--model", "fake", "--dimension", "256", "--json", *arguments, **variables)
    found: dict[str, Any] = json.loads(done.stdout)
    assert done.returncode == (1 if found["failed"] else 0)
    return found


def search(tmp_path: Path, *arguments: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(kilonova(tmp_path, "search", "--json", *arguments).stdout)
    return found


def points(tmp_path: Path) -> dict[str, Point]:
    store = QdrantEdge(tmp_path / "data" / "collections")
    try:
        return {point.id: point for point in store.scroll("files")}
    finally:
        store.close()


def photo(year: int, hue: int) -> bytes:
    exif = PIL.Image.Exif()
    exif[272] = "X100"
    exif.get_ifd(0x8769)[36867] = f"{year}:05:01 10:00:00"
    gps = exif.get_ifd(0x8825)
    gps[1], gps[2], gps[3], gps[4] = "S", (33.0, 51.0, 36.0), "E", (151.0, 12.0, 0.0)
    return samples.encode(PIL.Image.new("RGB", (64, 48), (hue, 80, 40)), "jpeg", exif=exif)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    media = tmp_path / "media"
    (media / "子文件夹").mkdir(parents=True)
    (media / ".hidden").mkdir()
    files = {
        "说明.txt": LONG.encode(),
        "page.html": "<html><script>var x</script><p>一个网页 about <b>lighthouses</b></p></html>".encode(),
        "beach.jpg": photo(2019, 200),
        "street.jpg": photo(2021, 30),
        "子文件夹/sound.wav": samples.audio("wav", 12.0),
        "子文件夹/film.mp4": samples.video("mp4", 7.0),
        "report.pdf": samples.pdf("Annual revenue grew", "", "Staff and harbours"),
        "broken.jpg": b"\xff\xd8\xff no picture",
        "program.exe": b"MZ",
        ".hidden/secret.txt": b"hidden",
    }
    for name, data in files.items():
        (media / name).write_bytes(data)
    (media / "beach.jpg.json").write_text(json.dumps({"title": "日落海滩", "stars": 5}))
    return media


def test_every_kind_is_indexed_and_known(tmp_path: Path, folder: Path) -> None:
    said = index(tmp_path, str(folder), "--set", "owner=王", "--set", "shelf=3")
    assert (said["files"], said["added"], said["otherFiles"]) == (8, 7, 1)
    assert [one["uri"] for one in said["failed"]] == [str(folder / "broken.jpg")]
    found = points(tmp_path)
    assert len(found) == said["parts"]
    of: dict[str, list[dict[str, Any]]] = {}
    for point in found.values():
        of.setdefault(point.payload["name"], []).append(dict(point.payload))
        assert (point.payload["owner"], point.payload["shelf"]) == ("王", 3)
    for payloads in of.values():
        payloads.sort(key=lambda one: one["part"])
        assert [one["part"] for one in payloads] == list(range(payloads[0]["parts"]))
    (beach,) = of["beach.jpg"]
    known = (beach["kind"], beach["camera"], beach["year"], beach["date"])
    assert known == ("image", "X100", 2019, "2019-05-01T10:00:00")
    assert (beach["latitude"], beach["longitude"], beach["title"], beach["stars"]) == (-33.86, 151.2, "日落海滩", 5)
    assert [(one["start"], one["end"]) for one in of["sound.wav"]] == [(0, 5), (5, 10), (10, 12)]
    assert [one["start"] for one in of["film.mp4"]] == [0, 5]
    assert {one["page"] for one in of["report.pdf"]} == {1, 2, 3}
    assert all(one["pages"] == 3 for one in of["report.pdf"])
    texts = of["说明.txt"]
    assert texts[0]["start"] == 0
    assert texts[-1]["end"] == len(LONG)
    assert [one["snippet"] for one in of["page.html"]] == ["一个网页 about lighthouses"]


def test_only_what_changed_is_embedded(tmp_path: Path, folder: Path) -> None:
    (folder / "broken.jpg").unlink()
    log = tmp_path / "log"
    index(tmp_path, str(folder), KILONOVA_FAKE_LOG=str(log))
    before, first = points(tmp_path), log.read_text()
    again = index(tmp_path, str(folder), KILONOVA_FAKE_LOG=str(log))
    assert (again["unchanged"], again["added"], again["parts"]) == (7, 0, 0)
    assert log.read_text() == first

    (folder / "street.jpg").rename(folder / "子文件夹" / "街道.jpg")
    (folder / "page.html").unlink()
    (folder / "说明.txt").write_text("短")
    (folder / "report.pdf").touch()
    third = index(tmp_path, str(folder), KILONOVA_FAKE_LOG=str(log))
    assert (third["moved"], third["changed"], third["removed"], third["unchanged"]) == (1, 1, 2, 4)
    assert log.read_text().removeprefix(first).split() == ["purpose", "True", "短"]
    after = points(tmp_path)
    moved, old = after[f"{folder}/子文件夹/街道.jpg#0"], before[f"{folder}/street.jpg#0"]
    assert np.allclose(moved.vector, old.vector)
    assert (moved.payload["name"], moved.payload["year"]) == ("街道.jpg", 2021)
    assert {name for name in after if "说明" in name} == {f"{folder}/说明.txt#0"}
    assert not any("page.html" in name or "street" in name for name in after)

    fourth = index(tmp_path, str(folder), "--set", "owner=me", KILONOVA_FAKE_LOG=str(log))
    assert (fourth["unchanged"], fourth["parts"]) == (6, 0)
    assert all(point.payload["owner"] == "me" for point in points(tmp_path).values())


def test_what_became_broken_is_not_found_any_more(tmp_path: Path, folder: Path) -> None:
    index(tmp_path, str(folder))
    (folder / "beach.jpg").write_bytes(b"\xff\xd8\xff no picture any more")
    (folder / "beach.jpg.json").write_text("[1]")
    said = index(tmp_path, str(folder))
    assert sorted(Path(one["uri"]).name for one in said["failed"]) == ["beach.jpg", "broken.jpg"]
    assert any("no JSON object" in one["reason"] for one in said["warnings"])
    assert not any("beach" in name for name in points(tmp_path))


@pytest.mark.timeout(400)
def test_a_run_that_is_killed_goes_on(tmp_path: Path) -> None:
    """Twenty random moments; whatever is there then, the next run makes the collection an undisturbed one is."""
    folder, rng, interrupted = tmp_path / "many", random.Random(20), 0
    folder.mkdir()
    for number in range(150):
        (folder / f"{number}.txt").write_text(f"文件 {number} " + "word " * (20 * (number % 12)))
    undisturbed = tmp_path / "undisturbed"
    index(undisturbed, str(folder))
    right = {name: (point.payload, point.text) for name, point in points(undisturbed).items()}
    command = [str(BIN / "kilonova"), "index", str(folder), "--model", "fake", "--dimension", "256", "--data"]
    for number in range(20):
        home = tmp_path / f"run{number}"
        process = subprocess.Popen([*command, str(home / "data")], env=clean_environment(), stderr=subprocess.DEVNULL)
        shard = home / "data" / "collections" / "files" / "shard"
        while process.poll() is None and not shard.exists():
            time.sleep(0.005)
        time.sleep(rng.uniform(0.3, 1.3))
        interrupted += process.poll() is None
        process.send_signal(signal.SIGKILL)
        process.wait()
        index(home, str(folder))
        found = points(home)
        assert {name: (point.payload, point.text) for name, point in found.items()} == right
    print(f"{interrupted} of 20 runs were killed under way")
    assert interrupted >= 5


def test_s3(tmp_path: Path) -> None:
    with S3() as s3:
        for name, data in {"in/日落.jpg": photo(2020, 9), "in/b/sound.wav": samples.audio("wav", 6.0)}.items():
            s3.client.put_object(Bucket="media", Key=name, Body=data)
        said = index(tmp_path, "s3://media/in/", **s3.environment())
        assert (said["added"], said["failed"]) == (2, [])
        assert sorted(points(tmp_path)) == [
            "s3://media/in/b/sound.wav#0", "s3://media/in/b/sound.wav#1", "s3://media/in/日落.jpg#0"
        ]  # fmt: skip
        s3.client.delete_object(Bucket="media", Key="in/日落.jpg")
        again = index(tmp_path, "s3://media/in/", **s3.environment())
        assert (again["unchanged"], again["removed"]) == (1, 1)


def test_searching(tmp_path: Path, folder: Path) -> None:
    index(tmp_path, str(folder))

    def names(*arguments: str) -> list[str]:
        return [hit["payload"]["name"] for hit in search(tmp_path, *arguments)]

    assert names("lighthouses")[0] == "page.html"
    assert (
        names("日落海滩", "--mode", "keyword")[0] == "beach.jpg"
    )  # its sidecar's title; fake likens texts to nothing else
    assert names("Annual revenue", "--in", "document")[0] == "report.pdf"
    assert names("--image", str(folder / "street.jpg"), "-k", "1") == ["street.jpg"]
    assert names("--audio", str(folder / "子文件夹/sound.wav"), "--in", "audio") == ["sound.wav"]
    assert names("--video", str(folder / "子文件夹/film.mp4"), "--in", "video") == ["film.mp4"]
    assert names("--document", f"{folder / 'report.pdf'}#3", "--in", "document") == ["report.pdf"]
    assert set(names("x", "--where", 'year >= 2020 and camera = "X100"')) == {"street.jpg"}
    assert set(names("x", "--in", "image,audio")) == {"beach.jpg", "street.jpg", "sound.wav"}
    (page,) = search(tmp_path, "Staff and harbours", "--in", "document")
    assert page["payload"]["page"] == 3
    assert {moment["page"] for moment in page["moments"]} <= {1, 2, 3}
    segments = search(tmp_path, "harbour lamps", "--in", "text", "--segments", "-k", "50")
    assert len({hit["id"] for hit in segments}) == len(segments) > 3
    assert names("lighthouses", "--mode", "keyword") == ["page.html"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("x", "--collection", "nothing"), "no collection nothing. Make one: kilonova index"),
        (("--image", "none.jpg"), "no file none.jpg"),
        (("--not", "people"), "Nothing is looked for"),
        (("x", "--in", "smell"), "'smell' is none of"),
        (("x", "--where", "year >="), "lacks a value at its end"),
        (("x", "--mode", "magic"), "none of hybrid"),
    ],
)
def test_refusals(tmp_path: Path, arguments: tuple[str, ...], said: str) -> None:
    done = kilonova(tmp_path, "search", *arguments)
    assert done.returncode in (1, 2)
    assert said in " ".join(done.stderr.replace("│", " ").split())


def test_a_collection_keeps_its_model_and_has_one_owner(tmp_path: Path, folder: Path) -> None:
    index(tmp_path, str(folder / "说明.txt"))
    done = kilonova(tmp_path, "index", str(folder), "--dimension", "1024")
    assert done.returncode == 1
    assert "holds vectors of 256 dimensions by fake" in done.stderr
    assert "kilonova index FOLDER --collection files-2 --dimension 1024" in done.stderr
    store = QdrantEdge(tmp_path / "data" / "collections")
    assert store.count("files") > 0  # from now on this process owns it
    done = kilonova(tmp_path, "search", "x")
    store.close()
    assert done.returncode == 1
    assert "The collection files is open in process" in done.stderr


def test_paths_that_are_not_there(tmp_path: Path) -> None:
    done = kilonova(tmp_path, "index", str(tmp_path / "nowhere"))
    assert done.returncode == 1
    assert "There is no" in done.stderr


def test_collections_are_listed_and_deleted(tmp_path: Path, folder: Path) -> None:
    assert "There is no collection" in kilonova(tmp_path, "collections", "list").stdout
    index(tmp_path, str(folder / "说明.txt"), "--collection", "笔记")
    (one,) = json.loads(kilonova(tmp_path, "collections", "list", "--json").stdout)
    assert (one["name"], one["model"], one["dimension"], one["metric"]) == ("笔记", "fake", 256, "cosine")
    assert one["vectors"] > 3
    assert "笔记" in kilonova(tmp_path, "collections", "list").stdout
    assert "is deleted" in kilonova(tmp_path, "collections", "drop", "笔记", "--yes").stdout
    done = kilonova(tmp_path, "collections", "drop", "笔记", "--yes")
    assert done.returncode == 1
    assert "no collection 笔记" in done.stderr
    assert (folder / "说明.txt").exists()


def test_words_of_office_files_scans_and_subtitles(tmp_path: Path) -> None:
    media = tmp_path / "media"
    media.mkdir()
    slide = pptx.Presentation()
    slide.slides.add_slide(slide.slide_layouts[5]).shapes.title.text = "灯塔的历史"
    slide.save(str(media / "talk.pptx"))
    scan = PIL.Image.new("RGB", (900, 300), "white")
    PIL.ImageDraw.Draw(scan).text((60, 100), "HARBOUR MASTER", "black", PIL.ImageFont.load_default(80))
    scan.save(media / "scan.pdf", resolution=150)
    (media / "film.mp4").write_bytes(samples.video("mp4", 9.0))
    cue = "1\n00:00:0{}.000 --> 00:00:0{}.500\n{}\n\n"
    (media / "film.zh.srt").write_text(cue.replace(".", ",").format(1, 2, "<i>信天翁</i>") + cue.format(6, 7, "鲸鱼"))
    (media / "film.mp4.json").write_text('{"title": "At sea"}')
    (media / "alone.srt").write_text(cue.replace(".", ",").format(1, 2, "alone"))
    said = index(tmp_path, str(media))
    assert (said["added"], said["failed"], said["otherFiles"]) == (4, [], 0)

    def found(words: str) -> list[tuple[str, Any]]:
        hits = search(tmp_path, words, "--mode", "keyword", "--segments")
        return [(hit["payload"]["name"], hit["payload"].get("start", hit["payload"].get("page"))) for hit in hits]

    assert set(found("灯塔")) == {("talk.pptx", 1)}
    snippets = {point.payload["snippet"] for point in points(tmp_path).values() if point.payload["name"] == "talk.pptx"}
    assert snippets == {"灯塔的历史"}
    assert set(found("harbour master")) == {("scan.pdf", 1)}
    assert found("信天翁") == [("film.mp4", 0)]
    assert found("鲸鱼") == [("film.mp4", 5)]
    (media / "film.zh.srt").write_text(cue.replace(".", ",").format(1, 2, "海豚"))
    log = tmp_path / "log"
    again = index(tmp_path, str(media), KILONOVA_FAKE_LOG=str(log))
    assert (again["unchanged"], again["parts"], log.exists()) == (4, 0, False)  # nothing is embedded for new subtitles
    assert found("信天翁") == []
    assert found("海豚") == [("film.mp4", 0)]
    films = [point.payload for point in points(tmp_path).values() if point.payload["kind"] == "video"]
    assert [film.get("snippet") for film in sorted(films, key=lambda one: one["part"])] == ["海豚", None]
    (media / "film.zh.srt").write_text("nothing")
    said = index(tmp_path, str(media))
    assert "has no subtitles" in said["warnings"][0]["reason"]
    assert (said["unchanged"], said["failed"]) == (4, [])


def test_what_a_part_of_a_model_embedded_is_the_models(tmp_path: Path, folder: Path) -> None:
    done = kilonova(tmp_path, "index", "--model", "fake:text", "--dimension", "256", str(folder / "说明.txt"))
    assert done.returncode == 0, done.stderr
    (one,) = json.loads(kilonova(tmp_path, "collections", "list", "--json").stdout)
    assert one["model"] == "fake"
    assert not index(tmp_path, str(folder / "beach.jpg"))["failed"]  # with the whole model
    assert search(tmp_path, "港口")
