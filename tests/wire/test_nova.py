import base64
import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kilonova.errors import InvalidInput
from kilonova.models.card import Purpose
from kilonova.wire import nova

TAIL = ", please reformat your input and try again."
BYTES = {"bytes": base64.b64encode(b"data").decode()}
S3 = {"s3Location": {"uri": "s3://bucket/key", "bucketOwner": "123456789012"}}


def request(**params: Any) -> dict[str, Any]:
    return {
        "taskType": "SINGLE_EMBEDDING",
        "singleEmbeddingParams": {"embeddingPurpose": "GENERIC_INDEX", **params},
    }


def parse(value: object) -> nova.SingleEmbeddingParams:
    return nova.parse_single(json.dumps(value).encode())


def complaint(value: object) -> str:
    with pytest.raises(InvalidInput) as caught:
        parse(value)
    message = str(caught.value)
    assert message.startswith("Malformed input request: ")
    assert message.endswith(TAIL)
    return message.removeprefix("Malformed input request: ").removesuffix(TAIL)


TEXT = request(text={"value": "日落海滩"})


@pytest.mark.parametrize("purpose", Purpose)
@pytest.mark.parametrize("dimension", [256, 384, 1024, 3072])
def test_purposes_and_dimensions(purpose: Purpose, dimension: int) -> None:
    params = parse(request(text={"value": "x"}) | {"schemaVersion": "nova-multimodal-embed-v1"})
    assert params.embeddingDimension == 3072
    both = {"embeddingPurpose": purpose, "embeddingDimension": dimension, "text": {"value": "x"}}
    params = parse({"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": both})
    assert (params.embeddingPurpose, params.embeddingDimension) == (purpose, dimension)


@pytest.mark.parametrize("source", [BYTES, S3])
@pytest.mark.parametrize(
    ("modality", "formats"),
    [
        ("image", ["png", "jpeg", "gif", "webp"]),
        ("audio", ["mp3", "wav", "ogg", "flac", "m4a", "mpeg"]),
        ("video", ["mp4", "mov", "mkv", "webm", "flv", "mpeg", "mpg", "wmv", "3gp", "three_gp"]),
    ],
)
def test_formats_and_sources(modality: str, formats: list[str], source: dict[str, Any]) -> None:
    for form in formats:
        params = parse(request(**{modality: {"format": form, "source": source}}))
        found = getattr(params, modality)
        assert found.format == form
        assert found.source.bytes in (b"data", None)
    assert "not a valid enum value" in complaint(request(**{modality: {"format": "bmp", "source": source}}))


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (
            {},
            "2 schema violations found: #: required key [taskType] not found; "
            "#: required key [singleEmbeddingParams] not found",
        ),
        (
            {"taskType": "SINGLE_EMBEDDING", "singleEmbeddingParams": {"text": {"value": "x"}}},
            "#/singleEmbeddingParams: required key [embeddingPurpose] not found",
        ),
        (TEXT | {"extra": 1}, "#: extraneous key [extra] is not permitted"),
        (
            TEXT | {"taskType": "SEGMENTED_EMBEDDING"},
            "#/taskType: SEGMENTED_EMBEDDING is not a valid enum value, expected one of: SINGLE_EMBEDDING",
        ),
        (
            request(text={"value": "x"}, embeddingDimension=512),
            "#/singleEmbeddingParams/embeddingDimension: 512 is not a valid enum value, "
            "expected one of: 256, 384, 1024 or 3072",
        ),
        (request(text={"value": 5}), "#/singleEmbeddingParams/text/value: expected type: String, found: Integer"),
        (request(text="x"), "#/singleEmbeddingParams/text: expected type: JSONObject, found: String"),
        (request(text={"value": ""}), "#/singleEmbeddingParams/text/value: expected minLength: 1, actual: 0"),
        (
            request(text={"value": "汉" * 8193}),
            "#/singleEmbeddingParams/text/value: expected maxLength: 8192, actual: 8193",
        ),
        (
            request(text={}),
            "#/singleEmbeddingParams/text: exactly one of [value, source] is required, found: none",
        ),
        (
            request(text={"value": "x"}, image={"format": "png", "source": BYTES}),
            "#/singleEmbeddingParams: exactly one of [text, image, audio, video] is required, found: text, image",
        ),
        (
            request(image={"format": "png", "source": BYTES | S3}),
            "#/singleEmbeddingParams/image/source: exactly one of [bytes, s3Location] is required, "
            "found: bytes, s3Location",
        ),
        (
            request(text={"source": BYTES}),
            "2 schema violations found: #/singleEmbeddingParams/text/source: required key [s3Location] not found; "
            "#/singleEmbeddingParams/text/source: extraneous key [bytes] is not permitted",
        ),
        (
            request(image={"format": "png", "source": {"bytes": "aGVsbG8"}}),
            "#/singleEmbeddingParams/image/source/bytes: the value is not valid base64 (Incorrect padding)",
        ),
        (
            request(image={"format": "png", "source": {"bytes": ""}}),
            "#/singleEmbeddingParams/image/source/bytes: expected minLength: 1, actual: 0",
        ),
        ([], "#: expected type: JSONObject, found: JSONArray"),
    ],
)
def test_what_is_wrong_is_named_with_its_path(value: object, said: str) -> None:
    assert complaint(value) == said


@pytest.mark.parametrize(
    "uri", ["s3://bucket", "s3://b/key", "http://bucket/key", "s3://Bucket/key", "s3:///key", "s3://bucket/"]
)
def test_no_s3_uri(uri: str) -> None:
    assert "does not match pattern" in complaint(request(text={"source": {"s3Location": {"uri": uri}}}))


@pytest.mark.parametrize("owner", ["1234", "12345678901x", "1234567890123"])
def test_no_account(owner: str) -> None:
    place = {"uri": "s3://bucket/key", "bucketOwner": owner}
    assert "does not match pattern" in complaint(request(text={"source": {"s3Location": place}}))


@pytest.mark.parametrize(
    "body", [b"", b"{", b"\xff\xfe", b'{"a": "\\ud800"}', b"[" * 100_000, b"null", b"NaN", b"1e999999"]
)
def test_no_json(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        nova.parse_single(body)


def test_an_answer_reads_back() -> None:
    vector = np.linspace(-1, 1, 256, dtype=np.float32)
    body = nova.render_single([(nova.EmbeddingType.TEXT, vector, 12), (nova.EmbeddingType.AUDIO, vector, None)])
    first, second = json.loads(body)["embeddings"]
    assert first["embeddingType"] == "TEXT"
    assert first["truncatedCharLength"] == 12
    assert second.keys() == {"embeddingType", "embedding"}
    assert np.array_equal(np.array(first["embedding"], np.float32), vector)


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
media = st.fixed_dictionaries(
    {},
    optional={"format": st.sampled_from(["png", "mp3", "mp4"]) | json_values, "source": st.just(BYTES) | json_values},
)
params = st.fixed_dictionaries(
    {},
    optional={
        "embeddingPurpose": st.sampled_from(list(Purpose)) | json_values,
        "embeddingDimension": st.sampled_from([256, 3072]) | json_values,
        "text": st.fixed_dictionaries({}, optional={"value": st.text() | json_values, "truncationMode": json_values})
        | json_values,
        "image": media | json_values,
        "audio": media | json_values,
        "video": media | json_values,
        "unknown": json_values,
    },
)
requests = st.fixed_dictionaries(
    {},
    optional={
        "taskType": st.just("SINGLE_EMBEDDING") | json_values,
        "singleEmbeddingParams": params | json_values,
        "schemaVersion": json_values,
    },
)


@pytest.mark.slow
@given(requests | json_values)
@settings(max_examples=1500, deadline=None)
def test_any_json_is_taken_or_refused_in_bedrocks_words(value: object) -> None:
    try:
        found = parse(value)
    except InvalidInput as error:
        assert str(error).startswith("Malformed input request: ")
        assert "#" in str(error) or "surrogate" in str(error)
    else:
        assert sum(getattr(found, name) is not None for name in ("text", "image", "audio", "video")) == 1


@given(st.binary(max_size=200))
@settings(max_examples=500, deadline=None)
def test_any_bytes_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidInput):
        nova.parse_single(body)
