"""Authenticator: may this caller in? Policy only; the arithmetic is in ``tc3``.

Errors come in this order: header missing, header's shape, SecretId, expiry, signature. All but the last need the
headers only, so ``examine`` runs before the body is read and ``verify`` after it.
"""

from __future__ import annotations

import hmac
import re
import time
from collections.abc import Callable, Iterator

from app.api import tc3
from app.api.request import CloudRequest
from app.config import AuthSettings
from app.errors import ApiError, ErrorCode, Text

_VENDOR_HOST = "iai.tencentcloudapi.com"
_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # 11 digits: the year 5138, within what a date can be
_PORT = re.compile(r":[0-9]+$")

_TIMESTAMP_TEXT = Text("The value type of parameter `Timestamp` is not valid.", "参数 `Timestamp` 取值类型错误。")
_DATE_TEXT = Text(
    "The date in the `Authorization` header's Credential is not the UTC date of `X-TC-Timestamp`.",
    "Authorization 中 Credential 的日期与 X-TC-Timestamp 的 UTC 日期不一致。",
)
_MISMATCH = "wrong key, or the caller signed another host than it sends: COMPAREFACE_AUTH__HOSTS"


class Authenticator:
    """Verifies signatures against the configured keys; in open mode asks for nothing."""

    def __init__(self, settings: AuthSettings, is_open: bool, clock: Callable[[], float] = time.time) -> None:
        self._keys = settings.secret_keys
        self._max_skew_s = settings.max_skew_s
        self._public_hosts = settings.hosts
        self._is_open = is_open
        self._clock = clock

    def examine(self, request: CloudRequest) -> tc3.Authorization | None:
        """Return what the headers claim, as far as they alone can be judged; None in open mode."""
        if self._is_open:
            return None
        header, timestamp = request.authorization, request.timestamp
        if not _TIMESTAMP.fullmatch(timestamp):
            raise ApiError(ErrorCode.INVALID_PARAMETER, _TIMESTAMP_TEXT)
        claim = tc3.parse_authorization(header)
        if claim is None:
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION)
        if claim.date != tc3.utc_date(int(timestamp)):
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION, _DATE_TEXT)
        if claim.secret_id not in self._keys:
            raise ApiError(ErrorCode.SECRET_ID_NOT_FOUND)
        if abs(int(self._clock()) - int(timestamp)) > self._max_skew_s:
            raise ApiError(ErrorCode.SIGNATURE_EXPIRE)
        return claim

    def verify(self, request: CloudRequest, claim: tc3.Authorization | None) -> None:
        """Raise ``AuthFailure.SignatureFailure`` unless one of the caller's keys made the claimed signature."""
        if claim is None:
            return
        scope = tc3.credential_scope(claim.date, claim.service)
        texts = [
            tc3.string_to_sign(request.timestamp, scope, canonical)
            for canonical in _canonical_requests(request, claim.signed_headers, self._public_hosts)
        ]
        for secret_key in self._keys[claim.secret_id]:
            key = tc3.signing_key(secret_key, claim.date, claim.service)
            if any(hmac.compare_digest(tc3.signature(key, text), claim.signature) for text in texts):
                return
        raise ApiError(ErrorCode.SIGNATURE_FAILURE, reason=_MISMATCH)


def host_candidates(host: str, public_hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts a client may have signed: Node leaves out the port, tccli sends a scheme, proxies rename."""
    bare = host.removeprefix("http://").removeprefix("https://").rstrip("/")
    return tuple(dict.fromkeys((host, bare, _PORT.sub("", bare), *public_hosts, _VENDOR_HOST)))


def _canonical_requests(
    request: CloudRequest, signed_headers: tuple[str, ...], public_hosts: tuple[str, ...]
) -> Iterator[str]:
    """Yield every canonical request that a client may have signed: the documents lower-case values, SDKs do not."""
    payload_hash = tc3.hashed_payload(request.method, request.body, request.headers.get("x-tc-content-sha256", ""))
    for host in host_candidates(request.headers.get("host", ""), public_hosts):
        as_sent = {**request.headers, "host": host}
        lowered = {name: as_sent[name].lower() for name in signed_headers if name in as_sent}
        for headers in (lowered, as_sent):
            yield tc3.canonical_request(request.method, request.query, headers, signed_headers, payload_hash)
