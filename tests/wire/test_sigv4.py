import hashlib
from datetime import UTC, datetime, timedelta

import botocore.auth
import pytest
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials

from kilonova.credentials.credential import Credential
from kilonova.errors import AccessDenied
from kilonova.wire.sigv4 import Caller, Request, authenticate

KNOWN = Credential("one", "AKIDONE", "secret-one", api_key="key-one")
OTHER = Credential("two", "AKIDTWO", "secret-two", session_token="token-two")
BODY = '{"text": "日落海滩"}'.encode()
PATH = "/model/amazon.nova-2-multimodal-embeddings-v1%3A0/invoke"


def signed(
    credential: Credential = KNOWN,
    body: bytes = BODY,
    region: str = "us-east-1",
    service: str = "bedrock",
    query: str = "",
    path: str = PATH,
) -> Request:
    """A request as botocore signs it."""
    url = f"http://127.0.0.1:8000{path}" + (f"?{query}" if query else "")
    aws = AWSRequest("POST", url, {"Content-Type": "application/json"}, body)
    keys = Credentials(credential.access_key_id, credential.secret_access_key, credential.session_token or None)
    botocore.auth.SigV4Auth(keys, service, region).add_auth(aws)
    headers = {name.lower(): value for name, value in aws.headers.items()}
    return Request("POST", path, query, {"host": "127.0.0.1:8000", **headers})


def check(request: Request, body: bytes = BODY, region: str = "", now: datetime | None = None) -> Caller:
    caller = authenticate(request, [KNOWN, OTHER], ["bedrock"], region, now)
    caller.confirm(hashlib.sha256(body).hexdigest())
    return caller


def changed(request: Request, **headers: str | None) -> Request:
    merged = {**request.headers, **{name.replace("_", "-"): value for name, value in headers.items()}}
    return Request(
        request.method,
        request.path,
        request.query,
        {name: value for name, value in merged.items() if value is not None},
    )


@pytest.mark.parametrize("credential", [KNOWN, OTHER])
@pytest.mark.parametrize("query", ["", "maxResults=5&nextToken=a%2Fb&empty=", "b=2&a=1"])
@pytest.mark.parametrize(
    "path", [PATH, "/foundation-models", "/async-invoke/arn%3Aaws%3Abedrock%3Ax%2Fy", "/a/%E6%B5%B7"]
)
def test_botocores_signature_is_accepted(credential: Credential, query: str, path: str) -> None:
    caller = check(signed(credential, query=query, path=path))
    assert caller.credential is credential
    assert caller.region == "us-east-1"


def test_a_changed_body_is_refused() -> None:
    with pytest.raises(AccessDenied, match="does not match the signature"):
        check(signed(), BODY + b" ")


@pytest.mark.parametrize("name", ["host", "x-amz-date", "content-type"])
def test_a_changed_signed_header_is_refused(name: str) -> None:
    request = signed()
    value = {"host": "evil:8000", "content-type": "text/plain"}.get(name, "")
    if not value:
        stamp = datetime.strptime(request.headers[name], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC)
        value = f"{stamp + timedelta(seconds=1):%Y%m%dT%H%M%SZ}"
    with pytest.raises(AccessDenied):
        check(Request(request.method, request.path, request.query, {**request.headers, name: value}))


def test_a_changed_path_query_or_method_is_refused() -> None:
    request = signed()
    for other in (
        Request("PUT", request.path, request.query, request.headers),
        Request("POST", request.path + "x", request.query, request.headers),
        Request("POST", request.path, "a=1", request.headers),
    ):
        with pytest.raises(AccessDenied, match="does not match"):
            check(other)


@pytest.mark.parametrize(
    "payload", ["UNSIGNED-PAYLOAD", "STREAMING-UNSIGNED-PAYLOAD-TRAILER", "STREAMING-AWS4-HMAC-SHA256-PAYLOAD"]
)
def test_an_unsigned_payload_is_refused(payload: str) -> None:
    with pytest.raises(AccessDenied, match="not signed"):
        check(changed(signed(), x_amz_content_sha256=payload))


def test_a_declared_hash_must_be_the_bodys() -> None:
    with pytest.raises(AccessDenied, match="does not match its hash"):
        check(changed(signed(), x_amz_content_sha256=hashlib.sha256(b"other").hexdigest()))


@pytest.mark.parametrize(("minutes", "fine"), [(-16, False), (-14, True), (14, True), (16, False)])
def test_the_clock_may_differ_by_15_minutes(minutes: int, fine: bool) -> None:
    now = datetime.now(UTC) + timedelta(minutes=minutes)
    if fine:
        check(signed(), now=now)
    else:
        with pytest.raises(AccessDenied, match="15 minutes"):
            check(signed(), now=now)


def test_who_is_refused() -> None:
    stranger = Credential("three", "AKIDTHREE", "secret-one")
    impostor = Credential("one", "AKIDONE", "secret-two")
    for request in (
        signed(stranger),
        signed(impostor),
        signed(service="s3"),
        changed(signed(), authorization=None),
        changed(signed(), authorization="Basic abc"),
        changed(signed(), authorization="AWS4-HMAC-SHA256 Credential=x"),
        changed(signed(), x_amz_date=None),
        changed(signed(), x_amz_date="20260230T000000Z"),
        changed(signed(), x_amz_security_token="left over"),
        changed(signed(OTHER), x_amz_security_token=None),
        changed(signed(OTHER), x_amz_security_token="wrong"),
        changed(signed(), authorization="Bearer wrong"),
        changed(signed(), authorization="Bearer "),
        changed(signed(), authorization="Bearer"),
    ):
        with pytest.raises(AccessDenied):
            check(request)


def test_an_unset_secret_is_no_key() -> None:
    only_keys = Credential("two", "AKIDTWO", "secret-two")
    with pytest.raises(AccessDenied):
        authenticate(changed(signed(), authorization="Bearer "), [only_keys], ["bedrock"])


def test_host_and_date_must_be_signed() -> None:
    request = signed()
    header = request.headers["authorization"].replace("content-type;host;x-amz-date", "content-type;x-amz-date")
    with pytest.raises(AccessDenied, match="must cover"):
        check(changed(request, authorization=header))


def test_the_region_of_the_server() -> None:
    assert check(signed(region="eu-central-1")).region == "eu-central-1"
    with pytest.raises(AccessDenied, match="valid region"):
        check(signed(region="eu-central-1"), region="us-east-1")


def test_a_bearer_key_needs_no_signature() -> None:
    caller = check(changed(signed(), authorization="Bearer key-one"))
    assert caller.credential is KNOWN
    assert caller.region == ""


def test_secrets_are_not_shown() -> None:
    shown = repr(KNOWN) + repr(OTHER) + repr(check(signed()))
    assert not any(secret in shown for secret in ("secret-one", "key-one", "secret-two", "token-two"))
