"""A folder with files, an index of it, and a server that has both, for everything in this folder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

import kilonova
from tests import samples
from tests.media.pdfs import lines, paged
from tests.servers import API_KEY, Kilonova


@pytest.fixture(scope="session")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The files that examples name; the photographs are those of ``examples/media``."""
    media = Path(__file__).parents[2] / "examples" / "media"
    made = tmp_path_factory.mktemp("api")
    pictures = made / "Pictures"
    pictures.mkdir()
    (made / "图片").symlink_to("Pictures")
    for name in ("sailing.webp", "horse.webp", "cat.webp"):
        for path in (made / name, pictures / name):
            path.write_bytes((media / name).read_bytes())
    (made / "gulls.wav").write_bytes(samples.audio("wav", 2.0))
    (made / "waves.mp4").write_bytes(samples.video("mp4", 2.0))
    (made / "report.pdf").write_bytes(paged(lines(b"(first page)"), lines(b"(second page)")))
    return made


@pytest.fixture(scope="session")
def data(folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A data folder with the collections ``photos`` and ``照片``, by kilonova-mini."""
    made = tmp_path_factory.mktemp("data")
    for name, owner in (("photos", "me"), ("照片", "我")):
        with kilonova.Index(name, data=made) as index:
            assert index.add(folder / "Pictures", facts={"owner": owner}).failed == []
    return made


@pytest.fixture(scope="session")
def server(data: Path) -> Iterator[Kilonova]:
    with Kilonova("--data", str(data), model="kilonova-mini") as started:
        yield started.wait_ready()


@pytest.fixture
def client(server: Kilonova) -> Iterator[kilonova.Client]:
    with kilonova.Client(server.url, api_key=API_KEY) as made:
        yield made
