"""`/v1/search`, `/v1/items`, `/openapi.json` and the command line on a collection that a server has open."""

from __future__ import annotations

import base64
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest

from kilonova.server import openapi
from kilonova.wire import search as wire
from tests import samples
from tests.servers import ACCESS_KEY, API_KEY, BIN, S3, SECRET_KEY, Kilonova, clean_environment

TEXT = "港口的早晨很安静。The lamps go out one by one."


class Served:
    """A server whose data folder the command line shares, with a folder indexed before it had it open."""

    def __init__(self, home: Path, s3: S3) -> None:
        self.home, self.media = home, home / "media"
        self.media.mkdir(parents=True)
        self.files = {
            "说明.txt": TEXT.encode(),
            "photo.png": samples.image("png"),
            "sound.wav": samples.audio("wav", 3.0),
            "film.mp4": samples.video("mp4", 3.0),
            "report.pdf": samples.pdf("Annual revenue grew", ""),  # the second page is a picture
            "page.html": b"<p>harbour</p><script>alert(1)</script>",
        }
        for name, data in self.files.items():
            (self.media / name).write_bytes(data)
        s3.client.put_object(Bucket="media", Key="served/灯塔.txt", Body="灯塔 lighthouse".encode())
        self.variables = {**clean_environment(), **s3.environment(), "KILONOVA_API_KEYS": API_KEY, "COLUMNS": "200"}
        self.run("index", str(self.media), "s3://media/served/", "--model", "fake", "--dimension", "256")
        self.server = Kilonova("--data", str(home / "data"), environment=s3.environment())
        self.server.__enter__().wait_ready()
        self.http = httpx.Client(
            base_url=self.server.url, headers={"Authorization": f"Bearer {API_KEY}"}, timeout=30, trust_env=False
        )

    def run(self, *arguments: str, status: int = 0) -> str:
        command = [str(BIN / "kilonova"), *arguments, "--data", str(self.home / "data")]
        done = subprocess.run(command, env=self.variables, capture_output=True, text=True, timeout=110, check=False)
        assert done.returncode == status, done.stderr
        return done.stdout + (done.stderr if status else "")

    def search(self, **fields: Any) -> list[dict[str, Any]]:
        return self.hits(self.http.post("/v1/search", json=fields))

    def hits(self, answer: httpx.Response) -> list[dict[str, Any]]:
        assert answer.status_code == 200, answer.text
        wire.SearchAnswer.model_validate(answer.json(), strict=True)  # as it is documented
        found: list[dict[str, Any]] = answer.json()["hits"]
        return found

    def id(self, name: str) -> str:
        return f"{self.media / name}#0"


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory, s3: S3) -> Iterator[Served]:
    made = Served(tmp_path_factory.mktemp("served"), s3)
    yield made
    made.http.close()
    made.server.close()


def names(hits: list[dict[str, Any]]) -> list[str]:
    return [hit["payload"]["name"] for hit in hits]


def encoded(data: bytes) -> dict[str, Any]:
    return {"bytes": base64.b64encode(data).decode()}


def test_words(served: Served) -> None:
    assert names(served.search(text="灯塔", mode="keyword")) == ["灯塔.txt"]
    assert names(served.search(text="Annual revenue", where='kind = "document"'))[0] == "report.pdf"
    assert sorted(names(served.search(text=["harbour", "灯塔"], mode="keyword"))) == ["page.html", "灯塔.txt"]


@pytest.mark.parametrize(
    ("field", "name"),
    [("image", "photo.png"), ("audio", "sound.wav"), ("video", "film.mp4"), ("document", "report.pdf")],
)
def test_files_of_each_kind_as_json_and_as_a_form(served: Served, field: str, name: str) -> None:
    data = served.files[name]
    by_json = served.search(**{field: encoded(data)}, mode="vector")
    assert (by_json[0]["payload"]["name"], round(by_json[0]["similarity"], 3)) == (name, 1.0)
    form = served.http.post("/v1/search", files={field: (name, data)}, data={"mode": "vector", "limit": "3"})
    assert served.hits(form) == by_json[:3]


def test_several_at_once(served: Served) -> None:
    picture = served.files["photo.png"]
    answer = served.http.post(
        "/v1/search",
        files={"image": ("a.png", picture)},
        data={"text": TEXT, "not": "people", "kinds": ["text", "image"], "segments": "true"},
    )
    assert {hit["payload"]["kind"] for hit in served.hits(answer)} == {"text", "image"}
    weighted = served.search(text={"text": TEXT, "weight": 0.01}, image=encoded(picture), mode="vector")
    assert names(weighted)[0] == "photo.png"
    page = served.search(
        document={**encoded(served.files["report.pdf"]), "page": 2}, segments=True, mode="vector", limit=1
    )
    assert page[0]["payload"]["page"] == 2


def test_a_vector_and_feedback(served: Served) -> None:
    path = "/v1/collections/files/points/get"
    (point,) = served.http.post(path, json={"ids": [served.id("photo.png")]}).json()["points"]
    vector = np.frombuffer(base64.b64decode(point["vector"]), "<f4")
    assert names(served.search(vector=vector.tolist(), limit=1)) == ["photo.png"]
    assert served.search(vector=point["vector"]) == served.search(vector=vector.tolist())
    marked = {"relevant": [served.id("sound.wav")], "irrelevant": [served.id("photo.png")]}
    before, after = (
        {hit["payload"]["name"]: hit["similarity"] for hit in served.search(vector=point["vector"], **more)}
        for more in ({}, marked)
    )
    assert after["sound.wav"] > before["sound.wav"]
    assert after["photo.png"] < before["photo.png"]
    plain, moved = (names(served.search(vector=point["vector"], limit=3, **more)) for more in ({}, marked))
    ranks = [hit["before"] for hit in served.search(vector=point["vector"], limit=3, **marked)]
    assert ranks == [plain.index(name) + 1 if name in plain else 0 for name in moved]
    assert all("before" not in hit for hit in served.search(vector=point["vector"]))


@pytest.mark.parametrize(
    ("fields", "status", "said"),
    [
        ({}, 400, "The query is empty"),
        ({"text": "x", "limit": 0}, 400, "parameter: limit"),
        ({"text": "x", "kind": "image"}, 400, "parameter: kind"),
        ({"text": "x", "where": "year >="}, 400, "a value at its end"),
        ({"text": "x", "collection": "nothing"}, 404, "no collection nothing"),
        ({"text": "x", "relevant": ["nobody"]}, 404, "no point nobody"),
        ({"vector": [1.0]}, 400, "vector of dimension 1"),
        ({"vector": "!"}, 400, "cannot be read"),
        ({"image": {"bytes": ""}}, 400, "minLength"),
        ({"image": {"bytes": "AAAA"}}, 400, "image"),
        ({"document": {"bytes": "AAAA"}}, 400, "cannot be read as a PDF"),
        ({"image": {"s3Location": {"uri": "s3://media/none.png"}}}, 400, "does not exist"),
    ],
)
def test_what_is_wrong_is_said(served: Served, fields: dict[str, Any], status: int, said: str) -> None:
    answer = served.http.post("/v1/search", json=fields)
    assert (answer.status_code, said in answer.json()["error"]["message"]) == (status, True), answer.text


def test_a_broken_form(served: Served) -> None:
    headers = {"Content-Type": "multipart/form-data; boundary=x"}
    assert served.http.post("/v1/search", content=b"nothing", headers=headers).status_code == 400
    answer = served.http.post("/v1/search", files={"text": ("a.txt", b"x")})
    assert "no field for files" in answer.json()["error"]["message"]


def test_a_collection_of_another_model(served: Served) -> None:
    facts = {"name": "other", "model": "kilonova-mini", "dimension": 256}
    assert served.http.post("/v1/collections", json=facts).status_code == 200
    answer = served.http.post("/v1/search", json={"text": "x", "collection": "other"})
    assert "kilonova serve --model kilonova-mini" in answer.json()["error"]["message"]
    assert served.http.delete("/v1/collections/other").status_code == 200


def test_nobody_without_a_key(served: Served) -> None:
    for method, path in (("GET", "/v1/collections"), ("POST", "/v1/search"), ("GET", "/v1/items/x/media")):
        assert httpx.request(method, served.server.url + path, trust_env=False).status_code == 401


def media(served: Served, item: str, **headers: str) -> httpx.Response:
    return served.http.get(f"/v1/items/{item.replace('#', '%23')}/media", headers=headers)


def test_media_and_ranges(served: Served) -> None:
    film = served.files["film.mp4"]
    whole = media(served, served.id("film.mp4"))
    assert (whole.content, whole.headers["content-type"]) == (film, "video/mp4")
    part = media(served, served.id("film.mp4"), Range="bytes=100-199")
    assert (part.status_code, part.content) == (206, film[100:200])
    assert part.headers["content-range"] == f"bytes 100-199/{len(film)}"
    assert media(served, served.id("film.mp4"), Range=f"bytes={len(film)}-").status_code == 416
    page = media(served, served.id("page.html"))
    assert (page.headers["content-security-policy"], page.headers["x-content-type-options"]) == ("sandbox", "nosniff")


def test_media_of_s3(served: Served) -> None:
    item, data = "s3://media/served/灯塔.txt#0", "灯塔 lighthouse".encode()
    assert media(served, item).content == data
    part = media(served, item, Range="bytes=0-5")
    assert (part.status_code, part.content.decode()) == (206, "灯塔")
    assert part.headers["content-range"] == f"bytes 0-5/{len(data)}"


def test_only_what_was_indexed_is_handed_out(served: Served) -> None:
    outside = served.home / "secret.txt"
    outside.write_text("secret")
    uris = [str(outside), f"{served.media}/../secret.txt", "s3://media/ready", ""]
    vector = wire.encode_vector(np.ones(256, np.float32))
    points = [{"id": f"p{row}", "vector": vector, "payload": {"uri": uri}} for row, uri in enumerate(uris)]
    assert served.http.post("/v1/collections", json={"name": "sly", "model": "fake", "dimension": 256}).is_success
    assert served.http.post("/v1/collections/sly/points", json={"points": points}).is_success
    for point in points:
        answer = served.http.get(f"/v1/items/{point['id']}/media?collection=sly")
        assert (answer.status_code, "not handed out" in answer.text) == (404, True)
    assert served.http.get("/v1/items/nobody/media?collection=sly").status_code == 404
    served.http.delete("/v1/collections/sly")


def test_the_command_line_works_through_the_server(served: Served, tmp_path: Path) -> None:
    served.search(text="x")  # from here on the server has it open
    owner = json.loads((served.home / "data/collections/files/owner.json").read_text())
    assert (owner["pid"], owner["url"]) == (served.server.process.pid, served.server.url)
    (served.media / "新的.txt").write_text("一只红色的狐狸")
    said = json.loads(served.run("index", str(served.media), "--json"))
    assert (said["added"], said["unchanged"]) == (1, 6)
    assert names(json.loads(served.run("search", "狐狸", "--mode", "keyword", "--json"))) == ["新的.txt"]
    assert names(served.search(text="狐狸", mode="keyword")) == ["新的.txt"]
    (row,) = json.loads(served.run("collections", "list", "--json"))
    assert row["vectors"] == served.http.get("/v1/collections/files").json()["count"]
    (served.media / "新的.txt").unlink()
    assert json.loads(served.run("index", str(served.media), "--json"))["removed"] == 1
    served.variables["KILONOVA_API_KEYS"] = "wrong"
    assert "kilonova: " in served.run("search", "x", status=1)
    served.variables["KILONOVA_API_KEYS"] = ""
    served.variables["KILONOVA_CREDENTIALS"] = f"{ACCESS_KEY}:{SECRET_KEY}"  # signed requests
    assert names(json.loads(served.run("search", "灯塔", "--mode", "keyword", "--json"))) == ["灯塔.txt"]


def test_openapi_tells_of_every_route(served: Served) -> None:
    found = served.http.get("/openapi.json", headers={"Authorization": ""}).json()
    assert found["openapi"] == "3.1.0"
    names = {one["operationId"] for path in found["paths"].values() for one in path.values()}
    assert names == {one.name for one in openapi.OPERATIONS}
    assert set(found["paths"]["/v1/search"]["post"]["requestBody"]["content"]) == {
        "application/json",
        "multipart/form-data",
    }
    text = json.dumps(found)
    schemas = found["components"]["schemas"]
    for reference in {part.split('"')[0] for part in text.split('"#/components/schemas/')[1:]}:
        assert reference in schemas
    assert "not" in schemas["SearchRequest"]["properties"]


def test_a_server_that_is_gone_is_no_obstacle(tmp_path: Path) -> None:
    environment = {**clean_environment(), "KILONOVA_API_KEYS": API_KEY}
    data = tmp_path / "data"
    with Kilonova("--data", str(data)) as server:
        server.wait_ready()
        headers = {"Authorization": f"Bearer {API_KEY}"}
        facts = {"name": "files", "model": "fake", "dimension": 256}
        assert httpx.post(f"{server.url}/v1/collections", json=facts, headers=headers, trust_env=False).is_success
        os.kill(server.process.pid, 9)
        server.process.wait()
    command = [str(BIN / "kilonova"), "collections", "list", "--json", "--data", str(data)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True, timeout=60)
    assert [one["name"] for one in json.loads(done.stdout)] == ["files"]
