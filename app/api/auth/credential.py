"""Credential: the SecretId and signature of a request, and every signature that would be valid.

Clients agree on the algorithms (``tc3``, ``v1``), not on their input. ``hosts`` lists what they sign as host and path.
The vendor's documents lower-case header values, the SDKs do not. A signature is therefore valid if it signs one of
several strings.
"""

import re
from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Self

from app.api.auth import tc3, v1
from app.api.auth.hosts import signed_locations
from app.api.request import CloudRequest, missing_parameter, wrong_type
from app.errors import ApiError, ErrorCode, Text

_TIMESTAMP = re.compile(r"[0-9]{1,11}")  # 11 digits: the year 5138, which `datetime` can represent
_NONCE = re.compile(r"[0-9]{1,20}")

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
    def valid_signatures(
        self, request: CloudRequest, public_hosts: tuple[str, ...], secret_keys: Sequence[str]
    ) -> Iterator[list[str]]:
        """Yield the signatures by ``secret_keys`` of every string that the client may have signed, most likely first.

        ``request`` has its body. ``public_hosts``: see ``signed_locations``.
        """


def read_credential(request: CloudRequest) -> Credential:
    """Return the credential of a request; raise ``ApiError`` if it is missing or malformed."""
    return _TC3Credential.read(request) if request.v1_parameters is None else _V1Credential.read(request)


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

    def valid_signatures(
        self, request: CloudRequest, public_hosts: tuple[str, ...], secret_keys: Sequence[str]
    ) -> Iterator[list[str]]:
        date, service = self.authorization.date, self.authorization.service
        signing_keys = [tc3.signing_key(secret_key, date, service) for secret_key in secret_keys]
        for string in self._strings_to_sign(request, public_hosts):
            yield [tc3.signature(key, string) for key in signing_keys]

    def _strings_to_sign(self, request: CloudRequest, public_hosts: tuple[str, ...]) -> Iterator[str]:
        names = self.authorization.signed_headers
        scope = tc3.credential_scope(self.authorization.date, self.authorization.service)
        content_sha256 = request.headers.get("x-tc-content-sha256", "")
        payload_hash = tc3.hashed_payload(request.body_sha256, content_sha256)
        for host, path in signed_locations(request.headers.get("host", ""), request.path, public_hosts):
            headers = {**request.headers, "host": host}
            received = {name: headers[name] for name in names if name in headers}
            lowered = {name: value.lower() for name, value in received.items()}
            for values in (lowered, received) if lowered != received else (received,):
                canonical = tc3.canonical_request(request.method, request.query, values, names, payload_hash, path)
                yield tc3.string_to_sign(request.timestamp, scope, canonical)


@dataclass(frozen=True, slots=True)
class _V1Credential(Credential):
    """Signature v1."""

    signature_method: str

    @classmethod
    def read(cls, request: CloudRequest) -> Self:
        _check_number("Timestamp", request.timestamp, _TIMESTAMP)
        _check_number("Nonce", request.required("Nonce"), _NONCE)
        return cls(request.required("SecretId"), request.required("Signature"), request.common("SignatureMethod"))

    def valid_signatures(
        self, request: CloudRequest, public_hosts: tuple[str, ...], secret_keys: Sequence[str]
    ) -> Iterator[list[str]]:
        parameters = request.v1_parameters or {}
        # The Python and Java SDKs send `A_B` but sign it as `A.B`.
        dotted = {name.replace("_", "."): value for name, value in parameters.items()}
        needs_dotted = len(dotted) == len(parameters) and dotted != parameters
        queries = [v1.sorted_query(variant) for variant in ((parameters, dotted) if needs_dotted else (parameters,))]
        for host, path in signed_locations(request.headers.get("host", ""), request.path, public_hosts):
            for query in queries:
                string = v1.string_to_sign(request.method, host, path, query)
                yield [v1.signature(secret_key, string, self.signature_method) for secret_key in secret_keys]


def _check_number(name: str, value: str, pattern: re.Pattern[str]) -> None:
    if not pattern.fullmatch(value):
        raise wrong_type(name)
