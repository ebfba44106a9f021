"""The fuzz targets: functions of arbitrary bytes.

A target fails if it raises any exception except ``ApiError``, or exceeds the time and memory limits of ``run.py``.
"""

import binascii
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import replace

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
_SETTINGS = AuthSettings.model_validate({"keys": "AKIDEXAMPLE:a-key-that-the-fuzzer-does-not-have"})
_AUTHENTICATOR = Authenticator(_SETTINGS, KeyRing.open(_SETTINGS), is_open=False, clock=lambda: _NOW)
_MODEL = COMPARE_FACE.models["2020-03-03"]


def base64_text(data: bytes) -> None:
    """Base64 in the standard library's form decodes to the same bytes."""
    text = data.decode("latin-1")
    try:
        decoded = source.decode_base64(text)
    except ApiError:
        decoded = b""
    with suppress(ValueError):
        expected = binascii.a2b_base64(text)
        if binascii.b2a_base64(expected, newline=False) == data:
            assert decoded == expected


def authorization(data: bytes) -> None:
    """A parsed TC3 header formats to the same header."""
    text = data.decode("latin-1")
    parsed = tc3.parse_authorization(text)
    if parsed is not None:
        assert tc3.format_authorization(parsed).replace(" ", "") == text.replace(" ", "")


def signed_request(data: bytes) -> None:
    """No signature verifies, TC3 or v1. Format: method and query, header lines, an empty line, the body."""
    head, _, body = data.partition(b"\n\n")
    request_line, *lines = head.decode("latin-1").split("\n")
    method, _, query = request_line.partition(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    request = CloudRequest(method, "/", query, headers, body, tc3.sha256(body))
    with suppress(ApiError):
        if request.is_v1:
            request = replace(
                request, v1_parameters=parameters.from_form(query.encode("latin-1") if method == "GET" else body)
            )
        _AUTHENTICATOR.verify(request, _AUTHENTICATOR.check_credential(request))
        raise AssertionError("a request without a valid signature verifies")


def form(data: bytes) -> None:
    with suppress(ApiError):
        _bind(parameters.from_form(data), is_text=True)


def multipart(data: bytes) -> None:
    """Format: the Content-Type on the first line, then the body."""
    content_type, _, body = data.partition(b"\n")
    with suppress(ApiError):
        _bind(parameters.from_multipart(body, content_type.decode("latin-1")), is_text=True)


def json(data: bytes) -> None:
    with suppress(ApiError):
        _bind(parameters.from_json(data), is_text=False)


def _bind(values: Mapping[str, object], *, is_text: bool) -> None:
    for is_lenient in (False, True):
        with suppress(ApiError):
            bind(_MODEL, values, is_text=is_text, is_lenient=is_lenient)


def image(data: bytes) -> None:
    """A decoded image has an accepted size."""
    with suppress(ApiError):
        height, width, channels = decode(data).shape
        assert channels == 3
        assert 64 <= min(height, width) <= max(height, width) <= 4000


TARGETS: Mapping[str, Callable[[bytes], None]] = {
    target.__name__: target for target in (base64_text, authorization, signed_request, form, multipart, json, image)
}
