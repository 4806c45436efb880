"""LiteLLM and LangChain with their own Nova code, and OpenAI's client, against a running server."""

import base64
import json
import struct
from collections.abc import Iterator
from typing import Any, cast

import httpx
import numpy as np
import openai
import pytest

from tests import samples
from tests.servers import ACCESS_KEY, API_KEY, NOVA, SECRET_KEY, Kilonova, invoke


@pytest.fixture
def aws(fake: Kilonova, monkeypatch: pytest.MonkeyPatch) -> Kilonova:
    """The variables of `kilonova env`, for code that reads only the environment."""
    for name, value in fake.environment().items():
        monkeypatch.setenv(name, value)
    return fake


def data_url(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def test_litellm(aws: Kilonova) -> None:
    import litellm as package

    litellm: Any = package  # whose functions have the types of coroutines, too

    client = aws.client()
    here = invoke(client, embeddingDimension=256, text={"value": "日落海滩"})["embeddings"][0]["embedding"]
    options: dict[str, Any] = {
        "model": f"bedrock/{NOVA}",
        "aws_region_name": "us-east-1",
        "aws_bedrock_runtime_endpoint": aws.url,
    }
    answer = litellm.embedding(input=["日落海滩", "a dog"], dimensions=256, **options)
    assert len(answer.data) == 2
    assert np.allclose(answer.data[0]["embedding"], here)
    for kind, data in (
        ("image/png", samples.image("png")),
        ("audio/wav", samples.audio("wav")),
        ("audio/mpeg", samples.audio("mp3")),
        ("video/mp4", samples.video("mp4")),
    ):
        answer = litellm.embedding(input=[data_url(kind, data)], dimensions=1024, **options)
        assert len(answer.data[0]["embedding"]) == 1024
    with pytest.raises(litellm.BadRequestError, match="embeddingDimension"):
        litellm.embedding(input=["x"], dimensions=100, **options)


def test_langchain(aws: Kilonova) -> None:
    from langchain_aws import BedrockEmbeddings

    embeddings = BedrockEmbeddings(model_id=NOVA, region_name="us-east-1", dimensions=384)
    here = invoke(aws.client(), embeddingDimension=384, text={"value": "日落海滩"})["embeddings"][0]["embedding"]
    assert np.allclose(embeddings.embed_query("日落海滩"), here)
    assert np.allclose(embeddings.embed_documents(["日落海滩", "x"])[0], here)
    image = embeddings.embed_image(data_url("image/png", samples.image("png")))
    assert len(image) == 384


@pytest.fixture
def client(fake: Kilonova) -> Iterator[openai.OpenAI]:
    with openai.OpenAI(base_url=f"{fake.url}/v1", api_key=API_KEY, max_retries=0) as found:
        yield found


def test_openai(fake: Kilonova, client: openai.OpenAI) -> None:
    here = invoke(fake.client(), embeddingDimension=256, text={"value": "日落海滩"})["embeddings"][0]["embedding"]
    for encoding in ("float", "base64"):  # the client asks for base64 itself when nothing is said
        answer = client.embeddings.create(
            model="fake",
            input=["日落海滩", "x"],
            dimensions=256,
            encoding_format=encoding,  # type: ignore[arg-type]
        )
        found = answer.data[0].embedding
        if isinstance(found, str):
            found = list(struct.unpack("<256f", base64.b64decode(found)))
        assert np.allclose(found, here)
        assert answer.usage.prompt_tokens == 5
        assert [one.index for one in answer.data] == [0, 1]
    assert len(client.embeddings.create(model=NOVA, input="x").data[0].embedding) == 3072
    retrieval = client.embeddings.create(
        model="fake", input="日落海滩", dimensions=256, extra_body={"embeddingPurpose": "TEXT_RETRIEVAL"}
    )
    assert not np.allclose(retrieval.data[0].embedding, here)
    assert next(iter(client.models.list())).id == "fake"


def test_openai_refuses(client: openai.OpenAI) -> None:
    for given, said in (
        ([1, 2, 3], "Token ids"),
        ([[1, 2]], "Token ids"),
        ("", "empty string"),
        ([], "input"),
    ):
        with pytest.raises(openai.BadRequestError, match=said):
            client.embeddings.create(model="fake", input=given)  # type: ignore[arg-type]
    with pytest.raises(openai.BadRequestError, match="512 is no dimension"):
        client.embeddings.create(model="fake", input="x", dimensions=512)
    with pytest.raises(openai.BadRequestError, match="encoding_format"):
        client.embeddings.create(model="fake", input="x", encoding_format=cast(Any, "hex"))  # type: ignore[call-overload]
    with pytest.raises(openai.NotFoundError, match="Served: fake"):
        client.embeddings.create(model="text-embedding-3-small", input="x")
    with pytest.raises(openai.AuthenticationError):
        client.with_options(api_key="wrong").embeddings.create(model="fake", input="x")


def test_many_inputs_of_one_request(client: openai.OpenAI) -> None:
    """More than the queue holds."""
    answer = client.embeddings.create(model="fake", input=[f"文字 {index}" for index in range(1000)], dimensions=256)
    assert [one.index for one in answer.data] == list(range(1000))
    alone = client.embeddings.create(model="fake", input="文字 999", dimensions=256)
    assert answer.data[999].embedding == alone.data[0].embedding


def test_unknown_paths(fake: Kilonova) -> None:
    answer = httpx.get(f"{fake.url}/v1/completions")
    assert answer.status_code == 404
    assert json.loads(answer.content)["error"]["code"] == "UnknownOperationException"
    answer = httpx.get(f"{fake.url}/model/x/converse")
    assert answer.status_code == 404
    assert answer.headers["x-amzn-errortype"] == "UnknownOperationException"
    assert httpx.get(f"{fake.url}/model/x/invoke").status_code in (404, 405)
    assert ACCESS_KEY not in answer.text
    assert SECRET_KEY not in answer.text
