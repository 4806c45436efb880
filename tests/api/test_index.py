"""``Index`` and ``Client``: the same searches, here and over HTTP."""

from __future__ import annotations

import asyncio
import http.server
import threading
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

import kilonova
from kilonova.api.contents import Content
from tests.servers import API_KEY, Kilonova


@pytest.fixture
def index(data: Path, client: kilonova.Client, monkeypatch: pytest.MonkeyPatch) -> Iterator[kilonova.Index]:
    """The same collection, which the server has open."""
    monkeypatch.setenv("KILONOVA_API_KEYS", API_KEY)
    client.count(collection="photos")
    with kilonova.Index("photos", data=data) as made:
        yield made


def names(hits: kilonova.Hits) -> list[str]:
    return [hit.payload["name"] for hit in hits]


def test_an_index_is_searched_by_anything(tmp_path: Path, folder: Path) -> None:
    seen = list[int]()
    with kilonova.Index("all", model="fake", dimension=256, data=tmp_path) as index:
        progress = index.add(folder, facts={"owner": "我"}, on_progress=lambda one: seen.append(one.done))
        assert (progress.added, progress.failed, seen[-1]) == (9, [], progress.total)
        assert index.count() == progress.segments
        for content in (
            folder / "cat.webp",
            kilonova.Audio(folder / "gulls.wav"),
            kilonova.Document(folder / "report.pdf"),
        ):
            assert len(index.search(content, limit=3, where="owner = 我")) == 3
        assert {hit.kind for hit in index.search("海", kinds=["document", "audio"])} == {"document", "audio"}
        assert index.add(folder).segments == 0  # nothing is embedded again
        assert index.count("owner = 我") == 0


def test_like_a_hit_but_not_itself(index: kilonova.Index) -> None:
    (first, *_) = index.search("海上的帆船")
    assert names(kilonova.Hits([first])) == ["sailing.webp"]
    assert "sailing.webp" not in names(index.similar(first))
    assert index.similar(first.id, limit=1)[0].id != first.id
    with pytest.raises(kilonova.NotFound, match="no point nobody"):
        index.similar("nobody")


def test_classes_of_neighbours(tmp_path: Path, folder: Path) -> None:
    with kilonova.Index("classes", data=tmp_path) as index:
        for label in ("cat", "horse", "sailing"):
            index.add(folder / f"{label}.webp", facts={"label": label})
        (found,) = index.classify(kilonova.Image(folder / "cat.webp"), limit=3)
        assert (found.label, next(iter(found.shares))) == ("cat", "cat")
        assert sum(found.shares.values()) == pytest.approx(1.0)
        with pytest.raises(kilonova.InvalidInput, match="No indexed file has a colour"):
            index.classify("a", label="colour")


def test_copies(tmp_path: Path, folder: Path) -> None:
    with kilonova.Index("one", model="fake", dimension=256, data=tmp_path) as index:
        index.add(folder / "cat.webp")
        assert index.copy(name="two") == 1
        with pytest.raises(kilonova.AlreadyExists):
            index.copy(name="two")


def test_paths_that_are_not_there_make_nothing(tmp_path: Path) -> None:
    with kilonova.Index("none", model="fake", data=tmp_path) as index:
        for path in ("", tmp_path / "nowhere"):
            with pytest.raises(kilonova.InvalidInput):
                index.add(path)
        assert index.store.collections() == []
        with pytest.raises(kilonova.NotFound):
            index.search("a")


@pytest.mark.parametrize("wrong", [{"mode": "words"}, {"fusion": "sum"}, {"kinds": ["sound"]}, {"where": "year >"}])
def test_wrong_options_say_what_is_right(index: kilonova.Index, wrong: dict[str, object]) -> None:
    with pytest.raises(kilonova.InvalidInput):
        index.search("a", **wrong)  # type: ignore[arg-type]


def test_a_similarity_is_refused_where_there_is_none(index: kilonova.Index) -> None:
    with pytest.raises(kilonova.InvalidInput, match="have no similarity"):
        index.search("harbour", mode="keyword", min_similarity=0.1)
    assert index.search("harbour", min_similarity=2.0) == []


def test_numbers_out_of_bounds_and_texts_for_lists(index: kilonova.Index, tmp_path: Path) -> None:
    for wrong in ({"limit": 0}, {"limit": -1}, {"diversity": 5.0}, {"unlike": "people"}, {"kinds": "image"}):
        with pytest.raises(kilonova.InvalidInput):
            index.search("a", **wrong)  # type: ignore[arg-type]
    with kilonova.Index("new", model="fake", dimension=5, data=tmp_path) as new:
        (tmp_path / "a.txt").write_text("a")
        for options in ({"characters": 0}, {"seconds": 0.0}, {}):  # the last one for its dimension
            with pytest.raises(kilonova.InvalidInput):
                new.add(tmp_path / "a.txt", **options)  # type: ignore[arg-type]
        assert new.store.collections() == []


def test_another_model_than_the_collections_is_refused(index: kilonova.Index, data: Path) -> None:
    with (
        kilonova.Index("photos", model="fake", data=data) as other,
        pytest.raises(kilonova.InvalidInput, match="holds"),
    ):
        other.search("a")


def test_an_index_that_nobody_holds_lets_its_collection_go(tmp_path: Path, folder: Path) -> None:
    index = kilonova.Index("cell", model="fake", dimension=256, data=tmp_path)
    index.add(folder / "cat.webp")
    index = kilonova.Index("cell", data=tmp_path)  # as a notebook's cell that runs again
    assert index.count() == 1
    index.close()
    index.close()


def test_callbacks_run_in_the_callers_thread_and_their_errors_are_plain(tmp_path: Path, folder: Path) -> None:
    with kilonova.Index("called", model="fake", dimension=256, data=tmp_path) as index:
        threads = set[int]()
        index.add(folder / "Pictures", on_progress=lambda _: threads.add(threading.get_ident()))
        assert threads == {threading.get_ident()}

        def fail(_: kilonova.Progress) -> None:
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            index.add(folder, on_progress=fail)
        assert index.count() >= 3


def test_only_their_owner_reads_the_data(tmp_path: Path) -> None:
    with kilonova.Index("mine", model="fake", data=tmp_path / "data"):
        assert (tmp_path / "data").stat().st_mode & 0o077 == 0


def test_cards_and_errors_cross_to_other_processes(index: kilonova.Index) -> None:
    import pickle

    from kilonova.models.cards import EMBEDDING_GEMMA_2
    from kilonova.stores.owner import Owned

    assert pickle.loads(pickle.dumps(EMBEDDING_GEMMA_2)) == EMBEDDING_GEMMA_2
    error = pickle.loads(pickle.dumps(Owned("照片", 7, "http://127.0.0.1:1")))
    assert (error.url, "照片" in str(error)) == ("http://127.0.0.1:1", True)


def test_hits_show_themselves(tmp_path: Path, folder: Path) -> None:
    with kilonova.Index("shown", model="fake", dimension=256, data=tmp_path) as index:
        index.add(folder / "cat.webp", folder / "gulls.wav", folder / "waves.mp4", folder / "report.pdf")
        hits = index.search("anything", limit=10)
    shown = hits._repr_html_()
    assert shown.count("<tr>") == 4
    assert "data:image/jpeg" in shown
    assert "data:audio/wav" in shown
    assert "data:video/mp4" in shown
    assert "cat.webp" in hits[0]._repr_html_() + shown
    assert kilonova.Hits()._repr_html_() == "<p>Nothing was found.</p>"


def test_a_name_is_text_in_html() -> None:
    hit = kilonova.Hit("a", 1.0, {"name": "<script>alert(1)</script>", "snippet": "<b>"})
    assert "<script>" not in hit._repr_html_()
    assert "<b>&lt;" in hit._repr_html_()


def test_frames_of_pandas(index: kilonova.Index) -> None:
    import pandas

    frame = index.search("帆船").to_pandas()
    assert isinstance(frame, pandas.DataFrame)
    assert list(frame["rank"]) == [1, 2, 3]
    assert frame["name"][0] == "sailing.webp"
    assert isinstance(index.search("帆船")[:2], kilonova.Hits)
    odd = kilonova.Hits([kilonova.Hit("a", 1.0, {"score": 9, "kind": "audio", "uri": "/etc/hostname"})])
    assert list(odd.to_pandas()["score"]) == [1.0]
    assert "/etc" not in odd._repr_html_()  # it says no second to play from
    assert list(kilonova.Hits().to_pandas().columns)[:2] == ["rank", "id"]


def test_a_client_finds_what_the_index_finds(index: kilonova.Index, client: kilonova.Client, folder: Path) -> None:
    for contents in (["海上的帆船"], [kilonova.Image(folder / "cat.webp")], ["a horse", folder / "horse.webp"]):
        here, there = index.search(*contents), client.search(*contents, collection="photos")
        assert [hit.id for hit in here] == [hit.id for hit in there]
        assert [hit.score for hit in here] == pytest.approx([hit.score for hit in there], abs=1e-4)
    assert names(client.similar(here[0], collection="photos")) == names(index.similar(here[0]))
    (one,), (other,) = (
        index.classify("帆船", label="owner"),
        client.classify("帆船", label="owner", collection="photos"),
    )
    assert (one.label, dict(one.shares)) == (other.label, dict(other.shares))
    assert client.count("owner = me", collection="photos") == 3
    assert [one["name"] for one in client.collections()] == ["photos", "照片"]
    assert client.media(here[0], collection="photos") == (folder / "Pictures" / "horse.webp").read_bytes()


def test_a_client_embeds_what_an_embedder_does(client: kilonova.Client, folder: Path) -> None:
    contents: list[Content] = [
        "海上的帆船",
        kilonova.Image(folder / "cat.webp"),
        kilonova.Image(folder / "cat.webp", "DOCUMENT_IMAGE"),
    ]
    contents += [kilonova.Audio(folder / "gulls.wav"), folder / "waves.mp4"]
    seen = list[int]()
    there = client.embed_many(contents, dimension=384, purpose="CLUSTERING", on_progress=seen.append)
    with kilonova.Embedder() as embedder:
        here = embedder.embed_many(contents, dimension=384, purpose="CLUSTERING")
    assert seen == [1, 2, 3, 4, 5]
    assert (here * there).sum(axis=1) == pytest.approx(np.ones(5), abs=1e-4)


def test_await_is_the_same(server: Kilonova, client: kilonova.Client) -> None:
    async def both() -> tuple[np.ndarray, kilonova.Hits]:
        async with kilonova.AsyncClient(server.url, api_key=API_KEY) as other:
            vector, hits = await asyncio.gather(other.embed("帆船"), other.search("帆船", collection="photos"))
            return vector, hits

    vector, hits = asyncio.run(both())
    assert np.allclose(vector, client.embed("帆船"), atol=1e-6)
    assert hits == client.search("帆船", collection="photos")


def test_errors_come_back_as_themselves(client: kilonova.Client, server: Kilonova) -> None:
    with pytest.raises(kilonova.NotFound):
        client.search("a", collection="nobody")
    with pytest.raises(kilonova.NotFound):
        client.similar("nobody", collection="photos")
    with pytest.raises(kilonova.InvalidInput):
        client.embed("a", dimension=100)
    with kilonova.Client(server.url, api_key="wrong") as stranger, pytest.raises(kilonova.AccessDenied):
        stranger.collections()
    with kilonova.Client("http://127.0.0.1:9", api_key="k", retries=0) as lost, pytest.raises(kilonova.Unavailable):
        lost.collections()
    with pytest.raises(kilonova.InvalidInput, match="Not a server URL"):
        kilonova.Client("localhost:8000")


def test_busy_servers_are_asked_again() -> None:
    answers = [(429, "ThrottlingException"), (503, "ServiceUnavailableException"), (200, "")]
    seen: list[object] = []

    class Busy(http.server.BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            status, code = answers[min(len(seen), 2)]
            seen.append(self.client_address)
            body = (
                b'{"collections": []}'
                if status == 200
                else b'{"error": {"code": "%s", "message": "m"}}' % code.encode()
            )
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Say nothing."""

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Busy) as busy:
        threading.Thread(target=busy.serve_forever, daemon=True).start()
        url = f"http://127.0.0.1:{busy.server_address[1]}"
        with kilonova.Client(url, api_key="k", retries=1) as impatient, pytest.raises(kilonova.Unavailable):
            impatient.collections()
        seen.clear()
        with kilonova.Client(url, api_key="k", retries=3) as patient:
            assert patient.collections() == []
        busy.shutdown()
    assert len(seen) == 3
    assert len(set(seen)) == 1  # over one connection
