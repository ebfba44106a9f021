"""Image URL -> bytes, protected against server-side request forgery (SSRF).

Each host is resolved once, and all its addresses are checked. The connection goes to a checked address, with the host
name in ``Host`` and in the TLS handshake. DNS rebinding therefore has no effect, and the certificate must match the
name. Each redirect is checked like the first URL. Proxies, cookies and credentials of the environment are not used.

Raises ``UrlIllegal`` for a malformed URL, ``ImageSizeExceed``, ``DeadlineExceededError``, and ``ImageDownloadError``
for every other failure, without details, so that clients cannot scan the private network.
"""

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing, suppress
from functools import partial
from http import HTTPStatus
from typing import Self, TypeAlias
from urllib.parse import urljoin

import httpcore
import httpx

from app import __version__
from app.address import DEFAULT_PORTS, AllowList, may_connect, normalise_host
from app.errors import ApiError, ErrorCode
from app.imaging.transport import ConnectionPool
from app.ops.deadline import Deadline, DeadlineExceededError
from app.settings import FetchSettings

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> IP addresses in order of preference; raises ``OSError``."""

_MAX_URL_CHARACTERS = 8192  # signed URLs of object stores with a session token reach 3,000
_MAX_PORT = 65535
_MAX_ADDRESSES = 4  # addresses tried per host, so that a name with hundreds cannot cause a port scan
_MAX_LOOKUPS = 8  # concurrent name look-ups
_CONNECT_TIMEOUT_S = 3.0  # per address, so that an unreachable first address leaves time for the next
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_BLANK_AROUND_URL = " \t\r\n"
_FORBIDDEN_IN_URL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_HEADERS = {
    "User-Agent": f"compareface/{__version__}",
    "Accept": "image/jpeg, image/png, image/bmp, */*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


async def resolve(threads: Executor, host: str, port: int) -> list[str]:
    """Resolve ``host`` with the operating system in one of ``threads``; a hanging look-up occupies its thread."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    results = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    return [str(sockaddr[0]) for *_, sockaddr in results]


class _DownloadError(Exception):
    """The URL is forbidden or the server misbehaves; the message goes to the operator's log only."""


_DOWNLOAD_ERRORS = (
    *(_DownloadError, OSError, ValueError),
    *(httpcore.TimeoutException, httpcore.NetworkError, httpcore.ProtocolError, httpcore.UnsupportedProtocol),
)


class Fetcher:
    """Downloads images; an async context manager."""

    def __init__(
        self,
        settings: FetchSettings,
        resolver: Resolver | None = None,
        pool: httpcore.AsyncConnectionPool | None = None,
        count_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``resolver`` and ``pool`` replace the network in tests. ``count_bytes`` is called for each chunk."""
        self._settings = settings
        self._allowed = AllowList.parse(settings.allow)
        # Separate threads, so that a hanging name server delays only downloads.
        self._lookup_threads = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="look-up")
        self._resolve = resolver or partial(resolve, self._lookup_threads)
        self._replaced_pool = pool
        self._count_bytes = count_bytes

    async def __aenter__(self) -> Self:
        self._pool = self._replaced_pool or ConnectionPool()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._pool.aclose()
        self._lookup_threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str, deadline: Deadline, max_bytes: int) -> bytes:
        """Download ``url``, at most ``max_bytes``; raise ``ApiError`` or ``DeadlineExceededError``."""
        try:
            parsed_url = _parse_url(url)
        except ValueError as error:
            raise ApiError(ErrorCode.URL_ILLEGAL) from error
        deadline.check()
        time_left = deadline.remaining()
        try:
            async with asyncio.timeout(min(self._settings.timeout_s, time_left)) as timeout:
                return await self._follow_redirects(parsed_url, max_bytes)
        except _DOWNLOAD_ERRORS as error:
            if timeout.expired() and time_left <= self._settings.timeout_s:
                raise DeadlineExceededError from error
            reason = str(error) if isinstance(error, _DownloadError) else type(error).__name__
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR, reason=reason) from error

    async def _follow_redirects(self, url: httpx.URL, max_bytes: int) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            async with aclosing(await self._request(url)) as response:
                headers = httpx.Headers(response.headers)
                if response.status not in _REDIRECTS:
                    return await self._read_body(response, headers, max_bytes)
                url = _redirected(url, headers.get_list("Location"))
        raise _DownloadError("too many redirects")

    async def _request(self, url: httpx.URL) -> httpcore.Response:
        """Request ``url`` from the first address that accepts a connection; return the response without its body."""
        host, port = url.raw_host.decode("ascii"), url.port or DEFAULT_PORTS[url.scheme]
        addresses = await self._resolve(host, port)
        if not may_connect(host, port, addresses, self._allowed):
            raise _DownloadError("not a public address and port, and not listed in COMPAREFACE_FETCH__ALLOW")
        *others, last = list(dict.fromkeys(addresses))[:_MAX_ADDRESSES]
        for address in others:
            with suppress(httpcore.ConnectError, httpcore.ConnectTimeout):
                return await self._request_from(address, url)
        return await self._request_from(last, url)

    async def _request_from(self, address: str, url: httpx.URL) -> httpcore.Response:
        request = httpcore.Request(
            "GET",
            httpcore.URL(scheme=url.raw_scheme, host=address, port=url.port, target=url.raw_path),
            headers=[("Host", url.netloc), *_HEADERS.items()],
            extensions={"sni_hostname": url.raw_host.decode("ascii"), "timeout": {"connect": _CONNECT_TIMEOUT_S}},
        )
        return await self._pool.handle_async_request(request)

    async def _read_body(self, response: httpcore.Response, headers: httpx.Headers, max_bytes: int) -> bytes:
        if response.status != HTTPStatus.OK:
            raise _DownloadError(f"HTTP status {response.status}")
        if headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
            raise _DownloadError("unexpected content encoding")
        if int(headers.get("Content-Length", 0)) > max_bytes:
            raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
        data = bytearray()
        async for chunk in response.aiter_stream():
            data += chunk
            self._count_bytes(len(chunk))
            if len(data) > max_bytes:
                raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
            await asyncio.sleep(0)  # a packet may hold thousands of one-byte chunks; let other tasks run
        return bytes(data)


def _parse_url(text: str) -> httpx.URL:
    """Parse and normalise a URL; raise ``ValueError``. Whether its host may be reached is checked later.

    Blanks around it are removed and spaces within it are escaped, as browsers do (WHATWG URL Standard, 4.4).
    """
    text = text.strip(_BLANK_AROUND_URL).replace(" ", "%20")
    if len(text) > _MAX_URL_CHARACTERS or _FORBIDDEN_IN_URL.search(text):
        raise ValueError("too long, or a forbidden character")
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL as error:
        raise ValueError("not a URL") from error
    if url.scheme not in DEFAULT_PORTS or url.userinfo:
        raise ValueError("unsupported scheme, or user information")
    if url.port is not None and not 0 < url.port <= _MAX_PORT:
        raise ValueError("port out of range")
    return url.copy_with(host=normalise_host(url.raw_host.decode("ascii")))


def _redirected(url: httpx.URL, locations: list[str]) -> httpx.URL:
    if len(locations) != 1 or not locations[0]:
        raise _DownloadError("redirect without a location, or with several")
    try:
        return _parse_url(urljoin(str(url), locations[0]))
    except ValueError as error:
        raise _DownloadError("redirect to an invalid URL") from error
