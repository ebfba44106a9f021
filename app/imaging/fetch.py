"""Image URL -> bytes, protected against server-side request forgery (SSRF).

Each host is resolved once, all its addresses are checked, and the connection goes to a checked address, with the host
name in ``Host`` and in the TLS handshake. DNS rebinding therefore has no effect, and the certificate must match the
name. Each redirect is checked like the first URL. Proxies, cookies and credentials of the environment are not used.

Raises ``UrlIllegal`` for a malformed URL, ``ImageSizeExceed``, ``DeadlineExceededError``, and ``ImageDownloadError``
for every other failure, without details, so that clients cannot scan the private network.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import aclosing, suppress
from dataclasses import dataclass
from functools import partial
from http.cookiejar import CookieJar, DefaultCookiePolicy
from typing import Self, TypeAlias
from urllib.parse import urljoin

import httpx

from app import __version__
from app.errors import ApiError, ErrorCode
from app.imaging.address import DEFAULT_PORTS, AllowList, may_connect, normalise_host
from app.imaging.transport import Transport
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
    """The server is forbidden, unreachable or misbehaves; the message goes to the operator's log only."""


@dataclass(frozen=True, slots=True)
class _ImageUrl:
    """A well-formed URL. Whether its host may be reached is checked later."""

    url: httpx.URL
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> _ImageUrl:
        """Parse and normalise a URL; raise ``ValueError``."""
        if len(text) > _MAX_URL_CHARACTERS or _FORBIDDEN_IN_URL.search(text):
            raise ValueError("too long, or a forbidden character")
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise ValueError("not a URL") from error
        if url.scheme not in DEFAULT_PORTS or url.userinfo:
            raise ValueError("unsupported scheme, or user information")
        port = DEFAULT_PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port <= _MAX_PORT:
            raise ValueError("port out of range")
        host = normalise_host(url.raw_host.decode("ascii"))
        return cls(url.copy_with(host=host), host, port)

    def redirected(self, location: str) -> _ImageUrl:
        if not location:
            raise _DownloadError("redirect without a location")
        try:
            return self.parse(urljoin(str(self.url), location))
        except ValueError as error:
            raise _DownloadError("redirect to an invalid URL") from error


class Fetcher:
    """Downloads images; an async context manager."""

    def __init__(
        self,
        settings: FetchSettings,
        resolver: Resolver | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        count_bytes: Callable[[int], None] = lambda _: None,
    ) -> None:
        """``resolver`` and ``transport`` replace the network in tests. ``count_bytes`` is called for each chunk.

        Raise ``ValueError`` with a message for the operator if ``settings.allow`` is malformed.
        """
        self._settings = settings
        self._allowed = AllowList.parse(settings.allow)
        # Separate threads, so that a hanging name server delays only downloads.
        self._lookup_threads = ThreadPoolExecutor(_MAX_LOOKUPS, thread_name_prefix="look-up")
        self._resolve = resolver or partial(resolve, self._lookup_threads)
        self._transport = transport
        self._count_bytes = count_bytes

    async def __aenter__(self) -> Self:
        self._client = httpx.AsyncClient(
            headers=_HEADERS,
            cookies=CookieJar(DefaultCookiePolicy(allowed_domains=())),
            timeout=httpx.Timeout(None, connect=_CONNECT_TIMEOUT_S),
            transport=self._transport or Transport(),
            trust_env=False,
        )
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.aclose()
        self._lookup_threads.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str, deadline: Deadline, max_bytes: int) -> bytes:
        """Download ``url``, at most ``max_bytes``; raise ``ApiError`` or ``DeadlineExceededError``."""
        try:
            image_url = _ImageUrl.parse(url)
        except ValueError as error:
            raise ApiError(ErrorCode.URL_ILLEGAL) from error
        deadline.check()
        time_left = deadline.remaining()
        try:
            async with asyncio.timeout(min(self._settings.timeout_s, time_left)) as timeout:
                return await self._follow_redirects(image_url, max_bytes)
        except (_DownloadError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if timeout.expired() and time_left <= self._settings.timeout_s:
                raise DeadlineExceededError from error
            reason = str(error) if isinstance(error, _DownloadError) else type(error).__name__
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR, reason=reason) from error

    async def _follow_redirects(self, image_url: _ImageUrl, max_bytes: int) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            async with aclosing(await self._request(image_url)) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._read_body(response, max_bytes)
                image_url = image_url.redirected(response.headers.get("Location", ""))
        raise _DownloadError("too many redirects")

    async def _request(self, image_url: _ImageUrl) -> httpx.Response:
        """Request the URL from the first address that accepts a connection; return the response without its body."""
        *others, last = await self._checked_addresses(image_url)
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._request_from(address, image_url)
        return await self._request_from(last, image_url)

    async def _checked_addresses(self, image_url: _ImageUrl) -> list[str]:
        addresses = await self._resolve(image_url.host, image_url.port)
        if not may_connect(image_url.host, image_url.port, addresses, self._allowed):
            raise _DownloadError("not a public address and port, and not listed in COMPAREFACE_FETCH__ALLOW")
        return list(dict.fromkeys(addresses))[:_MAX_ADDRESSES]

    async def _request_from(self, address: str, image_url: _ImageUrl) -> httpx.Response:
        request = self._client.build_request(
            "GET",
            image_url.url.copy_with(host=address),
            headers={"Host": image_url.url.netloc.decode("ascii")},
            extensions={"sni_hostname": image_url.host},
        )
        return await self._client.send(request, stream=True, follow_redirects=False)

    async def _read_body(self, response: httpx.Response, max_bytes: int) -> bytes:
        if response.status_code != httpx.codes.OK:
            raise _DownloadError(f"HTTP status {response.status_code}")
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
            raise _DownloadError("unexpected content encoding")
        if int(response.headers.get("Content-Length", 0)) > max_bytes:
            raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            self._count_bytes(len(chunk))
            if len(data) > max_bytes:
                raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
            await asyncio.sleep(0)  # a packet may hold thousands of one-byte chunks; let other tasks run
        return bytes(data)
