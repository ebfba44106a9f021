"""``compareface sign A [B]``: a ready, signed curl command. Piped to bash, it asks a running service.

The body is a here-document, whose last newline ``--data-binary`` sends along: it is signed with it.
"""

from __future__ import annotations

import argparse
import json
import shlex
import time
from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from app.environment import load_settings

if TYPE_CHECKING:
    from app.api.auth.keys import Key
    from app.domain import ImageRef
    from app.settings import AuthSettings

_SERVICE = "iai"
_SIGNED_HEADERS = ("content-type", "host")
_CONTENT_TYPE = "application/json"
_DEFAULT_PORTS = {"http": 80, "https": 443}
_END_OF_BODY = "END_OF_BODY"


def register(commands: argparse._SubParsersAction[argparse.ArgumentParser]) -> None:
    parser = commands.add_parser(
        "sign",
        help="print a signed curl command",
        description="Print a curl command that compares two pictures (CompareFace), or finds the faces of one "
        "(DetectFace), signed with a key of the settings. The signature expires after some minutes.",
    )
    parser.add_argument("a", metavar="A", help="a picture: a file or an http(s) URL")
    parser.add_argument("b", metavar="B", nargs="?", help="another, to compare it with")
    parser.add_argument("--endpoint", default="http://127.0.0.1:8000", help="address of the service (%(default)s)")
    parser.add_argument("--secret-id", help="sign with this SecretId's first key; default: the first of all")
    parser.add_argument("--version", default="2020-03-03", help="of the API (%(default)s)")
    parser.set_defaults(run=run)


def run(args: argparse.Namespace) -> int:
    from app.cli.compare import image_ref  # noqa: PLC0415 - heavy; the parser must stay quick

    action = "CompareFace" if args.b is not None else "DetectFace"
    secret_id, key = pick_key(load_settings().auth, args.secret_id, action)
    sides = {"A": image_ref(args.a), "B": image_ref(args.b)} if args.b is not None else {"": image_ref(args.a)}
    told = {name: value for side, ref in sides.items() for name, value in _side(side, ref).items()}
    body = json.dumps(told, ensure_ascii=False) + "\n"
    headers = {
        **signed_headers(secret_id, key, sent_host(args.endpoint), body.encode(), int(time.time())),
        "X-TC-Action": action,
        "X-TC-Version": args.version,
    }
    print(curl_command(args.endpoint, headers, body))
    return 0


def pick_key(settings: AuthSettings, secret_id: str | None, action: str = "CompareFace") -> tuple[str, Key]:
    """Return a SecretId and a key of it that may be used now; raise ``SettingsError`` where there is none."""
    from app.api.auth.keys import KeyRing  # noqa: PLC0415
    from app.environment import SettingsError  # noqa: PLC0415

    callers = KeyRing(settings).callers()
    if not callers:
        raise SettingsError("no keys are configured: set COMPAREFACE_AUTH__KEYS or COMPAREFACE_AUTH__KEYS_FILE")
    if secret_id is not None and secret_id not in callers:
        raise SettingsError(f"the configured keys have no SecretId {secret_id}")
    for name, caller in callers.items():
        usable = [key for key in caller.keys if not key.is_expired(time.time())]
        if usable and (name == secret_id or (secret_id is None and caller.may(action))):
            return name, usable[0]
    raise SettingsError(f"no configured key is allowed {action} and has not expired")


def sent_host(endpoint: str) -> str:
    """Return the Host header that curl sends: the port is left out where it is the scheme's own."""
    from app.environment import SettingsError  # noqa: PLC0415

    try:
        parts = urlsplit(endpoint)
        port = parts.port
    except ValueError as error:
        raise SettingsError(f"{endpoint} is not an address") from error
    if parts.scheme not in _DEFAULT_PORTS or not parts.hostname:
        raise SettingsError(f"{endpoint} is not an http(s) address")
    host = f"[{parts.hostname}]" if ":" in parts.hostname else parts.hostname
    return host if port in (None, _DEFAULT_PORTS[parts.scheme]) else f"{host}:{port}"


def signed_headers(secret_id: str, key: Key, host: str, body: bytes, timestamp: int) -> dict[str, str]:
    """Return the headers that sign a POST of ``body`` to ``host``."""
    from app.api.auth import tc3  # noqa: PLC0415

    date = tc3.utc_date(timestamp)
    canonical = tc3.canonical_request(
        "POST", "", {"content-type": _CONTENT_TYPE, "host": host}, _SIGNED_HEADERS, tc3.hashed_payload(tc3.sha256(body))
    )
    text = tc3.string_to_sign(str(timestamp), tc3.credential_scope(date, _SERVICE), canonical)
    signature = tc3.signature(tc3.signing_key(key.secret_key, date, _SERVICE), text)
    claim = tc3.Authorization(secret_id, date, _SERVICE, _SIGNED_HEADERS, signature)
    token = {"X-TC-Token": key.token} if key.token else {}
    return token | {
        "Authorization": tc3.format_authorization(claim),
        "Content-Type": _CONTENT_TYPE,
        "X-TC-Timestamp": str(timestamp),
    }


def curl_command(endpoint: str, headers: Mapping[str, str], body: str) -> str:
    """Return the command; ``body`` is one line of JSON, its newline included."""
    options = [f"-H {shlex.quote(f'{name}: {value}')}" for name, value in headers.items()]
    head = " \\\n  ".join([f"curl -sS {shlex.quote(endpoint)}", *options, f"--data-binary @- <<'{_END_OF_BODY}'"])
    return f"{head}\n{body}{_END_OF_BODY}"


def _side(name: str, ref: ImageRef) -> dict[str, str]:
    return {f"Url{name}": ref.url} if ref.url else {f"Image{name}": ref.base64}
