"""Credential: who a request says signed it, and everything that this signer may have signed. Neither keys nor clock.

Clients agree on the arithmetic (``tc3``, ``v1``) but not on its input: Node leaves the port out of the host, tccli puts
a scheme before it, proxies rename it, the documents lower-case header values and SDKs do not. So a claim has several
texts, and its signature is good if it is that of one of them.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Protocol

from app.api.auth import tc3, v1
from app.api.request import CloudRequest
from app.errors import ApiError, ErrorCode, Text

_VENDOR_HOST = "iai.tencentcloudapi.com"
_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # 11 digits: the year 5138, within what a date can be
_NONCE = re.compile(r"[0-9]{1,20}")
_PORT = re.compile(r":[0-9]+$")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")

_DATE_TEXT = Text(
    "The date in the `Authorization` header's Credential is not the UTC date of `X-TC-Timestamp`.",
    "Authorization 中 Credential 的日期与 X-TC-Timestamp 的 UTC 日期不一致。",
)


class Credential(Protocol):
    """What both dialects tell."""

    @property
    def secret_id(self) -> str: ...

    @property
    def signature(self) -> str: ...

    def texts(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        """Yield every text that the caller may have signed; ``request`` has its body."""
        ...

    def sign(self, secret_key: str, texts: Iterable[str]) -> list[str]:
        """Return the signature that ``secret_key`` makes of each text."""
        ...


def read_credential(request: CloudRequest) -> Credential:
    """Return what the request claims, as far as it can be judged without keys; raise ``ApiError``."""
    return _TC3Claim.of(request) if request.v1 is None else _V1Claim.of(request)


def host_candidates(host: str, public_hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts a client may have signed.

    What is no host is none of them: version 1 signs host, path and parameters as one text without escapes, so that a
    `?` in the host could make some parameters of a signed request pass for all of them.
    """
    bare = host.removeprefix("http://").removeprefix("https://").rstrip("/")
    sent = (host, bare, _PORT.sub("", bare)) if _HOST.fullmatch(bare) else ()
    return tuple(dict.fromkeys((*sent, *public_hosts, _VENDOR_HOST)))


@dataclass(frozen=True, slots=True)
class _TC3Claim:
    """Signature version 3."""

    authorization: tc3.Authorization

    @classmethod
    def of(cls, request: CloudRequest) -> _TC3Claim:
        header, timestamp = request.authorization, request.timestamp
        _check_number("Timestamp", timestamp, _TIMESTAMP)
        authorization = tc3.parse_authorization(header)
        if authorization is None:
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION)
        if authorization.date != tc3.utc_date(int(timestamp)):
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION, _DATE_TEXT)
        return cls(authorization)

    @property
    def secret_id(self) -> str:
        return self.authorization.secret_id

    @property
    def signature(self) -> str:
        return self.authorization.signature

    def texts(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        claim = self.authorization
        scope = tc3.credential_scope(claim.date, claim.service)
        content_sha256 = request.headers.get("x-tc-content-sha256", "")
        payload_hash = tc3.hashed_payload(request.body_sha256, content_sha256)
        for host in host_candidates(request.headers.get("host", ""), public_hosts):
            as_sent = {**request.headers, "host": host}
            lowered = {name: as_sent[name].lower() for name in claim.signed_headers if name in as_sent}
            for headers in (lowered, as_sent):
                canonical = tc3.canonical_request(
                    request.method, request.query, headers, claim.signed_headers, payload_hash
                )
                yield tc3.string_to_sign(request.timestamp, scope, canonical)

    def sign(self, secret_key: str, texts: Iterable[str]) -> list[str]:
        key = tc3.signing_key(secret_key, self.authorization.date, self.authorization.service)
        return [tc3.signature(key, text) for text in texts]


@dataclass(frozen=True, slots=True)
class _V1Claim:
    """Signature version 1."""

    secret_id: str
    signature: str
    signature_method: str

    @classmethod
    def of(cls, request: CloudRequest) -> _V1Claim:
        _check_number("Timestamp", request.timestamp, _TIMESTAMP)
        _check_number("Nonce", request.required("Nonce"), _NONCE)
        return cls(request.required("SecretId"), request.required("Signature"), request.common("SignatureMethod"))

    def texts(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        parameters = request.v1 or {}
        dotted = {name.replace("_", "."): value for name, value in parameters.items()}  # as Python and Java sign
        spellings = [parameters, dotted] if len(dotted) == len(parameters) and dotted != parameters else [parameters]
        for host in host_candidates(request.headers.get("host", ""), public_hosts):
            for named in spellings:
                yield v1.source_text(request.method, host, request.path, named)

    def sign(self, secret_key: str, texts: Iterable[str]) -> list[str]:
        return [v1.signature(secret_key, text, self.signature_method) for text in texts]


def _check_number(name: str, value: str, shape: re.Pattern[str]) -> None:
    if not shape.fullmatch(value):
        raise ApiError(
            ErrorCode.INVALID_PARAMETER,
            Text(f"The value type of parameter `{name}` is not valid.", f"参数 `{name}` 取值类型错误。"),
        )
