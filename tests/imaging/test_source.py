import base64
import binascii
import os
import time
from textwrap import wrap

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.domain import ImageRef
from app.errors import ApiError, ErrorCode
from app.imaging import source
from app.imaging.fetch import Fetcher
from app.imaging.source import MAX_BASE64_CHARACTERS, MAX_BYTES, load_image
from app.ops.stage_timer import StageTimer
from app.settings import FetchSettings
from tests.imaging.conftest import read_image
from tests.imaging.fake_network import mock_fetcher, streamed_response

DATA = bytes(range(256)) + b"\xfb\xff\xbe"
TEXT = base64.b64encode(DATA).decode()
TO_STANDARD_ALPHABET = bytes.maketrans(b"-_", b"+/")


async def load_text(text: str) -> bytes:
    return read_image(await load_image(ImageRef(base64=text), Fetcher(FetchSettings()), StageTimer.after(5)))


async def test_loading_does_not_decode_base64() -> None:
    assert await load_image(ImageRef(base64="****"), Fetcher(FetchSettings()), StageTimer.after(5)) == "****"


async def error_of(text: str) -> ErrorCode:
    with pytest.raises(ApiError) as caught:
        await load_text(text)
    return caught.value.code


def test_the_limit_is_5_mib_of_base64() -> None:
    assert MAX_BASE64_CHARACTERS == 5_242_880
    assert MAX_BYTES == 3_932_160
    assert len(base64.b64encode(bytes(MAX_BYTES))) == MAX_BASE64_CHARACTERS


async def test_text_of_maximum_length_is_accepted() -> None:
    assert await load_text("A" * MAX_BASE64_CHARACTERS) == bytes(MAX_BYTES)


@pytest.mark.parametrize(
    "text", ["A" * (MAX_BASE64_CHARACTERS + 1), "=" * (MAX_BASE64_CHARACTERS + 1), "é" * (MAX_BASE64_CHARACTERS + 1)]
)
async def test_longer_text_is_rejected_without_decoding(text: str) -> None:
    assert await error_of(text) is ErrorCode.IMAGE_SIZE_EXCEED


@pytest.mark.parametrize(
    "text",
    [
        TEXT,
        TEXT.replace("+", "-").replace("/", "_"),
        TEXT.rstrip("="),
        "\n".join(wrap(TEXT, 76)),
        "\r\n".join(wrap(TEXT, 64)) + "\r\n",
        "  " + TEXT + "\t\n",
        "data:image/jpeg;base64," + TEXT,
        "DATA:Image/PNG;BASE64," + TEXT,
        "data:image/svg+xml;charset=utf-8;base64," + TEXT,
        "data:application/octet-stream;base64," + TEXT,
        "data:;base64," + TEXT,
        " \n data:image/png;base64,\n" + "\n".join(wrap(TEXT, 76)),
        "data:image/png;base64," + TEXT.replace("+", "-").replace("/", "_").rstrip("="),
    ],
)
async def test_common_variants_of_base64_are_accepted(text: str) -> None:
    assert await load_text(text) == DATA


@pytest.mark.parametrize(
    ("digits", "data"), [("QQ", b"A"), ("QQ=", b"A"), ("QQ==", b"A"), ("QUI", b"AB"), ("QUJD", b"ABC")]
)
async def test_padding_may_be_incomplete(digits: str, data: bytes) -> None:
    assert await load_text(digits) == data


@pytest.mark.parametrize("text", ["", " ", "\r\n\t", "data:image/png;base64,", "data:image/png;base64, \n", "=", "=="])
async def test_text_without_data_is_an_empty_image(text: str) -> None:
    assert await error_of(text) is ErrorCode.IMAGE_EMPTY


@pytest.mark.parametrize(
    "text",
    [
        *("A", "AAAAA", "QQ===", "QQ====", "===", "Q=Q=", "QQ==QQ==", "=QQQ", "!!!!", "QUJD\0", "QUJD.", "QU*D"),
        *("QUJDé", "\u3000QUJD", "\ud800", "图片", "\u212aUJD", "%51%51%3D%3D", "<svg/>", "http://a.example/a.jpg"),
        *("data:image/png,QUJD", "data:image/png;base64", "data:image/png;base64,data:image/png;base64,QUJD"),
        *("data:" + "a" * 200 + "/png;base64,QUJD", "data:image/png" + ";a=b" * 9 + ";base64,QUJD", "data:,QUJD"),
        TEXT[:-4] + "=" + TEXT[-4:],
    ],
)
async def test_other_characters_are_rejected_and_not_skipped(text: str) -> None:
    assert await error_of(text) is ErrorCode.IMAGE_DECODE_FAILED


def decode_with_standard_library(text: str) -> bytes | None:
    """Return the expected result for any text, or None if it must be rejected."""
    prefix = source._PREFIX.match(text)
    content = text[prefix.end() if prefix else 0 :]
    if any(" " in line.strip() for line in content.split("\n")):
        return None
    try:
        digits = content.encode("ascii").translate(TO_STANDARD_ALPHABET, b" \t\r\n\v\f")
        bare = digits.rstrip(b"=")
        if len(digits) - len(bare) > 2:
            return None
        return binascii.a2b_base64(bare + b"=" * (-len(bare) % 4), strict_mode=True)
    except ValueError:
        return None


def decode_or_none(text: str) -> bytes | None:
    try:
        return source.decode_base64(text)
    except ApiError as error:
        return b"" if error.code is ErrorCode.IMAGE_EMPTY else None


@st.composite
def mutated_base64(draw: st.DrawFn) -> str:
    """Draw base64 in an accepted variant, long enough for vector instructions, and edit it at random positions."""
    text = base64.b64encode(draw(st.binary(max_size=200))).decode()
    text = draw(st.sampled_from(["", "data:image/png;base64,", " \nDATA:image/png;base64,"])) + text
    for _ in range(draw(st.integers(0, 4))):
        start, length = draw(st.integers(0, len(text))), draw(st.integers(0, 2))
        text = (
            text[:start] + draw(st.text("Af09+/-_=== \n,:.!\0\x7fé\u212a\ud800", max_size=3)) + text[start + length :]
        )
    return text


@given(mutated_base64())
def test_decoding_agrees_with_the_standard_library(text: str) -> None:
    assert decode_or_none(text) == decode_with_standard_library(text)


def fetcher_of(data: bytes) -> Fetcher:
    return mock_fetcher(lambda _request: streamed_response(data))


async def test_a_url_takes_precedence_over_inline_data() -> None:
    async with fetcher_of(DATA) as fetcher:
        ref = ImageRef(base64="1" * (MAX_BASE64_CHARACTERS + 1), url="http://a.example/a.jpg")
        assert read_image(await load_image(ref, fetcher, StageTimer.after(5))) == DATA


@pytest.mark.parametrize(
    ("size", "code"), [(MAX_BYTES, None), (MAX_BYTES + 1, ErrorCode.IMAGE_SIZE_EXCEED), (0, ErrorCode.IMAGE_EMPTY)]
)
async def test_downloads_have_the_size_limit_of_inline_images(size: int, code: ErrorCode | None) -> None:
    async with fetcher_of(bytes(size)) as fetcher:
        ref = ImageRef(url="http://a.example/a.jpg")
        if code is None:
            assert len(read_image(await load_image(ref, fetcher, StageTimer.after(5)))) == size
        else:
            with pytest.raises(ApiError) as caught:
                read_image(await load_image(ref, fetcher, StageTimer.after(5)))
            assert caught.value.code is code


async def test_the_largest_text_is_decoded() -> None:
    data = os.urandom(MAX_BYTES - 120_000)
    text = base64.encodebytes(data).decode()
    assert MAX_BASE64_CHARACTERS * 0.97 < len(text) <= MAX_BASE64_CHARACTERS
    started = time.perf_counter()
    assert await load_text(text) == data
    print(f"{len(text)} characters: {(time.perf_counter() - started) * 1000:.1f} ms")  # noqa: T201 - a measurement


@pytest.mark.parametrize(
    "text", ["data:" * 10**6, " " * MAX_BASE64_CHARACTERS, "data:image/png" + ";a" * 10**6, "=" * MAX_BASE64_CHARACTERS]
)
async def test_hostile_text_is_rejected_in_linear_time(text: str) -> None:
    started = time.perf_counter()
    assert await error_of(text) in {ErrorCode.IMAGE_DECODE_FAILED, ErrorCode.IMAGE_EMPTY}
    assert time.perf_counter() - started < 2
