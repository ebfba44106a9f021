"""URLs, name look-ups, redirects and headers, against a mocked network."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpx
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.domain import ImageRef
from app.errors import ApiError, ErrorCode
from app.imaging.fetch import Fetcher, resolve
from app.imaging.source import load_image
from app.ops.deadline import Deadline
from app.ops.stage_timer import StageTimer
from app.settings import FetchSettings
from tests.imaging.conftest import read_image
from tests.imaging.hostile import PUBLIC, answered, failure, mocked, resolving

URL = "http://a.example/a.jpg"


def ok(_request: httpx.Request) -> httpx.Response:
    return answered(b"picture")


def forbidden(_request: httpx.Request) -> httpx.Response:
    raise AssertionError("nobody may be talked to")


async def fetched(fetcher: Fetcher, url: str = URL, max_bytes: int = 1000) -> bytes:
    async with fetcher:
        return await fetcher.fetch(url, Deadline.after(5), max_bytes)


ILLEGAL = [
    *("", " ", "a", "a.example", "/a.jpg", "//a.example/a.jpg", "http:", "http://", "http:///a.jpg", "http:a.example"),
    *(
        "ftp://a.example/a",
        "file:///etc/passwd",
        "gopher://a.example/_x",
        "data:image/png;base64,QUJD",
        "ws://a.example",
    ),
    *("dict://a.example", "javascript:alert(1)", "unix:///run/docker.sock", "http+unix://a", "httpx://a.example"),
    *("http://user@a.example/", "http://user:pass@a.example/", "http://:@a.example/", "http://a.example:80@127.0.0.1/"),
    *("http://a.example\\@127.0.0.1/", "http:\\\\a.example", "http://a.example/\\", "http://a.example/a b"),
    *(" http://a.example/", "http://a.example/\r\nHost: b", "http://a.example/\0", "http://a.example/\x7f"),
    *("http://a.example/\x85", "http://a.example/\u2028", "http://a.example/\u3000", "http://a\t.example/"),
    *(
        "http://a.example:0/",
        "http://a.example:65536/",
        "http://a.example:-1/",
        "http://a.example:x/",
        "http://a:80:80/",
    ),
    *("http://2130706433/", "http://017700000001/", "http://0x7f000001/", "http://127.1/", "http://0177.0.0.1/"),
    *(
        "http://0x7f.0.0.1/",
        "http://127.0.0.08/",
        "http://0/",
        "http://1.2.3/",
        "http://1.2.3.4.5/",
        "http://256.0.0.1/",
    ),
    *("http://１２７.0.0.1/", "http://ⓛocalhost/", "http://[::1%25lo]/", "http://[fe80::1%lo]/", "http://[::g]/"),
    *("http://[1.2.3.4]/", "http://[::1/", "http://::1/", "http://[]/", "http://[::1]x/", "http://[v1.a]/"),
    *("http://a..example/", "http://.example/", "http://a.example../", "http://*.example/", "http://a%2eexample/"),
    *("http://\ud800.example/", "http://a.example/\ud800", "http://" + "a" * 64 + ".example/"),
    *("http://" + "a." * 130 + "example/", "http://a.example/" + "a" * 8192, "http://" + "ü" * 8000 + "/"),
]


@pytest.mark.parametrize("url", ILLEGAL)
async def test_a_url_that_no_picture_has_is_illegal(url: str) -> None:
    async def never(_host: str, _port: int) -> list[str]:
        raise AssertionError("not even looked up")

    error = await failure(mocked(forbidden, never), url)
    assert error.code is ErrorCode.URL_ILLEGAL
    assert error.text == ErrorCode.URL_ILLEGAL.text


async def test_a_url_of_the_greatest_length_is_fetched() -> None:
    url = "http://a.example/?" + "a" * (8192 - 18)
    assert len(url) == 8192
    assert await fetched(mocked(ok), url) == b"picture"


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map("http://".__add__), st.text().map("https://a".__add__)))
def test_any_text_is_fetched_or_refused_with_an_error_of_ours(url: str) -> None:
    with suppress(ApiError):
        assert asyncio.run(fetched(mocked(ok), url)) == b"picture"


@pytest.mark.parametrize(
    ("url", "asked", "dialled", "host"),
    [
        ("http://a.example/x?y=1#z", ("a.example", 80), "http://8.8.8.8/x?y=1", "a.example"),
        ("HTTP://A.Example/x", ("a.example", 80), "http://8.8.8.8/x", "a.example"),
        ("https://a.example/", ("a.example", 443), "https://8.8.8.8/", "a.example"),
        ("http://a.example.:80/", ("a.example", 80), "http://8.8.8.8/", "a.example"),
        ("http://a.example:443/", ("a.example", 443), "http://8.8.8.8:443/", "a.example:443"),
        ("https://bücher.example/ü", ("xn--bcher-kva.example", 443), "https://8.8.8.8/%C3%BC", "xn--bcher-kva.example"),
        ("http://1.1.1.1/", ("1.1.1.1", 80), "http://8.8.8.8/", "1.1.1.1"),
        ("http://[2606:4700:4700:0::1111]/", ("2606:4700:4700::1111", 80), "http://8.8.8.8/", "[2606:4700:4700::1111]"),
    ],
)
async def test_the_vetted_address_is_dialled_under_the_name_of_the_host(
    url: str, asked: tuple[str, int], dialled: str, host: str
) -> None:
    lookups: list[tuple[str, int]] = []
    requests: list[httpx.Request] = []

    async def resolver(name: str, port: int) -> list[str]:
        lookups.append((name, port))
        return [PUBLIC]

    def answer(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return ok(request)

    assert await fetched(mocked(answer, resolver), url) == b"picture"
    assert lookups == [asked]
    (request,) = requests
    assert str(request.url).partition("#")[0] == dialled
    assert request.headers.get_list("Host") == [host]
    assert request.extensions["sni_hostname"] == asked[0]
    assert request.method == "GET"
    assert request.headers["Accept-Encoding"] == "identity"
    assert "Authorization" not in request.headers


@pytest.mark.parametrize(
    "addresses",
    [
        *(
            [],
            ["127.0.0.1"],
            ["10.0.0.1"],
            ["169.254.169.254"],
            ["::1"],
            ["fd00::1"],
            ["::ffff:127.0.0.1"],
            ["fe80::1%2"],
        ),
        *([PUBLIC, "10.0.0.1"], ["10.0.0.1", PUBLIC], [PUBLIC] * 20 + ["127.0.0.1"], ["nonsense"]),
    ],
)
async def test_a_host_with_no_or_any_private_address_is_never_talked_to(addresses: list[str]) -> None:
    error = await failure(mocked(forbidden, resolving(*addresses)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


@pytest.mark.parametrize("port", [22, 81, 6379, 8080])
async def test_a_strange_port_is_never_talked_to(port: int) -> None:
    assert (await failure(mocked(forbidden), f"http://a.example:{port}/")).code is ErrorCode.IMAGE_DOWNLOAD_ERROR


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://169.254.169.254/"])
async def test_the_real_resolver_leads_to_no_private_address(url: str) -> None:
    error = await failure(Fetcher(FetchSettings(), transport=httpx.MockTransport(forbidden)), url)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


async def test_the_real_resolver_knows_this_machine() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert await resolve(threads, "127.0.0.1", 80) == ["127.0.0.1"]
        assert await resolve(threads, "::1", 80) == ["::1"]


async def test_a_name_server_that_hangs_holds_up_nothing_but_urls(monkeypatch: pytest.MonkeyPatch) -> None:
    release = threading.Event()
    monkeypatch.setattr("app.imaging.fetch.socket.getaddrinfo", lambda *_, **__: release.wait(10) and [])
    inline = ImageRef(base64="QUJD")
    async with Fetcher(FetchSettings(timeout_s=0.2)) as fetcher:
        hanging = [fetcher.fetch("http://dead.example/a.jpg", Deadline.after(10), 100) for _ in range(40)]
        lookups = asyncio.gather(*hanging, return_exceptions=True)
        await asyncio.sleep(0.05)
        async with asyncio.timeout(5):
            assert read_image(await load_image(inline, fetcher, StageTimer.after(10))) == b"ABC"
        assert {error.code for error in await lookups if isinstance(error, ApiError)} == {
            ErrorCode.IMAGE_DOWNLOAD_ERROR
        }
        release.set()


@pytest.mark.parametrize("allow", [("10.0.0.0/8",), ("store.internal",), ("STORE.internal.",)])
async def test_what_the_operator_allows_is_fetched_on_any_port(allow: tuple[str, ...]) -> None:
    fetcher = mocked(ok, resolving("10.1.2.3"), FetchSettings(allow=allow))
    assert await fetched(fetcher, "http://store.internal:9000/a.jpg") == b"picture"


def test_a_malformed_exception_of_the_operator_is_refused_at_the_start() -> None:
    with pytest.raises(ValueError, match=r"'\*\.internal' is neither"):
        Fetcher(FetchSettings(allow=("*.internal",)))


async def test_a_name_is_asked_for_once_per_hop_however_its_answer_changes() -> None:
    answers = iter([[PUBLIC], ["127.0.0.1"]])
    dialled: list[str] = []

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(answers)

    def answer(request: httpx.Request) -> httpx.Response:
        dialled.append(request.url.host)
        return answered(status=302, headers={"Location": "/b.jpg"})

    error = await failure(mocked(answer, rebinding), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert dialled == [PUBLIC]


@pytest.mark.parametrize("first", [httpx.ConnectError("refused"), httpx.ConnectTimeout("silent")])
async def test_a_dead_address_gives_way_to_the_next(first: Exception) -> None:
    dialled: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        dialled.append(request.url.host)
        if request.url.host == "1.1.1.1":
            raise first
        return ok(request)

    assert await fetched(mocked(answer, resolving("1.1.1.1", "1.1.1.1", PUBLIC, "9.9.9.9"))) == b"picture"
    assert dialled == ["1.1.1.1", PUBLIC]


async def test_a_host_with_hundreds_of_addresses_does_not_make_us_knock_at_all_of_them() -> None:
    dialled: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        dialled.append(request.url.host)
        raise httpx.ConnectError("refused")

    hundreds = [f"8.8.{number}.8" for number in range(256)]
    assert (await failure(mocked(answer, resolving(*hundreds)), URL)).code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert dialled == hundreds[:4]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "final"),
    [
        ("/b.jpg", "http://a.example/b.jpg"),
        ("b.jpg?c", "http://a.example/x/b.jpg?c"),
        ("//b.example/c", "http://b.example/c"),
        ("https://b.example/c", "https://b.example/c"),
    ],
)
async def test_redirects_are_followed_with_a_fresh_host(status: int, location: str, final: str) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(f"{request.url.scheme}://{request.headers['Host']}{request.url.raw_path.decode()}")
        return ok(request) if len(seen) > 1 else answered(status=status, headers={"Location": location})

    assert await fetched(mocked(answer), "http://a.example/x/a.jpg") == b"picture"
    assert seen == ["http://a.example/x/a.jpg", final]


@pytest.mark.parametrize(
    "location",
    [
        *(
            "http://127.0.0.1/",
            "http://10.0.0.1/",
            "http://[::1]/",
            "http://169.254.169.254/latest/meta-data/",
            "//10.0.0.1",
        ),
        *(
            "http://a.example:22/",
            "ftp://a.example/",
            "file:///etc/passwd",
            "gopher://a.example/",
            "data:,x",
        ),
        *("http://user:pass@a.example/", "//user@a.example/", "http://2130706433/", "\\\\a.example\\b", "/a b", ""),
        *("http://[::1/", "http://a.example:99999/", "/" + "a" * 9000, "http://xn--/"),
    ],
)
async def test_a_redirect_is_vetted_like_the_first_url(location: str) -> None:
    seen: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        return [PUBLIC] if host == "a.example" else await resolve(threads, host, port)

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(request.url.host)
        return answered(status=302, headers={"Location": location})

    with ThreadPoolExecutor(1) as threads:
        error = await failure(mocked(answer, resolver), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert seen == [PUBLIC]


@pytest.mark.parametrize("most", [0, 1, 3])
async def test_a_loop_of_redirects_ends_at_the_limit(most: int) -> None:
    seen: list[str] = []

    def answer(request: httpx.Request) -> httpx.Response:
        seen.append(str(request.url))
        return answered(status=302, headers={"Location": URL})

    error = await failure(mocked(answer, settings=FetchSettings(max_redirects=most)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert len(seen) == most + 1


async def test_cookies_are_neither_kept_nor_sent() -> None:
    cookies: list[str | None] = []

    def answer(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        headers = {"Set-Cookie": "session=1; Path=/", "Location": "/b.jpg"}
        return answered(b"picture", 302 if len(cookies) == 1 else 200, headers)

    async with mocked(answer) as fetcher:
        assert await fetcher.fetch(URL, Deadline.after(5), 100) == b"picture"
        assert await fetcher.fetch(URL, Deadline.after(5), 100) == b"picture"
        assert len(fetcher._client.cookies.jar) == 0
    assert cookies == [None, None, None]


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 305, 400, 401, 403, 404, 418, 429, 500, 502, 503])
async def test_a_status_other_than_200_is_no_picture(status: int) -> None:
    error = await failure(mocked(lambda _request: answered(b"picture", status)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


FAILURES = [
    *(
        httpx.ConnectError("10.0.0.1"),
        httpx.ConnectTimeout("10.0.0.1"),
        httpx.ReadError("10.0.0.1"),
        httpx.WriteError("x"),
    ),
    *(httpx.RemoteProtocolError("x"), httpx.LocalProtocolError("x"), httpx.InvalidURL("x"), httpx.DecodingError("x")),
    *(ssl.SSLError("x"), ConnectionResetError("10.0.0.1"), OSError("10.0.0.1"), TimeoutError(), UnicodeError("x")),
    *(socket.gaierror(-2, "unknown 10.0.0.1"), httpx.PoolTimeout("x"), httpx.UnsupportedProtocol("x")),
]


@pytest.mark.parametrize("problem", FAILURES, ids=lambda problem: type(problem).__name__)
@pytest.mark.parametrize("where", ["resolver", "network"])
async def test_every_failure_of_the_far_side_looks_the_same(problem: Exception, where: str) -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        if where == "resolver":
            raise problem
        return [PUBLIC]

    def answer(_request: httpx.Request) -> httpx.Response:
        raise problem

    error = await failure(mocked(answer, resolver), URL)
    assert (error.code, error.text, error.image, str(error)) == (
        ErrorCode.IMAGE_DOWNLOAD_ERROR,
        ErrorCode.IMAGE_DOWNLOAD_ERROR.text,
        "",
        "FailedOperation.ImageDownloadError",
    )


@pytest.mark.parametrize(
    ("timeout_s", "deadline_s", "code"),
    [
        (0.05, 5.0, ErrorCode.IMAGE_DOWNLOAD_ERROR),
        (5.0, 0.05, ErrorCode.REQUEST_TIMEOUT),
        (5.0, 0.0, ErrorCode.REQUEST_TIMEOUT),
    ],
)
async def test_a_resolver_that_hangs_is_given_up(timeout_s: float, deadline_s: float, code: ErrorCode) -> None:
    async def hanging(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(60)
        raise AssertionError("nobody waits that long")

    started = time.monotonic()
    error = await failure(mocked(forbidden, hanging, FetchSettings(timeout_s=timeout_s)), URL, deadline_s)
    assert error.code is code
    assert time.monotonic() - started < 2
