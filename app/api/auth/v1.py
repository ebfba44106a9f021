"""HmacSHA1 and HmacSHA256 of the vendor's document "Signature Method v1". Pure functions.

    sorted_query -> string_to_sign -> signature

Values are signed without URL encoding. The signature is base64.
"""

import base64
import hmac
from collections.abc import Mapping

HMAC_SHA256 = "HmacSHA256"

COMMON = frozenset(
    {
        "Action",
        "Language",
        "Nonce",
        "Region",
        "RequestClient",
        "SecretId",
        "Signature",
        "SignatureMethod",
        "Timestamp",
        "Token",
        "Version",
    }
)
"""Names of the common parameters. All others belong to the action."""


def sorted_query(parameters: Mapping[str, str]) -> bytes:
    """Return all parameters except the signature, sorted by name."""
    pairs = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    return "&".join(f"{name}={value}" for name, value in pairs).encode()


def string_to_sign(method: str, host: str, path: str, query: bytes) -> bytes:
    """Return the string to sign. ``query``: the result of ``sorted_query``."""
    return f"{method}{host}{path}?".encode() + query


def signature(secret_key: str, string: bytes, signature_method: str) -> str:
    """Return Signature of ``string``. Any method except HmacSHA256 means HmacSHA1, also an empty one."""
    algorithm = "sha256" if signature_method == HMAC_SHA256 else "sha1"
    return base64.b64encode(hmac.digest(secret_key.encode(), string, algorithm)).decode()
