"""Who calls: AWS Signature Version 4 recomputed with botocore's own signer, or a bearer key.

Format of the header: docs.aws.amazon.com/IAM/latest/UserGuide/reference_sigv-create-signed-request.html
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from urllib.parse import quote

import botocore.auth
import botocore.awsrequest
import botocore.credentials
from botocore.compat import HTTPHeaders

from kilonova.credentials.credential import Credential
from kilonova.errors import AccessDenied

__all__ = ["CLOCK_SKEW", "Caller", "Request", "authenticate"]

#: How far a request's time may be from ours, as at AWS.
CLOCK_SKEW = timedelta(minutes=15)

_SCOPE = re.compile(
    r"AWS4-HMAC-SHA256\s+Credential=(?P<key>[^/,\s]+)/(?P<day>\d{8})/(?P<region>[a-z0-9-]+)/(?P<service>[a-z0-9-]+)"
    r"/aws4_request,\s*SignedHeaders=(?P<headers>[a-z0-9;:._-]+),\s*Signature=(?P<signature>[0-9a-f]{64})"
)
_HASH = re.compile("[0-9a-f]{64}")
_STAMP = re.compile(r"\d{8}T\d{6}Z")


@dataclass(frozen=True)
class Request:
    """What a signature covers. ``path`` and ``query`` are raw, as they came; header names are in lower case."""

    method: str
    path: str
    query: str
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Caller:
    """Who calls, and the region that the request was signed for ("" with a bearer key).

    A signature is checked at once where the request declares the hash of its body, else by ``confirm`` once the body is
    there.
    """

    credential: Credential
    region: str = ""
    _signed: _Signed | None = None

    @property
    def confirmed(self) -> bool:
        """Whether the caller is certain before the body is there."""
        return self._signed is None or self._signed.declared is not None

    def confirm(self, body_hash: str) -> None:
        """Check that a body with that SHA-256 (hexadecimal) is the one that was signed.

        Raises:
            AccessDenied: the signature or the declared payload hash does not match.
        """
        if self._signed is None:
            return
        if self._signed.declared is None:
            self._signed.check(self.credential, body_hash)
        elif not hmac.compare_digest(self._signed.declared.encode(), body_hash.encode()):
            raise AccessDenied("The payload does not match its hash.", "Sign the whole payload.")


def authenticate(
    request: Request,
    credentials: Sequence[Credential],
    services: Sequence[str],
    region: str = "",
    now: datetime | None = None,
) -> Caller:
    """Find the caller from the headers alone, before the body is read; ``Caller.confirm`` then checks the body.

    Args:
        request: what came.
        credentials: who may call.
        services: signing names that are accepted.
        region: the only region accepted; "" accepts each.
        now: the present time, for tests.

    Raises:
        AccessDenied: nobody known; the message says what is missing or wrong, never what would be right.
    """
    header = request.headers.get("authorization", "")
    scheme, _, value = header.partition(" ")
    if scheme.lower() == "bearer":
        return Caller(_by_api_key(value.strip(), credentials))
    if "X-Amz-Signature=" in request.query:
        raise AccessDenied(
            "A signature in the query (a presigned URL) is not taken here.",
            "Sign the request with an Authorization header, as SDKs do, or send a bearer key.",
        )
    if scheme != "AWS4-HMAC-SHA256":
        raise AccessDenied(
            "Missing Authentication Token.",
            'Sign the request (AWS Signature Version 4) or send a bearer key; `eval "$(kilonova env)"` sets both up.',
        )
    match = _SCOPE.fullmatch(header.strip())
    if match is None:
        raise AccessDenied(
            "The Authorization header is malformed.", "It must have Credential, SignedHeaders and Signature."
        )
    if match["service"] not in services:
        raise AccessDenied(f"Credential should be scoped to a valid service, not {match['service']!r}.")
    if region and match["region"] != region:
        raise AccessDenied(
            f"Credential should be scoped to a valid region, not {match['region']!r}.", f"This server serves {region}."
        )
    credential = _by_access_key(match["key"], credentials)
    stamp = _timestamp(request.headers.get("x-amz-date", ""), match["day"], now or datetime.now(UTC))
    token = request.headers.get("x-amz-security-token", "")
    if not hmac.compare_digest(token.encode(), credential.session_token.encode()):
        raise AccessDenied("The security token included in the request is invalid.", "Unset AWS_SESSION_TOKEN.")
    signed = _Signed(request, match, stamp)
    if signed.declared is not None:
        signed.check(credential, signed.declared)
    return Caller(credential, match["region"], signed)


@dataclass(frozen=True)
class _Signed:
    request: Request
    scope: re.Match[str]
    stamp: str

    @property
    def declared(self) -> str | None:
        """SHA-256 of the body, as the request says."""
        return self.request.headers.get("x-amz-content-sha256")

    def check(self, credential: Credential, body_hash: str) -> None:
        """Check the signature over a body with that hash.

        Raises:
            AccessDenied: it does not match.
        """
        headers, names = self.request.headers, self.scope["headers"].split(";")
        if _HASH.fullmatch(body_hash) is None:
            raise AccessDenied("The payload is not signed.", "Sign the whole payload.")
        # over HTTP/2 the AWS SDK for JavaScript signs the host under the name that it has there
        headers = {**headers, ":authority": headers.get("host", "")}
        covered = "x-amz-date" in names and ("host" in names or ":authority" in names)
        if not covered or not headers[":authority"] or any(name not in headers for name in names):
            raise AccessDenied("The signature must cover host and x-amz-date, and only headers that were sent.")
        if _normal_path(self.request.path) != _quoted(self.request.path):
            raise AccessDenied(
                "The path is not in its normal form, so it is not certain what was signed.",
                "Leave out empty parts and the parts . and .. of the path.",
            )
        url = f"https://{headers['host']}{self.request.path}" + (f"?{self.request.query}" if self.request.query else "")
        aws = botocore.awsrequest.AWSRequest(self.request.method, url, {name: headers[name] for name in names})
        aws.context["timestamp"] = self.stamp
        signer = _Signer(credential, self.scope, names, body_hash)
        signature = signer.signature(signer.string_to_sign(aws, signer.canonical_request(aws)), aws)
        if not hmac.compare_digest(signature, self.scope["signature"]):
            body = " or the payload does not match its hash" if self.declared is not None else ""
            raise AccessDenied(
                f"The request signature we calculated does not match the signature you provided{body}.",
                "Check the secret access key and that nothing between changes the request.",
            )


class _Signer(botocore.auth.SigV4Auth):  # type: ignore[misc]
    """botocore's signer, which knows which headers were signed and what the body's hash is."""

    def __init__(self, credential: Credential, scope: re.Match[str], names: Sequence[str], body_hash: str) -> None:
        keys = botocore.credentials.Credentials(credential.access_key_id, credential.secret_access_key)
        super().__init__(keys, scope["service"], scope["region"])
        self._names, self._body_hash = names, body_hash

    def headers_to_sign(self, request: botocore.awsrequest.AWSRequest) -> HTTPHeaders:
        chosen = HTTPHeaders()
        for name in self._names:
            chosen[name] = request.headers[name]
        return chosen

    def _normalize_url_path(self, path: str) -> str:
        return _normal_path(path)

    def payload(self, request: botocore.awsrequest.AWSRequest) -> str:
        return self._body_hash


@lru_cache(256)
def _normal_path(path: str) -> str:
    """botocore's canonical path; callers use few paths, and it takes a quarter of the whole check."""
    normal: str = botocore.auth.SigV4Auth._normalize_url_path(None, path)
    return normal


def _quoted(path: str) -> str:
    """The path as ``_normal_path`` gives it where there is nothing to normalise."""
    return quote(path, safe="/~")


def _by_access_key(key: str, credentials: Sequence[Credential]) -> Credential:
    found = [credential for credential in credentials if _equal(credential.access_key_id, key)]
    if not found:
        raise AccessDenied(
            "The security token included in the request is invalid.", "This access key id is not known here."
        )
    return found[0]


def _by_api_key(key: str, credentials: Sequence[Credential]) -> Credential:
    found = [credential for credential in credentials if _equal(credential.api_key, key)]
    if not found:
        raise AccessDenied(
            "The bearer key is not valid.",
            "`kilonova env` prints the one of this machine; a server that was started with --credentials, or with "
            "another KILONOVA_HOME, takes only the keys of its own file.",
        )
    return found[0]


def _equal(known: str, given: str) -> bool:
    """Constant-time comparison; digests first, so that not even a length shows. An unset secret equals nothing."""
    digests = (hashlib.sha256(text.encode("utf-8", "replace")).digest() for text in (known, given))
    return hmac.compare_digest(*digests) and bool(known)


def _timestamp(given: str, day: str, now: datetime) -> str:
    try:
        moment = datetime.fromisoformat(given if _STAMP.fullmatch(given) else "")
    except ValueError:
        raise AccessDenied("X-Amz-Date is missing or malformed.", "It must read like 20260131T235959Z.") from None
    if not given.startswith(day):
        raise AccessDenied("The date in the credential scope does not match X-Amz-Date.")
    if abs(now - moment) > CLOCK_SKEW:
        side = "expired" if moment < now else "not yet current"
        raise AccessDenied(
            f"Signature {side}: {given} is not within 15 minutes of {now:%Y%m%dT%H%M%SZ}.", "Set the clock."
        )
    return given
