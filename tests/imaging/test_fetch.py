"""URLs, name look-ups, redirects and headers, with a mocked network."""

import asyncio
import socket
import ssl
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress

import httpcore
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
from tests.imaging.fake_network import PUBLIC, FakePool, fetch_error, fixed_resolver, mock_fetcher, streamed_response

URL = "http://a.example/a.jpg"


def ok(_request: httpx.Request) -> httpx.Response:
    return streamed_response(b"image")


def no_request(_request: httpx.Request) -> httpx.Response:
    raise AssertionError("no request may be sent")


async def fetch_image(fetcher: Fetcher, url: str = URL, max_bytes: int = 1000) -> bytes:
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
    *("http://a.example\\@127.0.0.1/", "http:\\\\a.example", "http://a.example/\\", "http://a .example/"),
    *("ht tp://a.example/", "http://a.example/\r\nHost: b", "http://a.example/\0", "http://a.example/\x7f"),
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
async def test_malformed_urls_are_illegal(url: str) -> None:
    async def no_lookup(_host: str, _port: int) -> list[str]:
        raise AssertionError("no name may be looked up")

    error = await fetch_error(mock_fetcher(no_request, no_lookup), url)
    assert error.code is ErrorCode.URL_ILLEGAL
    assert error.text == ErrorCode.URL_ILLEGAL.text


async def test_a_url_of_maximum_length_is_fetched() -> None:
    url = "http://a.example/?" + "a" * (8192 - 18)
    assert len(url) == 8192
    assert await fetch_image(mock_fetcher(ok), url) == b"image"


@settings(max_examples=150, deadline=None)
@given(st.one_of(st.text(max_size=60), st.text(max_size=60).map("http://".__add__), st.text().map("https://a".__add__)))
def test_any_text_is_fetched_or_raises_an_api_error(url: str) -> None:
    with suppress(ApiError):
        assert asyncio.run(fetch_image(mock_fetcher(ok), url)) == b"image"


@pytest.mark.parametrize(
    ("url", "resolved", "requested_url", "host_header"),
    [
        ("http://a.example/x?y=1#z", ("a.example", 80), "http://8.8.8.8/x?y=1", "a.example"),
        ("HTTP://A.Example/x", ("a.example", 80), "http://8.8.8.8/x", "a.example"),
        ("https://a.example/", ("a.example", 443), "https://8.8.8.8/", "a.example"),
        ("http://a.example.:80/", ("a.example", 80), "http://8.8.8.8/", "a.example"),
        ("http://a.example:443/", ("a.example", 443), "http://8.8.8.8:443/", "a.example:443"),
        ("https://bücher.example/ü", ("xn--bcher-kva.example", 443), "https://8.8.8.8/%C3%BC", "xn--bcher-kva.example"),
        ("http://a.example/my photo.jpg?a b", ("a.example", 80), "http://8.8.8.8/my%20photo.jpg?a%20b", "a.example"),
        ("http://a.example/a%20b.jpg", ("a.example", 80), "http://8.8.8.8/a%20b.jpg", "a.example"),
        (" \thttp://a.example/x\r\n ", ("a.example", 80), "http://8.8.8.8/x", "a.example"),
        ("http://1.1.1.1/", ("1.1.1.1", 80), "http://8.8.8.8/", "1.1.1.1"),
        ("http://[2606:4700:4700:0::1111]/", ("2606:4700:4700::1111", 80), "http://8.8.8.8/", "[2606:4700:4700::1111]"),
    ],
)
async def test_the_request_goes_to_the_checked_address_with_the_name_of_the_host(
    url: str, resolved: tuple[str, int], requested_url: str, host_header: str
) -> None:
    lookups: list[tuple[str, int]] = []
    requests: list[httpx.Request] = []

    async def resolver(name: str, port: int) -> list[str]:
        lookups.append((name, port))
        return [PUBLIC]

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return ok(request)

    assert await fetch_image(mock_fetcher(respond, resolver), url) == b"image"
    assert lookups == [resolved]
    (request,) = requests
    assert str(request.url).partition("#")[0] == requested_url
    assert request.headers.get_list("Host") == [host_header]
    assert request.extensions["sni_hostname"] == resolved[0]
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
async def test_hosts_without_addresses_or_with_a_private_one_get_no_request(addresses: list[str]) -> None:
    error = await fetch_error(mock_fetcher(no_request, fixed_resolver(*addresses)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


@pytest.mark.parametrize("port", [22, 81, 6379, 8080])
async def test_other_ports_get_no_request(port: int) -> None:
    assert (
        await fetch_error(mock_fetcher(no_request), f"http://a.example:{port}/")
    ).code is ErrorCode.IMAGE_DOWNLOAD_ERROR


@pytest.mark.parametrize("url", ["http://127.0.0.1/", "http://[::1]/", "http://localhost/", "http://169.254.169.254/"])
async def test_with_the_real_resolver_private_addresses_get_no_request(url: str) -> None:
    error = await fetch_error(Fetcher(FetchSettings(), pool=FakePool(no_request)), url)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


async def test_the_real_resolver_resolves_this_machine() -> None:
    with ThreadPoolExecutor(1) as threads:
        assert await resolve(threads, "127.0.0.1", 80) == ["127.0.0.1"]
        assert await resolve(threads, "::1", 80) == ["::1"]


async def test_a_hanging_name_server_delays_only_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
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
async def test_allowed_hosts_are_fetched_on_any_port(allow: tuple[str, ...]) -> None:
    fetcher = mock_fetcher(ok, fixed_resolver("10.1.2.3"), FetchSettings(allow=allow))
    assert await fetch_image(fetcher, "http://store.internal:9000/a.jpg") == b"image"


def test_a_malformed_allow_list_is_rejected_on_construction() -> None:
    with pytest.raises(ValueError, match=r"'\*\.internal' is neither"):
        Fetcher(FetchSettings(allow=("*.internal",)))


async def test_a_name_is_resolved_once_per_redirect() -> None:
    results = iter([[PUBLIC], ["127.0.0.1"]])
    connected: list[str] = []

    async def rebinding(_host: str, _port: int) -> list[str]:
        return next(results)

    def respond(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        return streamed_response(status=302, headers={"Location": "/b.jpg"})

    error = await fetch_error(mock_fetcher(respond, rebinding), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert connected == [PUBLIC]


@pytest.mark.parametrize("problem", [httpcore.ConnectError("refused"), httpcore.ConnectTimeout("silent")])
async def test_after_an_unreachable_address_the_next_is_tried(problem: Exception) -> None:
    connected: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        if request.url.host == "1.1.1.1":
            raise problem
        return ok(request)

    assert await fetch_image(mock_fetcher(respond, fixed_resolver("1.1.1.1", "1.1.1.1", PUBLIC, "9.9.9.9"))) == b"image"
    assert connected == ["1.1.1.1", PUBLIC]


async def test_at_most_four_addresses_of_a_host_are_tried() -> None:
    connected: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        connected.append(request.url.host)
        raise httpcore.ConnectError("refused")

    hundreds = [f"8.8.{number}.8" for number in range(256)]
    assert (
        await fetch_error(mock_fetcher(respond, fixed_resolver(*hundreds)), URL)
    ).code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert connected == hundreds[:4]


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize(
    ("location", "final"),
    [
        ("/b.jpg", "http://a.example/b.jpg"),
        ("b.jpg?c", "http://a.example/x/b.jpg?c"),
        ("//b.example/c", "http://b.example/c"),
        ("https://b.example/c", "https://b.example/c"),
        ("/my photo.jpg?a b", "http://a.example/my%20photo.jpg?a%20b"),
        ("http://b.example/my photo.jpg", "http://b.example/my%20photo.jpg"),
        (" /b.jpg ", "http://a.example/b.jpg"),
        ("/照片.jpg", "http://a.example/%E7%85%A7%E7%89%87.jpg"),
    ],
)
async def test_redirects_are_followed_with_the_new_host(status: int, location: str, final: str) -> None:
    requested: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requested.append(f"{request.url.scheme}://{request.headers['Host']}{request.url.raw_path.decode()}")
        headers = {b"Location": location.encode()}
        return ok(request) if len(requested) > 1 else streamed_response(status=status, headers=headers)

    assert await fetch_image(mock_fetcher(respond), "http://a.example/x/a.jpg") == b"image"
    assert requested == ["http://a.example/x/a.jpg", final]


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
        *("http://user:pass@a.example/", "//user@a.example/", "http://2130706433/", "\\\\a.example\\b", "/a\x7fb", ""),
        *("http://[::1/", "http://a.example:99999/", "/" + "a" * 9000, "http://xn--/"),
    ],
)
async def test_a_redirect_is_checked_like_the_first_url(location: str) -> None:
    requested: list[str] = []

    async def resolver(host: str, port: int) -> list[str]:
        return [PUBLIC] if host == "a.example" else await resolve(threads, host, port)

    def respond(request: httpx.Request) -> httpx.Response:
        requested.append(request.url.host)
        return streamed_response(status=302, headers={"Location": location})

    with ThreadPoolExecutor(1) as threads:
        error = await fetch_error(mock_fetcher(respond, resolver), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert requested == [PUBLIC]


@pytest.mark.parametrize("max_redirects", [0, 1, 3])
async def test_a_loop_of_redirects_ends_at_the_limit(max_redirects: int) -> None:
    requested: list[str] = []

    def respond(request: httpx.Request) -> httpx.Response:
        requested.append(str(request.url))
        return streamed_response(status=302, headers={"Location": URL})

    error = await fetch_error(mock_fetcher(respond, settings=FetchSettings(max_redirects=max_redirects)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR
    assert len(requested) == max_redirects + 1


async def test_cookies_are_neither_stored_nor_sent() -> None:
    cookies: list[str | None] = []

    def respond(request: httpx.Request) -> httpx.Response:
        cookies.append(request.headers.get("Cookie"))
        headers = {"Set-Cookie": "session=1; Path=/", "Location": "/b.jpg"}
        return streamed_response(b"image", 302 if len(cookies) == 1 else 200, headers)

    async with mock_fetcher(respond) as fetcher:
        assert await fetcher.fetch(URL, Deadline.after(5), 100) == b"image"
        assert await fetcher.fetch(URL, Deadline.after(5), 100) == b"image"
    assert cookies == [None, None, None]


@pytest.mark.parametrize("status", [201, 204, 206, 300, 304, 305, 400, 401, 403, 404, 418, 429, 500, 502, 503])
async def test_a_status_other_than_200_is_a_download_error(status: int) -> None:
    error = await fetch_error(mock_fetcher(lambda _request: streamed_response(b"image", status)), URL)
    assert error.code is ErrorCode.IMAGE_DOWNLOAD_ERROR


FAILURES = [
    *(
        httpcore.ConnectError("10.0.0.1"),
        httpcore.ConnectTimeout("10.0.0.1"),
        httpcore.ReadError("10.0.0.1"),
        httpcore.WriteError("x"),
    ),
    *(
        httpcore.RemoteProtocolError("x"),
        httpcore.LocalProtocolError("x"),
        httpcore.ReadTimeout("x"),
        httpcore.WriteTimeout("x"),
    ),
    *(ssl.SSLError("x"), ConnectionResetError("10.0.0.1"), OSError("10.0.0.1"), TimeoutError(), UnicodeError("x")),
    *(socket.gaierror(-2, "unknown 10.0.0.1"), httpcore.PoolTimeout("x"), httpcore.UnsupportedProtocol("x")),
]


@pytest.mark.parametrize("problem", FAILURES, ids=lambda problem: type(problem).__name__)
@pytest.mark.parametrize("source", ["resolver", "network"])
async def test_all_failures_have_the_same_error(problem: Exception, source: str) -> None:
    async def resolver(_host: str, _port: int) -> list[str]:
        if source == "resolver":
            raise problem
        return [PUBLIC]

    def respond(_request: httpx.Request) -> httpx.Response:
        raise problem

    error = await fetch_error(mock_fetcher(respond, resolver), URL)
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
async def test_a_hanging_resolver_is_abandoned_at_the_timeout(
    timeout_s: float, deadline_s: float, code: ErrorCode
) -> None:
    async def hanging(_host: str, _port: int) -> list[str]:
        await asyncio.sleep(60)
        raise AssertionError("the look-up must be cancelled")

    started = time.monotonic()
    error = await fetch_error(mock_fetcher(no_request, hanging, FetchSettings(timeout_s=timeout_s)), URL, deadline_s)
    assert error.code is code
    assert time.monotonic() - started < 2
