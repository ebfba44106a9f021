"""HmacSHA1 and HmacSHA256, named as in the vendor's document "Signature Method v1". Pure: no clock, no keys, no policy.

    source_text -> signature

Values are signed as they are, not URL-encoded; the signature itself is base64.
"""

from __future__ import annotations

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
"""Common parameters: everything else is the action's."""


def source_text(method: str, host: str, path: str, parameters: Mapping[str, str]) -> str:
    """Return the text to sign: all parameters but the signature, sorted by name."""
    pairs = sorted((name, value) for name, value in parameters.items() if name != "Signature")
    return f"{method}{host}{path}?" + "&".join(f"{name}={value}" for name, value in pairs)


def signature(secret_key: str, text: str, signature_method: str) -> str:
    """Return Signature of ``text``; every method but HmacSHA256, none included, means HmacSHA1 ("Common Params")."""
    algorithm = "sha256" if signature_method == HMAC_SHA256 else "sha1"
    return base64.b64encode(hmac.digest(secret_key.encode(), text.encode(), algorithm)).decode()
