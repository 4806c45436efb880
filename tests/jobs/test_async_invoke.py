"""Asynchronous invocations as boto3 sees them: a real server, a real S3."""

from __future__ import annotations

import json
import time
from typing import Any

import numpy as np
import pytest

from tests import samples
from tests.servers import NOVA, S3, Kilonova, start_segmented

BUCKET = "media"


def start(client: Any, params: dict[str, Any], prefix: str = "out", **options: Any) -> str:
    return start_segmented(client, f"s3://{BUCKET}/{prefix}", {"embeddingDimension": 256, **params}, **options)


def wait(client: Any, arn: str, seconds: float = 60.0) -> dict[str, Any]:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        job: dict[str, Any] = client.get_async_invoke(invocationArn=arn)
        if job["status"] != "InProgress":
            return job
        time.sleep(0.1)
    raise AssertionError(f"{arn} is still in progress")


def source(key: str) -> dict[str, Any]:
    return {"source": {"s3Location": {"uri": f"s3://{BUCKET}/{key}"}}}


def lines(s3: S3, job: dict[str, Any], name: str) -> list[dict[str, Any]]:
    folder = job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"].removeprefix(f"s3://{BUCKET}/")
    body = s3.client.get_object(Bucket=BUCKET, Key=f"{folder}/{name}")["Body"].read()
    return [json.loads(line) for line in body.decode().splitlines()] if name.endswith("l") else [json.loads(body)]


def test_a_text_in_two_scripts(bedrock: Any, s3: S3) -> None:
    text = "The quick brown fox. " * 80 + "今天天气很好，我们去散步。" * 200
    s3.client.put_object(Bucket=BUCKET, Key="long.txt", Body=text.encode())
    arn = start(bedrock, {"text": {**source("long.txt"), "segmentationConfig": {"maxLengthChars": 800}}})
    job = wait(bedrock, arn)
    assert job["status"] == "Completed", job
    assert job["outputDataConfig"]["s3OutputDataConfig"]["s3Uri"] == f"s3://{BUCKET}/out/{arn[-12:]}"
    assert job["endTime"] >= job["submitTime"]
    found = lines(s3, job, "embedding-text.jsonl")
    places = [(line["segmentMetadata"]["segmentStartCharPosition"], line["segmentMetadata"]["segmentEndCharPosition"])
              for line in found]  # fmt: skip
    assert [end for _, end in places[:-1]] == [begin for begin, _ in places[1:]]
    assert (places[0][0], places[-1][1]) == (0, len(text))
    for line, (begin, end) in zip(found, places, strict=True):
        body = {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {
            "embeddingPurpose": "GENERIC_INDEX", "embeddingDimension": 256,
            "text": {"truncationMode": "NONE", "value": text[begin:end]}}}  # fmt: skip
        single = json.loads(bedrock.invoke_model(modelId=NOVA, body=json.dumps(body))["body"].read())
        assert np.allclose(line["embedding"], single["embeddings"][0]["embedding"], atol=1e-6)
    (result,) = lines(s3, job, "segmented-embedding-result.json")
    assert result["embeddingDimension"] == 256
    assert result["sourceFileUri"] == f"s3://{BUCKET}/long.txt"
    (entry,) = result["embeddingResults"]
    assert entry["status"] == "SUCCESS"
    assert entry["outputFileUri"].endswith(f"{arn[-12:]}/embedding-text.jsonl")
    (manifest,) = lines(s3, job, "manifest.json")
    assert manifest["outputFiles"][0]["segments"] == len(found)


@pytest.mark.parametrize(
    ("mode", "files"),
    [
        ("AUDIO_VIDEO_COMBINED", {"embedding-audio-video.jsonl": 3}),
        ("AUDIO_VIDEO_SEPARATE", {"embedding-video.jsonl": 3, "embedding-audio.jsonl": 3}),
    ],
)
def test_a_film(bedrock: Any, s3: S3, mode: str, files: dict[str, int]) -> None:
    s3.client.put_object(Bucket=BUCKET, Key="film.mp4", Body=samples.video("mp4", 12.0))
    job = wait(bedrock, start(bedrock, {"video": {**source("film.mp4"), "format": "mp4", "embeddingMode": mode}}))
    assert job["status"] == "Completed", job
    for name, count in files.items():
        found = lines(s3, job, name)
        assert [line["segmentMetadata"]["segmentStartSeconds"] for line in found] == [0.0, 5.0, 10.0][:count]
        assert all(len(line["embedding"]) == 256 for line in found)
    (result,) = lines(s3, job, "segmented-embedding-result.json")
    assert len(result["embeddingResults"]) == len(files)


def test_a_sound_and_an_image(bedrock: Any, s3: S3) -> None:
    s3.client.put_object(Bucket=BUCKET, Key="tone.mp3", Body=samples.audio("mp3", 7.0))
    s3.client.put_object(Bucket=BUCKET, Key="a.png", Body=samples.image("png"))
    sound = start(
        bedrock, {"audio": {**source("tone.mp3"), "format": "mp3", "segmentationConfig": {"durationSeconds": 2}}}
    )
    image = start(bedrock, {"image": {**source("a.png"), "format": "png"}})
    assert len(lines(s3, wait(bedrock, sound), "embedding-audio.jsonl")) == 4
    assert len(lines(s3, wait(bedrock, image), "embedding-image.json")[0]["embedding"]) == 256


@pytest.mark.parametrize(
    ("key", "kind", "said"),
    [
        ("missing.txt", "text", "does not exist"),
        ("rubbish.txt", "text", "is no text in any encoding"),
        ("empty.txt", "text", "is empty"),
        ("latin.txt", "video", "cannot be opened"),
        ("latin.txt", "image", "no image of a supported format"),
    ],
)
def test_a_file_that_cannot_be_embedded_fails_the_job(bedrock: Any, s3: S3, key: str, kind: str, said: str) -> None:
    s3.client.put_object(Bucket=BUCKET, Key="latin.txt", Body="café au lait à côté".encode("latin-1") * 50)
    s3.client.put_object(Bucket=BUCKET, Key="rubbish.txt", Body=bytes(range(32)) * 50)
    s3.client.put_object(Bucket=BUCKET, Key="empty.txt", Body=b"")
    form = {} if kind == "text" else {"format": "mp4" if kind == "video" else "png"}
    job = wait(bedrock, start(bedrock, {kind: {**source(key), **form}}))
    assert job["status"] == "Failed"
    assert said in job["failureMessage"]


def test_a_token_makes_a_start_idempotent(bedrock: Any, s3: S3) -> None:
    s3.client.put_object(Bucket=BUCKET, Key="short.txt", Body="你好".encode())
    params = {"text": source("short.txt")}
    first = start(bedrock, params, clientRequestToken="token-1")
    assert start(bedrock, params, clientRequestToken="token-1") == first
    with pytest.raises(bedrock.exceptions.ConflictException):
        start(bedrock, {**params, "embeddingDimension": 384}, clientRequestToken="token-1")
    assert wait(bedrock, first)["clientRequestToken"] == "token-1"


def test_lists_have_pages_filters_and_both_orders(bedrock: Any, s3: S3) -> None:
    s3.client.put_object(Bucket=BUCKET, Key="short.txt", Body="你好".encode())
    started = [start(bedrock, {"text": source("short.txt")}, prefix=f"page/{index}") for index in range(5)]
    for arn in started:
        wait(bedrock, arn)
    begin = bedrock.get_async_invoke(invocationArn=started[0])["submitTime"]
    pages = bedrock.get_paginator("list_async_invokes").paginate(
        sortOrder="Ascending", PaginationConfig={"PageSize": 2}
    )  # fmt: skip
    ascending = [job["invocationArn"] for page in pages for job in page["asyncInvokeSummaries"]]
    assert ascending[-5:] == started
    newest = bedrock.list_async_invokes(maxResults=3)["asyncInvokeSummaries"]
    assert [job["invocationArn"] for job in newest] == started[:-4:-1]
    assert all(job["status"] == "Completed" for job in bedrock.list_async_invokes(
        statusEquals="Completed")["asyncInvokeSummaries"])  # fmt: skip
    earlier = bedrock.list_async_invokes(submitTimeBefore=begin)["asyncInvokeSummaries"]
    assert not {job["invocationArn"] for job in earlier} & set(started)
    token = bedrock.list_async_invokes(maxResults=2)["nextToken"]
    with pytest.raises(bedrock.exceptions.ValidationException, match="other filters"):
        bedrock.list_async_invokes(nextToken=token, statusEquals="Failed")


@pytest.mark.parametrize(
    ("arn", "said"),
    [
        ("arn:aws:bedrock:us-east-1:000000000000:async-invoke/abcdefghijkl", "no asynchronous invocation"),
        ("arn:aws:bedrock:eu-west-1:000000000000:async-invoke/abcdefghijkl", "no asynchronous invocation"),
    ],
)
def test_unknown_invocations(bedrock: Any, arn: str, said: str) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException, match=said):
        bedrock.get_async_invoke(invocationArn=arn)


def test_metrics_count_jobs(fake: Kilonova) -> None:
    page = fake.get("/metrics").decode()
    assert 'kilonova_jobs{state="completed"}' in page
    assert "kilonova_jobs_oldest_waiting_seconds" in page
    assert 'kilonova_job_segments_total{result="success",type="TEXT"}' in page
