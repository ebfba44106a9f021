"""The reasons of ``ImageDecodeFailed`` for mistakes that clients make when they encode an image."""

import base64
import json
import random
import time
from collections.abc import Callable
from textwrap import indent, wrap
from urllib.parse import quote

import pytest
from PIL import Image as Pillow

from app.errors import ApiError, ErrorCode
from app.imaging.decode import decode
from app.imaging.source import MAX_BASE64_CHARACTERS, decode_base64
from tests.imaging.conftest import write


def _base64(data: bytes) -> str:
    return base64.b64encode(data).decode()


MISTAKES: list[tuple[str, Callable[[bytes], str], str]] = [
    ("base64 of base64", lambda data: _base64(_base64(data).encode()), "is base64 text; encode it only once"),
    ("base64 of folded base64", lambda data: _base64(base64.encodebytes(data)), "is base64 text; encode it only once"),
    (
        "base64 of a data URL",
        lambda data: _base64(b"data:image/jpeg;base64," + base64.b64encode(data)),
        "is base64 text; encode it only once",
    ),
    ("percent-encoded", lambda data: quote(_base64(data), safe=""), "is percent-encoded"),
    ("percent-encoded `+`", lambda data: _base64(data).replace("+", "%2B"), "is percent-encoded"),
    ("percent-encoded `/`", lambda data: _base64(data).replace("/", "%2f"), "is percent-encoded"),
    (
        "percent-encoded `=`",
        lambda data: _base64(data + b"\0" * (-len(data) % 3 + 1)).replace("=", "%3D"),
        "is percent-",
    ),
    ("spaces for `+`", lambda data: _base64(data).replace("+", " "), "contains spaces, probably instead of `+`"),
    (
        "spaces for `+`, folded",
        lambda data: "\r\n".join(wrap(_base64(data), 76)).replace("+", " "),
        "contains spaces, probably instead of `+`",
    ),
    (
        "spaces for `+` in a data URL",
        lambda data: "data:image/jpeg;base64," + _base64(data).replace("+", " "),
        "contains spaces, probably instead of `+`",
    ),
    ("hexadecimal", lambda data: data.hex(), "is hexadecimal text"),
    ("hexadecimal, upper case", lambda data: data.hex().upper(), "is hexadecimal text"),
    ("hexadecimal with 0x", lambda data: "0x" + data.hex(), "is hexadecimal text"),
    ("base64 of hexadecimal", lambda data: _base64(data.hex().encode()), "is hexadecimal text"),
    ("a JSON string", lambda data: json.dumps(_base64(data)), "contains quotes or escapes of JSON"),
    ("JSON escapes", lambda data: _base64(data).replace("/", r"\/"), "contains quotes or escapes of JSON"),
    ("str() of bytes", lambda data: str(base64.b64encode(data)), "is a bytes literal of Python"),
    ("a URL", lambda _: "https://a.example/a.jpg", "is a URL instead of base64"),
    ("a blob URL", lambda _: "blob:https://a.example/2f1c", "is a URL instead of base64"),
    ("cut in a group of four", lambda data: _base64(data)[:101], "the text is not base64"),
    ("words", lambda _: "This is not an image!", "the text is not base64"),
    ("GIF", lambda _: _base64(b"GIF89a"), "not in JPEG, PNG or BMP format"),
]


@pytest.fixture(scope="module", params=["JPEG", "PNG", "BMP"])
def encoded(request: pytest.FixtureRequest, astronaut: Pillow.Image) -> bytes:
    return write(astronaut, request.param)


@pytest.mark.parametrize(("mistake", "reason"), [row[1:] for row in MISTAKES], ids=[row[0] for row in MISTAKES])
def test_a_mistake_of_the_encoding_is_named(encoded: bytes, mistake: Callable[[bytes], str], reason: str) -> None:
    assert decode(decode_base64(_base64(encoded))).any()
    with pytest.raises(ApiError) as caught:
        decode(decode_base64(mistake(encoded)))
    error = caught.value
    assert error.code is ErrorCode.IMAGE_DECODE_FAILED
    assert reason in error.reason
    assert error.message(chinese=False) == f"Image decoding failed: {error.reason}."
    assert error.message(chinese=True).startswith("图片解码失败：")
    assert error.message(chinese=True) != ErrorCode.IMAGE_DECODE_FAILED.text.zh


@pytest.mark.parametrize("fold", ["\n", "\r\n", " \n", "\r\n  ", "\n\t"])
@pytest.mark.parametrize("width", [64, 76, 1000])
def test_folded_and_indented_text_is_accepted(encoded: bytes, fold: str, width: int) -> None:
    text = fold.join(wrap(_base64(encoded), width))
    assert decode_base64(text) == encoded
    assert decode_base64(indent(text, "    ") + "\n") == encoded


def test_text_whose_plus_signs_became_spaces_is_never_decoded(astronaut: Pillow.Image) -> None:
    generator, refused = random.Random(5), 0
    for _ in range(150):
        left, top = generator.randrange(230), generator.randrange(150)
        data = write(astronaut.crop((left, top, left + 70, top + 70)), "JPEG", quality=generator.randrange(20, 95))
        text = _base64(data)
        if "+" in text:
            with pytest.raises(ApiError, match="ImageDecodeFailed"):
                decode_base64(text.replace("+", " "))
            refused += 1
    assert refused > 140


@pytest.mark.parametrize(
    "text", ["a " * (MAX_BASE64_CHARACTERS // 2), "a" + " " * (MAX_BASE64_CHARACTERS - 1), "%" * MAX_BASE64_CHARACTERS]
)
def test_long_text_is_explained_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    with pytest.raises(ApiError, match="ImageDecodeFailed"):
        decode(decode_base64(text))
    assert time.perf_counter() - started < 1
