"""Several models in one server: the id that a client sends chooses."""

from __future__ import annotations

import json
import time
from collections.abc import Iterator
from typing import Any

import httpx
import pytest

from tests.servers import API_KEY, NOVA, S3, Kilonova, invoke, start_segmented

HEADERS = {"authorization": f"Bearer {API_KEY}"}


@pytest.fixture(scope="module")
def server(s3: S3) -> Iterator[Kilonova]:
    with Kilonova("--model", "kilonova-mini", environment=s3.environment()) as server:
        yield server.wait_ready()


def vector(server: Kilonova, model: str, dimension: int = 256) -> list[float]:
    text = {"value": "日落海滩", "truncationMode": "NONE"}
    answer = invoke(server.client(), model, text=text, embeddingDimension=dimension)
    found: list[float] = answer["embeddings"][0]["embedding"]
    return found


def test_the_model_id_chooses(server: Kilonova) -> None:
    assert vector(server, NOVA) == vector(server, "fake") != vector(server, "kilonova-mini")
    client = server.client()
    with pytest.raises(client.exceptions.ResourceNotFoundException, match="Served: fake, kilonova-mini"):
        invoke(client, "embeddinggemma-2", text={"value": "x", "truncationMode": "NONE"})


def test_openai_s_route_chooses_too(server: Kilonova) -> None:
    def embeddings(model: str) -> Any:
        body = {"model": model, "input": "日落海滩", "dimensions": 256}
        return httpx.post(f"{server.url}/v1/embeddings", json=body, headers=HEADERS).json()["data"][0]["embedding"]

    assert embeddings("fake") == pytest.approx(vector(server, "fake"), abs=1e-6)
    assert embeddings("kilonova-mini") == pytest.approx(vector(server, "kilonova-mini"), abs=1e-6)
    listed = httpx.get(f"{server.url}/v1/models", headers=HEADERS).json()["data"]
    assert {"fake", "kilonova-mini", NOVA} <= {one["id"] for one in listed}


def test_readiness_and_metrics_name_each(server: Kilonova) -> None:
    found = json.loads(server.get("/readyz"))
    assert found["models"] == {"fake": "ready", "kilonova-mini": "ready"}
    page = server.get("/metrics").decode()
    for model in ("fake", "kilonova-mini"):
        assert f'kilonova_batch_size_count{{modality="text",model="{model}"}}' in page


def test_collections_are_searched_with_their_own_model(server: Kilonova) -> None:
    def call(path: str, body: Any) -> httpx.Response:
        return httpx.post(f"{server.url}/v1/{path}", json=body, headers=HEADERS, timeout=30)

    for model in ("fake", "kilonova-mini"):
        made = {"name": model, "model": model, "dimension": 256}
        assert call("collections", made).status_code < 300
        body = {"model": model, "input": ["日落海滩", "狗叫声"], "dimensions": 256}
        vectors = httpx.post(f"{server.url}/v1/embeddings", json=body, headers=HEADERS).json()["data"]
        points = [
            {"id": word, "vector": one["embedding"], "payload": {"uri": word, "kind": "text"}}
            for word, one in zip(("beach", "dog"), vectors, strict=True)
        ]
        assert call(f"collections/{model}/points", {"points": points}).status_code < 300
    found = call("search", {"collection": "kilonova-mini", "text": ["狗叫声"]}).json()["hits"]
    assert found[0]["id"] == "dog"


def test_a_job_runs_on_the_model_that_it_names(server: Kilonova, s3: S3) -> None:
    s3.client.put_object(Bucket="media", Key="words.txt", Body="日落海滩".encode())
    client = server.client()
    found = {}
    for model in (NOVA, "fake", "kilonova-mini"):
        text = {"source": {"s3Location": {"uri": "s3://media/words.txt"}}}
        arn = start_segmented(client, "s3://media/out", {"embeddingDimension": 256, "text": text}, modelId=model)
        until = time.monotonic() + 60
        while (job := client.get_async_invoke(invocationArn=arn))["status"] == "InProgress":
            assert time.monotonic() < until
            time.sleep(0.1)
        assert job["status"] == "Completed", job
        key = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix("s3://media/")
        body = s3.client.get_object(Bucket="media", Key=f"{key}/embedding-text.jsonl")["Body"].read()
        found[model] = json.loads(body)["embedding"]
    assert found[NOVA] == found["fake"] != found["kilonova-mini"]
    assert found["kilonova-mini"] == pytest.approx(vector(server, "kilonova-mini", 256), abs=1e-6)
