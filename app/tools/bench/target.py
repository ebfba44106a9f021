"""Signed requests for ``compareface bench load``, and the checks that it can measure something."""

from __future__ import annotations

import base64
import json
import socket
import time
from collections.abc import Sequence
from pathlib import Path
from urllib.parse import urlsplit

from app.environment import Settings, SettingsError
from app.tools.bench.load import Target, http_request
from app.tools.signing import host_header, pick_key, signed_headers

_CONNECT_TIMEOUT_S = 5.0


def check_load(seconds: float, rate: float | None) -> None:
    """Raise ``SettingsError`` if the load would have no request."""
    if not seconds > 0 or (rate is not None and not rate * seconds >= 1):
        raise SettingsError("--seconds and --rate must be above 0 and must give at least one request")


def prepare_target(settings: Settings, endpoint: str, photos: Sequence[Path]) -> Target:
    """Return signed requests that compare each photo with the next one; signatures expire after a few minutes.

    Raise ``SettingsError`` if ``endpoint`` is not an http URL or does not accept a connection.
    """
    secret_id, key = pick_key(settings.auth, None)
    host, parts = host_header(endpoint), urlsplit(endpoint)
    if parts.scheme != "http":
        raise SettingsError(f"{endpoint} is not an http URL; measure the service itself, not a proxy in front of it")
    images = [base64.b64encode(photo.read_bytes()).decode("ascii") for photo in photos]
    requests = []
    for a, b in zip(images, [*images[1:], images[0]], strict=True):
        body = json.dumps({"ImageA": a, "ImageB": b}).encode()
        signed = signed_headers(secret_id, key, host, body, int(time.time()))
        headers = {**signed, "X-TC-Action": "CompareFace", "X-TC-Version": "2020-03-03"}
        requests.append(http_request(host, headers, body))
    target = Target(parts.hostname or "", parts.port or 80, requests)
    try:
        socket.create_connection((target.host, target.port), _CONNECT_TIMEOUT_S).close()
    except OSError as error:
        raise SettingsError(f"no server at {target.host}:{target.port}: {error.strerror or error}") from error
    return target
