"""Unmodified boto3 against a running server: every field, every format, every error."""

import base64
import json
import ssl
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import botocore.exceptions
import httpx
import numpy as np
import pytest
import trustme

from kilonova.media.content import Detail
from kilonova.models.card import Purpose
from kilonova.models.registry import NOVA_IDS
from tests import samples
from tests.servers import NOVA, S3, Kilonova, invoke

MEDIA = Path(__file__).parents[2] / "examples/media"


def inline(data: bytes) -> dict[str, str]:
    return {"bytes": base64.b64encode(data).decode()}


def stored(s3: S3, key: str, data: bytes) -> dict[str, Any]:
    s3.client.put_object(Bucket="media", Key=key, Body=data)
    return {"s3Location": {"uri": f"s3://media/{key}"}}


def vectors(answer: dict[str, Any], *types: str) -> list[np.ndarray]:
    assert [one["embeddingType"] for one in answer["embeddings"]] == list(types)
    found = [np.array(one["embedding"]) for one in answer["embeddings"]]
    assert all(abs(np.linalg.norm(vector) - 1) < 1e-4 for vector in found)
    return found


def test_text_through_the_real_model(mini: Kilonova) -> None:
    client = mini.client()
    beach: dict[str, Any] = {
        "embeddingPurpose": "TEXT_RETRIEVAL",
        "embeddingDimension": 384,
        "text": {"value": "日落海滩"},
    }
    [query] = vectors(invoke(client, **beach), "TEXT")
    similarity = [
        float(query @ vectors(invoke(client, embeddingDimension=384, text={"value": text}), "TEXT")[0])
        for text in ("a beach at sunset", "used car prices", "quarterly tax return")
    ]
    assert similarity[0] == max(similarity)


def test_words_find_pictures_and_sounds_through_the_real_model(mini: Kilonova) -> None:
    client = mini.client()

    def sample(kind: str, name: str) -> np.ndarray:
        path = MEDIA / name
        content = {"format": path.suffix[1:], "source": inline(path.read_bytes())}
        body: dict[str, Any] = {kind: content}
        return vectors(invoke(client, **body), kind.upper())[0]

    index = [sample("image", f"{name}.webp") for name in ("dog", "piano", "sailing")]
    for words, wanted in (("狗", 0), ("a piano", 1), ("日落时海上的帆船", 2)):
        [query] = vectors(invoke(client, embeddingPurpose="IMAGE_RETRIEVAL", text={"value": words}), "TEXT")
        assert int((np.stack(index) @ query).argmax()) == wanted
    sounds = [sample("audio", f"{name}.ogg") for name in ("choir", "drum-roll")]
    for words, wanted in (("people singing", 0), ("drums", 1)):
        [query] = vectors(invoke(client, embeddingPurpose="AUDIO_RETRIEVAL", text={"value": words}), "TEXT")
        assert int((np.stack(sounds) @ query).argmax()) == wanted
    film = {"embeddingMode": "AUDIO_VIDEO_COMBINED", "format": "mp4", "source": inline(samples.video())}
    assert len(vectors(invoke(client, video=film), "AUDIO_VIDEO_COMBINED")[0]) == 3072


@pytest.mark.parametrize(
    "model", [*NOVA_IDS, *(f"arn:aws:bedrock:us-east-1::foundation-model/{m}" for m in NOVA_IDS), "fake"]
)
def test_model_ids(bedrock: Any, model: str) -> None:
    assert len(vectors(invoke(bedrock, model, text={"value": "x"}), "TEXT")[0]) == 3072


def test_dimensions_are_prefixes(bedrock: Any) -> None:
    [full] = vectors(invoke(bedrock, text={"value": "日落海滩"}), "TEXT")
    for dimension in (256, 384, 1024, 3072):
        [short] = vectors(invoke(bedrock, embeddingDimension=dimension, text={"value": "日落海滩"}), "TEXT")
        assert np.abs(full[:dimension] / np.linalg.norm(full[:dimension]) - short).max() < 1e-6


@pytest.mark.parametrize("purpose", Purpose)
def test_purposes(bedrock: Any, purpose: Purpose) -> None:
    vectors(invoke(bedrock, embeddingPurpose=purpose, text={"value": "x"}), "TEXT")


def test_headers(bedrock: Any) -> None:
    body = {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": "CLUSTERING", "text": {"value": "两个字 a b"}},
    }
    answer = bedrock.invoke_model(
        modelId=NOVA, body=json.dumps(body), accept="application/json", contentType="application/json"
    )
    headers = answer["ResponseMetadata"]["HTTPHeaders"]
    assert headers["x-amzn-bedrock-input-token-count"] == "5"
    assert int(headers["x-amzn-bedrock-invocation-latency"]) >= 0
    assert len(answer["ResponseMetadata"]["RequestId"]) == 36
    assert answer["contentType"] == "application/json"


@pytest.mark.parametrize("form", samples.IMAGES)
def test_images_inline_and_from_s3(bedrock: Any, s3: S3, form: str) -> None:
    data = samples.image(form)
    found = []
    for detail in Detail:
        for source in (inline(data), stored(s3, f"图片/photo 1.{form}", data)):
            params = {"format": form, "source": source, "detailLevel": detail}
            found += vectors(invoke(bedrock, image=params), "IMAGE")
    assert np.array_equal(found[0], found[1])
    assert np.array_equal(found[2], found[3])
    assert not np.array_equal(found[0], found[2])
    assert np.array_equal(
        found[0], vectors(invoke(bedrock, image={"format": form, "source": inline(data)}), "IMAGE")[0]
    )


@pytest.mark.parametrize("form", samples.AUDIO_FORMATS)
def test_sounds_inline_and_from_s3(bedrock: Any, s3: S3, form: str) -> None:
    data = samples.audio(form)
    found = [
        vectors(invoke(bedrock, audio={"format": form, "source": source}), "AUDIO")[0]
        for source in (inline(data), stored(s3, f"sound.{form}", data))
    ]
    assert np.array_equal(found[0], found[1])


def test_mp3_by_its_mime_name(bedrock: Any) -> None:
    vectors(invoke(bedrock, audio={"format": "mpeg", "source": inline(samples.audio("mp3"))}), "AUDIO")


@pytest.mark.parametrize("form", samples.VIDEOS)
def test_films_inline_and_from_s3(bedrock: Any, s3: S3, form: str) -> None:
    data = samples.video(form)
    for source in (inline(data), stored(s3, f"film.{form}", data)):
        film = {"format": form, "source": source}
        together = invoke(bedrock, video=film | {"embeddingMode": "AUDIO_VIDEO_COMBINED"})
        [both] = vectors(together, "AUDIO_VIDEO_COMBINED")
        frames, sound = vectors(
            invoke(bedrock, video=film | {"embeddingMode": "AUDIO_VIDEO_SEPARATE"}), "VIDEO", "AUDIO"
        )
        assert not np.array_equal(both, frames)
        assert not np.array_equal(frames, sound)


def test_a_silent_film(bedrock: Any) -> None:
    film = {"format": "three_gp", "source": inline(samples.video("3gp", with_audio=False))}
    vectors(invoke(bedrock, video=film | {"embeddingMode": "AUDIO_VIDEO_COMBINED"}), "AUDIO_VIDEO_COMBINED")
    vectors(invoke(bedrock, video=film | {"embeddingMode": "AUDIO_VIDEO_SEPARATE"}), "VIDEO")


def test_text_from_s3_and_truncation(bedrock: Any, s3: S3) -> None:
    short = stored(s3, "short.txt", "﻿日落海滩".encode())
    from_s3 = invoke(bedrock, text={"source": short})
    assert from_s3 == invoke(bedrock, text={"value": "日落海滩"})
    long = "字" * 10_000
    source = stored(s3, "long.txt", long.encode())
    for mode in ("START", "END"):
        answer = invoke(bedrock, text={"truncationMode": mode, "source": source})
        assert answer["embeddings"][0]["truncatedCharLength"] == 8192
        assert (
            answer["embeddings"][0]["embedding"]
            == invoke(bedrock, text={"value": "字" * 8192})["embeddings"][0]["embedding"]
        )
    with pytest.raises(bedrock.exceptions.ValidationException, match="10000 tokens"):
        invoke(bedrock, text={"truncationMode": "NONE", "source": source})


def test_what_s3_refuses(bedrock: Any, s3: S3, fake: Kilonova) -> None:
    def text(uri: str, **more: str) -> None:
        invoke(bedrock, text={"source": {"s3Location": {"uri": uri, **more}}})

    invalid = bedrock.exceptions.ValidationException
    with pytest.raises(invalid, match="s3://media/nothing does not exist"):
        text("s3://media/nothing")
    with pytest.raises(invalid, match="bucket of s3://no-such-bucket/x does not exist"):
        text("s3://no-such-bucket/x")
    s3.client.put_object(Bucket="media", Key="large.txt", Body=b"a" * 1_000_001)
    with pytest.raises(invalid, match="1,000,001 bytes; at most 1,000,000"):
        text("s3://media/large.txt")
    s3.client.put_object(Bucket="media", Key="long.txt", Body=b"a " * 25_001)
    with pytest.raises(invalid, match="50,002 characters; at most 50,000"):
        text("s3://media/long.txt")
    s3.client.put_object(Bucket="media", Key="binary", Body=samples.image("png"))
    with pytest.raises(invalid, match="is no text"):
        text("s3://media/binary")
    s3.client.put_object(Bucket="media", Key="empty", Body=b"")
    with pytest.raises(invalid, match="is empty"):
        text("s3://media/empty")


def test_objects_under_way_are_bounded(s3: S3) -> None:
    s3.client.put_object(Bucket="media", Key="20mb", Body=samples.image("png") + bytes(20_000_000))
    with Kilonova("--max-mb", "25", environment=s3.environment()) as server:
        client = server.wait_ready().client()
        params = {"format": "png", "source": {"s3Location": {"uri": "s3://media/20mb"}}}

        def one(_: int) -> str:
            try:
                invoke(client, image=params)
            except client.exceptions.ThrottlingException:
                return "throttled"
            return "done"

        with ThreadPoolExecutor(12) as pool:
            outcomes = list(pool.map(one, range(24)))
        assert set(outcomes) == {"done", "throttled"}
        assert one(0) == "done"  # what was held is given back


def test_an_s3_that_may_not_be_read_or_reached(s3: S3) -> None:
    nobody = s3.environment() | {"AWS_ACCESS_KEY_ID": "AKIDNOBODY", "AWS_SECRET_ACCESS_KEY": "secret-of-nobody"}
    nowhere = s3.environment() | {"AWS_ENDPOINT_URL_S3": "http://127.0.0.1:9"}
    for environment, name, said in (
        (nobody, "ValidationException", "may not read"),
        (nowhere, "ServiceUnavailableException", "cannot be reached"),
    ):
        with Kilonova(environment=environment) as server:
            client = server.wait_ready().client()
            with pytest.raises(getattr(client.exceptions, name), match=said):
                invoke(client, text={"source": {"s3Location": {"uri": "s3://media/ready"}}})


@pytest.mark.parametrize(
    ("params", "said"),
    [
        ({}, "exactly one of"),
        ({"text": {"value": "x"}, "embeddingDimension": 100}, "embeddingDimension: 100 is not a valid enum value"),
        ({"text": {"value": "x"}, "embeddingPurpose": "FUN"}, "embeddingPurpose: FUN is not a valid enum value"),
        ({"text": {"value": "x" * 8193}}, "expected maxLength: 8192, actual: 8193"),
        (
            {"image": {"format": "png", "source": inline(b"no image at all")}},
            "no image of a supported format; found: unknown",
        ),
        ({"image": {"format": "png", "source": inline(samples.audio("wav"))}}, "found: wav"),
        ({"image": {"format": "png", "source": inline(samples.image("png")[:40])}}, "cannot be decoded"),
        ({"image": {"format": "png", "source": {"bytes": "aGVsbG8"}}}, "not valid base64"),
        ({"audio": {"format": "mp3", "source": inline(samples.video("mp4", with_audio=False))}}, "no audio stream"),
        ({"audio": {"format": "wav", "source": inline(samples.audio("wav", 31.0, 8_000))}}, "31.0 s"),
        ({"video": {"format": "mp4", "source": inline(samples.audio("m4a"))}}, "no video stream"),
    ],
)
def test_validation(bedrock: Any, params: dict[str, Any], said: str) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException) as caught:
        invoke(bedrock, **params)
    assert said in str(caught.value)
    assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 400


def test_a_body_over_25_megabytes(bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ValidationException, match="at most 25,000,000"):
        bedrock.invoke_model(modelId=NOVA, body=b"x" * 25_000_001)


def test_access_denied(fake: Kilonova) -> None:
    for client in (fake.client(key="AKIDNOBODY"), fake.client(secret="wrong")):
        with pytest.raises(client.exceptions.AccessDeniedException):
            invoke(client, text={"value": "x"})


def test_resource_not_found_and_another_region(fake: Kilonova, bedrock: Any) -> None:
    with pytest.raises(bedrock.exceptions.ResourceNotFoundException, match="Could not resolve"):
        invoke(bedrock, "amazon.titan-embed-text-v2:0", text={"value": "x"})
    with pytest.raises(bedrock.exceptions.ValidationException, match="region eu-west-1"):
        invoke(bedrock, f"arn:aws:bedrock:eu-west-1::foundation-model/{NOVA}", text={"value": "x"})


@pytest.fixture
def own() -> Iterator[Kilonova]:
    """A server whose model may be broken at will."""
    with Kilonova("--queue", "2", "--batch-seconds", "2") as server:
        yield server.wait_ready()


def test_model_error(own: Kilonova) -> None:
    client = own.client()
    for order in ("fake: raise", "fake: crash"):
        with pytest.raises(client.exceptions.ModelErrorException) as caught:
            invoke(client, text={"value": order})
        assert caught.value.response["ResponseMetadata"]["HTTPStatusCode"] == 424
        own.wait_ready()
        invoke(client, text={"value": "fine again"})


def test_model_timeout(own: Kilonova) -> None:
    client = own.client()
    begin = time.monotonic()
    with pytest.raises(client.exceptions.ModelTimeoutException, match="within 2 s"):
        invoke(client, text={"value": "fake: hang"})
    assert time.monotonic() - begin < 4
    own.wait_ready()
    invoke(client, text={"value": "fine again"})


def test_throttling(own: Kilonova) -> None:
    client = own.client()

    def one(text: str) -> str:
        try:
            invoke(client, text={"value": text})
        except client.exceptions.ThrottlingException:
            return "throttled"
        except client.exceptions.ModelTimeoutException:
            return "timed out"
        return "done"

    with ThreadPoolExecutor(12) as pool:
        first = pool.submit(one, "fake: hang")
        time.sleep(0.2)
        outcomes = list(pool.map(one, [f"{index}" for index in range(11)]))
        assert first.result() == "timed out"
    assert outcomes.count("throttled") == 9
    assert outcomes.count("done") == 2  # the queue's two, by the model process that replaced the hanging one


def test_service_quota_exceeded(own: Kilonova) -> None:
    client = own.client(key="AKIDLIMITED", secret="secret-of-the-limited")
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(invoke, client, text={"value": "fake: hang"})
        time.sleep(0.2)
        with pytest.raises(client.exceptions.ServiceQuotaExceededException):
            invoke(client, text={"value": "second"})
        with pytest.raises(client.exceptions.ModelTimeoutException):
            first.result()
    invoke(client, text={"value": "third"})


def test_model_not_ready(tmp_path: Path) -> None:
    late = "import sys, time\nif 'kilonova._process.child' in sys.orig_argv: time.sleep(3)\n"
    (tmp_path / "sitecustomize.py").write_text(late)
    with Kilonova(environment={"PYTHONPATH": str(tmp_path)}) as server:
        client = server.client()
        with pytest.raises(client.exceptions.ModelNotReadyException):
            invoke(client, text={"value": "too early"})
        server.wait_ready()
        invoke(client, text={"value": "now"})


def test_service_unavailable(tmp_path: Path) -> None:
    (tmp_path / "kilonova_mini.py").write_text("")  # hides the weights' distribution from the model process
    with Kilonova(model="kilonova-mini", environment={"PYTHONPATH": str(tmp_path)}) as server:
        client = server.client()
        until = time.monotonic() + 20
        while time.monotonic() < until:
            try:
                invoke(client, text={"value": "x"})
            except client.exceptions.ModelNotReadyException:
                time.sleep(0.1)
            except client.exceptions.ServiceUnavailableException as error:
                assert "cannot be started" in str(error)
                return
        raise AssertionError("no ServiceUnavailableException")


def test_internal_server_error(tmp_path: Path) -> None:
    # a fault of ours: the renderer of answers breaks
    (tmp_path / "sitecustomize.py").write_text(
        "import kilonova.wire.nova as nova\ndef broken(*_): raise ZeroDivisionError\nnova.render_single = broken\n"
    )
    with Kilonova(environment={"PYTHONPATH": str(tmp_path)}) as server:
        client = server.wait_ready().client()
        with pytest.raises(client.exceptions.InternalServerException) as caught:
            invoke(client, text={"value": "秘密的内容"})
        request_id = caught.value.response["ResponseMetadata"]["RequestId"]
        assert request_id in str(caught.value)
        log = server.log.read_text()
        assert request_id in log
        assert "ZeroDivisionError" in log
        assert "秘密" not in log


def test_what_is_not_there(fake: Kilonova) -> None:
    client = fake.client()
    with pytest.raises(botocore.exceptions.ClientError) as caught:
        client.get_async_invoke(invocationArn="arn:aws:bedrock:us-east-1:123456789012:async-invoke/abcdefghijkl")
    assert caught.value.response["Error"]["Code"] == "ValidationException"


def test_a_bearer_key_over_https(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """botocore sends AWS_BEARER_TOKEN_BEDROCK over HTTPS only."""
    authority = trustme.CA()
    certificate = authority.issue_cert("127.0.0.1")
    authority.cert_pem.write_to_path(str(tmp_path / "ca.pem"))
    certificate.private_key_pem.write_to_path(str(tmp_path / "key.pem"))
    certificate.cert_chain_pems[0].write_to_path(str(tmp_path / "cert.pem"))
    monkeypatch.setenv("AWS_CA_BUNDLE", str(tmp_path / "ca.pem"))
    with Kilonova("--tls-cert", str(tmp_path / "cert.pem"), "--tls-key", str(tmp_path / "key.pem")) as server:
        assert server.url.startswith("https://")
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "kilonova-test-key")
        patient: dict[str, Any] = {"retries": {"max_attempts": 5}}
        invoke(server.client(**patient), text={"value": "x"})
        context = ssl.create_default_context(cafile=str(tmp_path / "ca.pem"))
        with httpx.Client(http2=True, verify=context) as modern:
            assert modern.get(f"{server.url}/livez").http_version == "HTTP/2"
        monkeypatch.setenv("AWS_BEARER_TOKEN_BEDROCK", "wrong")
        client = server.client()
        with pytest.raises(client.exceptions.AccessDeniedException, match="bearer key"):
            invoke(client, text={"value": "x"})


def test_control_plane(fake: Kilonova) -> None:
    client = fake.client("bedrock")
    found = client.list_foundation_models(byOutputModality="EMBEDDING")["modelSummaries"]
    assert [one["modelId"] for one in found] == ["fake", *NOVA_IDS]
    assert found[0]["inputModalities"] == ["TEXT", "IMAGE", "AUDIO", "VIDEO"]
    details = client.get_foundation_model(modelIdentifier=NOVA)["modelDetails"]
    assert details["modelArn"] == f"arn:aws:bedrock:us-east-1::foundation-model/{NOVA}"
    assert client.get_foundation_model(modelIdentifier=details["modelArn"])["modelDetails"] == details
    with pytest.raises(client.exceptions.ResourceNotFoundException):
        client.get_foundation_model(modelIdentifier="amazon.titan-embed-text-v2:0")
    with pytest.raises(client.exceptions.ValidationException):
        client.list_foundation_models(byOutputModality="SMELL")


def test_concurrent_clients_get_their_own_answers(fake: Kilonova) -> None:
    client = fake.client()
    texts = [f"text 文字 {index}" for index in range(60)]
    alone = [invoke(client, text={"value": text}, embeddingDimension=256) for text in texts]
    with ThreadPoolExecutor(20) as pool:
        together = list(pool.map(lambda text: invoke(client, text={"value": text}, embeddingDimension=256), texts))
    assert together == alone
