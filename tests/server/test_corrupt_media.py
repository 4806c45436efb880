"""Nothing malformed is a 500: good files of every format are mutated and sent through the whole application."""

import asyncio
import base64
import json
import random
from collections import Counter
from dataclasses import replace
from pathlib import Path

import httpx
import pytest

from kilonova.credentials.credential import Credential
from kilonova.jobs.service import JobSettings
from kilonova.media.content import Modality
from kilonova.server.app import ServerSettings, create_app
from tests import samples
from tests.servers import NOVA

INPUTS = 2_100
PATH = f"/model/{NOVA.replace(':', '%3A')}/invoke"


def originals() -> list[tuple[Modality, str, bytes]]:
    found = [(Modality.IMAGE, form, samples.image(form)) for form in samples.IMAGES]
    found += [(Modality.AUDIO, form, samples.audio(form, 0.3)) for form in samples.AUDIO_FORMATS]
    return found + [(Modality.VIDEO, form, samples.video(form, 0.5, size=(64, 48))) for form in samples.VIDEOS]


def mutate(data: bytes, chance: random.Random) -> bytes:
    """Cut, overwrite, insert, repeat, swap or flip somewhere; headers more often than the rest."""
    changed = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 8))):
        reach = chance.choice((32, 256, len(changed)))
        place = chance.randrange(max(1, min(len(changed), reach)))
        length = chance.choice((1, 4, 64))
        match chance.randrange(7):
            case 0:
                del changed[max(1, place) :]
            case 1:
                changed[place : place + length] = chance.randbytes(length)
            case 2:
                changed[place:place] = chance.randbytes(length)
            case 3:
                del changed[place : place + length]
            case 4:
                changed[place : place + length] = chance.choice((b"\x00", b"\xff", b"\x7f")) * length
            case 5:
                changed += changed[place : place + 4096]
            case _ if changed:
                changed[min(place, len(changed) - 1)] ^= 1 << chance.randrange(8)
    return bytes(changed) or b"\x00"


def request(modality: Modality, form: str, data: bytes) -> bytes:
    params = {"format": form, "source": {"bytes": base64.b64encode(data).decode()}}
    body = {"embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256, str(modality): params}
    return json.dumps({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": body}).encode()


@pytest.mark.timeout(240)
def test_mutated_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    chance = random.Random(20_261_122)
    files = originals()
    settings = ServerSettings(["fake"], [Credential("tests", api_key="key")], JobSettings(tmp_path))

    async def run() -> Counter[tuple[str, int]]:
        app = create_app(replace(settings, queue=64))
        outcomes: Counter[tuple[str, int]] = Counter()
        transport = httpx.ASGITransport(app)
        headers = {"authorization": "Bearer key"}
        async with (
            app.router.lifespan_context(app),
            httpx.AsyncClient(transport=transport, base_url="http://x") as client,
        ):
            await app.state.engines.first.ready()

            async def work(share: list[tuple[Modality, str, bytes]]) -> None:
                for modality, form, data in share:
                    answer = await client.post(PATH, content=request(modality, form, data), headers=headers)
                    outcomes[str(modality), answer.status_code] += 1
                    if answer.status_code == 400:
                        assert answer.headers["x-amzn-errortype"] == "ValidationException"
                        assert len(answer.json()["message"]) > 20
                    else:
                        assert answer.status_code == 200, (form, answer.text)

            every = [(m, f, mutate(d, chance)) for m, f, d in (files * (INPUTS // len(files) + 1))[:INPUTS]]
            await asyncio.gather(*(work(every[index::4]) for index in range(4)))
        return outcomes

    outcomes = asyncio.run(run())
    with capsys.disabled():
        print(f"\nmutated files: {dict(outcomes)}")
    assert sum(outcomes.values()) == INPUTS
    for modality in (Modality.IMAGE, Modality.AUDIO, Modality.VIDEO):
        assert outcomes[str(modality), 400] > 20  # the mutations do break files, and are noticed
