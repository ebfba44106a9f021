"""Sign requests with a configured key, as the vendor's SDKs do (TC3-HMAC-SHA256)."""

import time
from urllib.parse import urlsplit

from app.address import DEFAULT_PORTS
from app.api.auth import tc3
from app.api.auth.keys import Key, KeyRing
from app.environment import SettingsError
from app.settings import AuthSettings

_SERVICE = "iai"
_CONTENT_TYPE = "application/json"


def pick_key(settings: AuthSettings, secret_id: str | None, action: str = "CompareFace") -> tuple[str, Key]:
    """Return a SecretId and its first valid key; raise ``SettingsError`` if no key may call ``action``."""
    callers = KeyRing.open(settings).callers()
    if not callers:
        raise SettingsError("no keys are configured: set COMPAREFACE_AUTH__KEYS or COMPAREFACE_AUTH__KEYS_FILE")
    if secret_id is not None and secret_id not in callers:
        raise SettingsError(f"the configured keys have no SecretId {secret_id}")
    for name, caller in callers.items():
        valid_keys = [key for key in caller.keys if not key.is_expired(time.time())]
        if valid_keys and (name == secret_id or (secret_id is None and caller.may_call(action))):
            return name, valid_keys[0]
    raise SettingsError(f"no unexpired key may call {action}")


def host_header(endpoint: str) -> str:
    """Return the Host header that curl sends to ``endpoint``: without the port if it is the scheme's default."""
    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{endpoint} is not a valid URL") from error
    if parts.scheme not in DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(f"{endpoint} is not an http(s) URL")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host if port in (None, DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"


def signed_headers(secret_id: str, key: Key, host: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Return the headers that sign a POST of ``body`` to ``host``; ``timestamp`` in Unix seconds."""
    date = tc3.utc_date(timestamp)
    signed = {"content-type": _CONTENT_TYPE, "host": host}
    canonical = tc3.canonical_request("POST", "", signed, tuple(signed), tc3.sha256(body))
    string_to_sign = tc3.string_to_sign(str(timestamp), tc3.credential_scope(date, _SERVICE), canonical)
    signature = tc3.signature(tc3.signing_key(key.secret_key, date, _SERVICE), string_to_sign)
    authorization = tc3.Authorization(secret_id, date, _SERVICE, tuple(signed), signature)
    token = {"X-TC-Token": key.token} if key.token else {}
    return token | {
        "Authorization": tc3.format_authorization(authorization),
        "Content-Type": _CONTENT_TYPE,
        "X-TC-Timestamp": str(timestamp),
    }
