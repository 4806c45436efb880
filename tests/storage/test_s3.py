"""One client for each S3, and S3's errors in our words."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import botocore.exceptions
import pytest

from kilonova.credentials.credential import Credential
from kilonova.errors import Gone, KilonovaError, Unavailable, Unreadable
from kilonova.storage import s3


@pytest.fixture(autouse=True)
def variables(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in {"AWS_ACCESS_KEY_ID": "AKID", "AWS_SECRET_ACCESS_KEY": "s", "AWS_REGION": "us-east-1"}.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:1")


def test_a_client_is_made_once(monkeypatch: pytest.MonkeyPatch) -> None:
    s3._client.cache_clear()
    with ThreadPoolExecutor(8) as pool:
        made = list(pool.map(lambda _: s3.connect(), range(32)))
    assert len(set(map(id, made))) == s3._client.cache_info().misses == 1
    assert made[0].meta.endpoint_url == "http://127.0.0.1:1"
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://127.0.0.1:2")  # another S3 is another client
    assert s3.connect().meta.endpoint_url == "http://127.0.0.1:2"
    assert s3.connect() is s3.connect()


def test_a_client_of_an_endpoint_with_its_own_credential() -> None:
    own = Credential("up", access_key_id="AKIDOWN", secret_access_key="own")
    client = s3.connect("http://127.0.0.1:3", own, patient=False)
    assert client.meta.endpoint_url == "http://127.0.0.1:3"
    assert client.meta.config.retries["total_max_attempts"] == 1
    assert client._request_signer._credentials.access_key == "AKIDOWN"
    assert client is s3.connect("http://127.0.0.1:3", own, patient=False)
    assert client is not s3.connect("http://127.0.0.1:3", own)


@pytest.mark.parametrize(
    ("code", "status", "operation", "ours", "words"),
    [
        ("NoSuchKey", 404, "GetObject", Gone, "s3://b/k does not exist. Check the key."),
        ("NoSuchBucket", 404, "GetObject", Unreadable, "The bucket of s3://b/k does not exist"),
        (
            "AccessDenied",
            403,
            "GetObject",
            Unreadable,
            "may not read s3://b/k (AccessDenied). Give its credentials s3:G",
        ),
        (
            "403",
            403,
            "UploadPart",
            Unreadable,
            "may not write s3://b/k (403). Give its credentials s3:PutObject",
        ),
        ("412", 412, "GetObject", Unreadable, "s3://b/k was changed while it was being read."),
        ("SlowDown", 200, "GetObject", Unavailable, "S3 failed on s3://b/k (SlowDown). Try again."),
        ("Odd{0}", 503, "GetObject", Unavailable, "S3 failed on s3://b/k (Odd{0})."),
        ("Odd{0}", 400, "PutObject", Unreadable, "S3 refused PutObject on s3://b/k: Odd{0}."),
    ],
)
def test_errors(code: str, status: int, operation: str, ours: type[KilonovaError], words: str) -> None:
    def fail(**arguments: Any) -> None:
        answer = {"Error": {"Code": code}, "ResponseMetadata": {"HTTPStatusCode": status}}
        raise botocore.exceptions.ClientError(answer, operation)  # type: ignore[arg-type]

    with pytest.raises(KilonovaError) as caught:
        s3.call("s3://b/k", fail)
    assert type(caught.value) is ours
    assert words in str(caught.value)
