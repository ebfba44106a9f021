"""TC3-HMAC-SHA256, with the names of the vendor's document "Signature Method v3". Pure functions.

    canonical_request -> string_to_sign -> signature (with signing_key) -> Authorization header

Strings are latin-1: encoding them gives the received bytes.
"""

import datetime
import hashlib
import hmac
import re
from collections.abc import Mapping
from typing import NamedTuple

ALGORITHM = "TC3-HMAC-SHA256"
UNSIGNED_PAYLOAD = "UNSIGNED-PAYLOAD"
_TERMINATOR = "tc3_request"
_REQUIRED_HEADERS = frozenset({"content-type", "host"})

# Older SDKs send the first label of the endpoint as service (`127`, `localhost:8000`, `http://127`), so `service` may
# contain slashes.
_AUTHORIZATION = re.compile(
    rf"{ALGORITHM} Credential=(?P<secret_id>[^/,\s]{{1,256}})"
    rf"/(?P<date>[0-9]{{4}}-[0-9]{{2}}-[0-9]{{2}})/(?P<service>[^,\s]{{1,256}})/{_TERMINATOR}"
    rf", ?SignedHeaders=(?P<signed_headers>[^;,\s]{{1,64}}(?:;[^;,\s]{{1,64}}){{0,31}})"
    r", ?Signature=(?P<signature>[0-9a-f]{64})"
)


class Authorization(NamedTuple):
    """The parts of an Authorization header."""

    secret_id: str
    date: str
    service: str
    signed_headers: tuple[str, ...]
    signature: str


def sha256(data: bytes) -> str:
    """Return the digest of ``data`` in hex."""
    return hashlib.sha256(data).hexdigest()


def parse_authorization(value: str) -> Authorization | None:
    """Return the parts of the header; None if it is malformed or does not sign a required header."""
    match = _AUTHORIZATION.fullmatch(value)
    if match is None:
        return None
    names = tuple(match["signed_headers"].split(";"))
    if len(set(names)) != len(names) or any(name != name.lower() for name in names):
        return None
    if not _REQUIRED_HEADERS.issubset(names):
        return None
    return Authorization(match["secret_id"], match["date"], match["service"], names, match["signature"])


def format_authorization(authorization: Authorization) -> str:
    scope = credential_scope(authorization.date, authorization.service)
    return (
        f"{ALGORITHM} Credential={authorization.secret_id}/{scope}, "
        f"SignedHeaders={';'.join(authorization.signed_headers)}, Signature={authorization.signature}"
    )


def utc_date(timestamp: int) -> str:
    """Return the date of a credential scope: the UTC date of ``timestamp``."""
    return datetime.datetime.fromtimestamp(timestamp, datetime.UTC).date().isoformat()


def credential_scope(date: str, service: str) -> str:
    return f"{date}/{service}/{_TERMINATOR}"


def hashed_payload(body_sha256: str, content_sha256: str = "") -> str:
    """Return HashedRequestPayload.

    ``body_sha256``: digest of the body in hex; GET has an empty body. ``content_sha256``: header X-TC-Content-SHA256.
    """
    return sha256(UNSIGNED_PAYLOAD.encode()) if content_sha256 == UNSIGNED_PAYLOAD else body_sha256


def canonical_request(
    method: str,
    query: str,
    headers: Mapping[str, str],
    signed_headers: tuple[str, ...],
    payload_hash: str,
    path: str = "/",
) -> str:
    """Return CanonicalRequest. The query of a GET is used as received; a POST has an empty one.

    ``path``: CanonicalURI. The vendor's document fixes it, but the Node SDK signs the path of its endpoint.
    """
    canonical_headers = "".join(f"{name}:{headers.get(name, '').strip()}\n" for name in signed_headers)
    canonical_query = query if method == "GET" else ""
    return "\n".join([method, path, canonical_query, canonical_headers, ";".join(signed_headers), payload_hash])


def string_to_sign(timestamp: str, scope: str, canonical: str) -> str:
    """Return StringToSign. Characters beyond latin-1 are replaced; only configured host names can have them."""
    digest = sha256(canonical.encode("latin-1", "replace"))
    return f"{ALGORITHM}\n{timestamp}\n{scope}\n{digest}"


def signing_key(secret_key: str, date: str, service: str) -> bytes:
    """Return SecretSigning."""
    secret_date = _hmac(f"TC3{secret_key}".encode(), date)
    secret_service = _hmac(secret_date, service)
    return _hmac(secret_service, _TERMINATOR)


def signature(key: bytes, string: str) -> str:
    """Return Signature of the StringToSign ``string``."""
    return _hmac(key, string).hex()


def _hmac(key: bytes, text: str) -> bytes:
    return hmac.digest(key, text.encode("latin-1"), "sha256")
