"""Credential: the SecretId and signature of a request, and every string that the client may have signed.

Clients agree on the algorithms (``tc3``, ``v1``), not on their input. The Node SDK omits the port of the host, tccli
adds a scheme, and proxies replace the host. The vendor's documents lower-case header values, the SDKs do not. A
signature is therefore valid if it signs one of several strings.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Self

from app.api.auth import tc3, v1
from app.api.request import CloudRequest, missing_parameter, wrong_type
from app.errors import ApiError, ErrorCode, Text

_VENDOR_HOST = "iai.tencentcloudapi.com"
_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # 11 digits: the year 5138, which `datetime` can represent
_NONCE = re.compile(r"[0-9]{1,20}")
_PORT = re.compile(r":[0-9]+$")
_HOST = re.compile(r"([A-Za-z0-9._-]+|\[[0-9A-Fa-f:.]+\])(:[0-9]+)?")

_DATE_TEXT = Text(
    "The date in the `Authorization` header's Credential is not the UTC date of `X-TC-Timestamp`.",
    "Authorization 中 Credential 的日期与 X-TC-Timestamp 的 UTC 日期不一致。",
)


@dataclass(frozen=True, slots=True)
class Credential(ABC):
    """The SecretId and signature of a request, with TC3 or signature v1."""

    secret_id: str
    signature: str

    @abstractmethod
    def strings_to_sign(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        """Yield every string that the client may have signed. ``request`` has its body."""

    @abstractmethod
    def signatures(self, secret_key: str, strings: Iterable[str]) -> list[str]:
        """Return the signature of each string to sign."""


def read_credential(request: CloudRequest) -> Credential:
    """Return the credential of a request; raise ``ApiError`` if it is missing or malformed."""
    return _TC3Credential.read(request) if request.v1_parameters is None else _V1Credential.read(request)


def host_candidates(host: str, public_hosts: tuple[str, ...]) -> tuple[str, ...]:
    """Return the hosts that a client may have signed. An invalid Host header adds no candidate.

    Signature v1 signs host, path and parameters as one string without escapes. If the host could contain `?`, an
    attacker could move parameters into the Host header: the signature would still match, but the action would not
    receive them.
    """
    bare = host.removeprefix("http://").removeprefix("https://").rstrip("/")
    received = (host, bare, _PORT.sub("", bare)) if _HOST.fullmatch(bare) else ()
    return tuple(dict.fromkeys((*received, *public_hosts, _VENDOR_HOST)))


@dataclass(frozen=True, slots=True)
class _TC3Credential(Credential):
    """TC3."""

    authorization: tc3.Authorization

    @classmethod
    def read(cls, request: CloudRequest) -> Self:
        if not request.authorization:
            raise missing_parameter("Authorization")
        _check_number("Timestamp", request.timestamp, _TIMESTAMP)
        authorization = tc3.parse_authorization(request.authorization)
        if authorization is None:
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION)
        if authorization.date != tc3.utc_date(int(request.timestamp)):
            raise ApiError(ErrorCode.INVALID_AUTHORIZATION, _DATE_TEXT)
        return cls(authorization.secret_id, authorization.signature, authorization)

    def strings_to_sign(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        names = self.authorization.signed_headers
        scope = tc3.credential_scope(self.authorization.date, self.authorization.service)
        content_sha256 = request.headers.get("x-tc-content-sha256", "")
        payload_hash = tc3.hashed_payload(request.body_sha256, content_sha256)
        for host in host_candidates(request.headers.get("host", ""), public_hosts):
            received = {**request.headers, "host": host}
            lowered = {name: received[name].lower() for name in names if name in received}
            for headers in (lowered, received):
                canonical = tc3.canonical_request(request.method, request.query, headers, names, payload_hash)
                yield tc3.string_to_sign(request.timestamp, scope, canonical)

    def signatures(self, secret_key: str, strings: Iterable[str]) -> list[str]:
        key = tc3.signing_key(secret_key, self.authorization.date, self.authorization.service)
        return [tc3.signature(key, string) for string in strings]


@dataclass(frozen=True, slots=True)
class _V1Credential(Credential):
    """Signature v1."""

    signature_method: str

    @classmethod
    def read(cls, request: CloudRequest) -> Self:
        _check_number("Timestamp", request.timestamp, _TIMESTAMP)
        _check_number("Nonce", request.required("Nonce"), _NONCE)
        return cls(request.required("SecretId"), request.required("Signature"), request.common("SignatureMethod"))

    def strings_to_sign(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        parameters = request.v1_parameters or {}
        # The Python and Java SDKs send `A_B` but sign it as `A.B`.
        dotted = {name.replace("_", "."): value for name, value in parameters.items()}
        needs_dotted = len(dotted) == len(parameters) and dotted != parameters
        for host in host_candidates(request.headers.get("host", ""), public_hosts):
            for variant in (parameters, dotted) if needs_dotted else (parameters,):
                yield v1.string_to_sign(request.method, host, request.path, variant)

    def signatures(self, secret_key: str, strings: Iterable[str]) -> list[str]:
        return [v1.signature(secret_key, string, self.signature_method) for string in strings]


def _check_number(name: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise wrong_type(name)
