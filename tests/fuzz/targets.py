"""Targets: bytes in; nothing but an ``ApiError`` may come out, and what is understood must mean what it says.

Each is a function of the fuzzer's bytes. A defect is any other exception, a failed assertion, or more time or memory
than ``run.py`` allows.
"""

from __future__ import annotations

import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress

from app.api import parameters
from app.api.actions.base import bind
from app.api.actions.compare_face import COMPARE_FACE
from app.api.auth import tc3
from app.api.auth.authenticator import Authenticator
from app.api.auth.keys import KeyRing
from app.api.request import CloudRequest
from app.errors import ApiError
from app.imaging import source
from app.imaging.decode import decode
from app.settings import AuthSettings

_NOW = 1_700_000_000
_SETTINGS = AuthSettings.model_validate({"keys": "AKIDEXAMPLE:a key that no fuzzer guesses"})
_AUTHENTICATOR = Authenticator(_SETTINGS, KeyRing(_SETTINGS), is_open=False, clock=lambda: _NOW)
_MODEL = COMPARE_FACE.models["2020-03-03"]


def base64_text(data: bytes) -> None:
    """What the standard library would write is taken, and for the bytes that it wrote."""
    text = data.decode("latin-1")
    try:
        found = source._decode_any(text)
    except ApiError:
        found = None
    with suppress(ValueError):
        expected = binascii.a2b_base64(text)
        if binascii.b2a_base64(expected, newline=False) == data:
            assert found == expected


def authorization(data: bytes) -> None:
    """What is understood of a header of TC3 is all that it says."""
    text = data.decode("latin-1")
    claim = tc3.parse_authorization(text)
    if claim is not None:
        assert tc3.format_authorization(claim).replace(" ", "") == text.replace(" ", "")


def signed_request(data: bytes) -> None:
    """Lines of a head, an empty line, a body: in both dialects nothing verifies that was not signed."""
    head, _, body = data.partition(b"\n\n")
    first, *lines = head.decode("latin-1").split("\n")
    method, _, query = first.partition(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    request = CloudRequest(method, "/", query, headers).with_body(body, tc3.sha256(body))
    with suppress(ApiError):
        if request.is_v1:
            request = request.with_v1(parameters.from_form(query.encode("latin-1") if method == "GET" else body))
        examined = _AUTHENTICATOR.check_headers(request)
        _AUTHENTICATOR.verify(request, examined)
        raise AssertionError("a request verifies that nobody signed")


def form(data: bytes) -> None:
    with suppress(ApiError):
        _bound(parameters.from_form(data), is_text=True)


def multipart(data: bytes) -> None:
    """The first line is the Content-Type."""
    content_type, _, body = data.partition(b"\n")
    with suppress(ApiError):
        _bound(parameters.from_multipart(body, content_type.decode("latin-1")), is_text=True)


def json(data: bytes) -> None:
    with suppress(ApiError):
        _bound(parameters.from_json(data), is_text=False)


def _bound(values: Mapping[str, object], *, is_text: bool) -> None:
    for is_lenient in (False, True):
        with suppress(ApiError):
            bind(_MODEL, values, is_text=is_text, is_lenient=is_lenient)


def picture(data: bytes) -> None:
    """What is decoded is an image of a size that is accepted."""
    with suppress(ApiError):
        height, width, channels = decode(data).shape
        assert channels == 3
        assert 64 <= min(height, width) <= max(height, width) <= 4000


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (base64_text, authorization, signed_request, form, multipart, json, picture)
}
