"""URL -> bytes, without being led astray (SSRF; OWASP cheat sheet "Server-Side Request Forgery Prevention").

A host is resolved once; all of its addresses are vetted (:mod:`app.imaging.address`) and a vetted one is dialled,
under the host's name for TLS and ``Host``: what DNS says later does not matter. Redirects are followed by hand, each
vetted like the first URL. Nothing is taken from the environment: no proxy, no cookies, no credentials.

Raises ``UrlIllegal`` (the URL itself), ``ImageSizeExceed``, ``RequestTimeout`` (the request's time is up) and, with
one text for all other failures so that it is no port scanner, ``ImageDownloadError``.
"""

from __future__ import annotations

import asyncio
import re
import socket
from collections.abc import Awaitable, Callable
from types import TracebackType
from typing import Self

import httpx

from app.config import FetchSettings
from app.errors import ApiError, ErrorCode
from app.imaging.address import Allowed, may_reach
from app.ops.deadline import Deadline

Resolver = Callable[[str, int], Awaitable[list[str]]]
"""Host name and port -> its addresses as text; raises ``OSError`` when there are none."""

_LONGEST_URL = 2048
_ODD_CHARACTERS = re.compile(r"[\x00-\x20\x7f\\]")
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_HEADERS = {"Accept": "image/*", "Accept-Encoding": "identity", "User-Agent": "compareface"}


async def resolve(host: str, port: int) -> list[str]:
    """Ask the system's resolver."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return [str(entry[4][0]) for entry in found]


class Fetcher:
    """Fetches pictures for as long as its context is open."""

    def __init__(
        self,
        settings: FetchSettings,
        resolver: Resolver = resolve,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._settings = settings
        self._allowed = Allowed.parse(settings.allow)
        self._resolve = resolver
        self._transport = transport

    async def __aenter__(self) -> Self:
        # No connection is kept: one that was opened for another host name must not be reused for its address.
        limits = httpx.Limits(max_keepalive_connections=0)
        self._client = httpx.AsyncClient(
            transport=self._transport, trust_env=False, follow_redirects=False, limits=limits, headers=_HEADERS
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._client.aclose()

    async def fetch(self, url: str, deadline: Deadline, max_bytes: int) -> bytes:
        """Return the body of ``url``, at most ``max_bytes``, within the fetch timeout and the deadline."""
        target = parse_url(url)
        try:
            async with asyncio.timeout(min(self._settings.timeout_s, deadline.remaining())):
                return await self._follow(target, max_bytes)
        except TimeoutError as error:
            deadline.check()
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR) from error
        except (httpx.HTTPError, httpx.InvalidURL, OSError, UnicodeError) as error:
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR) from error

    async def _follow(self, url: httpx.URL, max_bytes: int) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            pinned, extensions = await self._pin(url)
            request = self._client.build_request("GET", pinned, headers={"Host": _host_header(url)})
            request.extensions |= extensions
            self._client.cookies.clear()
            response = await self._client.send(request, stream=True)
            try:
                if response.status_code not in _REDIRECTS:
                    return await _read(response, max_bytes)
                location = response.headers.get("location", "")
            finally:
                await response.aclose()
            url = _redirected(url, location)
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR)

    async def _pin(self, url: httpx.URL) -> tuple[httpx.URL, dict[str, str]]:
        """Return ``url`` with its host replaced by a vetted address, and what TLS must know of the host."""
        port = url.port or (443 if url.scheme == "https" else 80)
        host = url.raw_host.decode("ascii")
        addresses = await self._resolve(host, port)
        if not may_reach(host, port, addresses, self._allowed):
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR)
        return url.copy_with(host=addresses[0]), {"sni_hostname": host}


def parse_url(text: str) -> httpx.URL:
    """Return an absolute http(s) URL with a host and without user information; raise ``UrlIllegal``."""
    if len(text) > _LONGEST_URL or _ODD_CHARACTERS.search(text):
        raise ApiError(ErrorCode.URL_ILLEGAL)
    try:
        url = httpx.URL(text)
    except (httpx.InvalidURL, UnicodeError, ValueError) as error:
        raise ApiError(ErrorCode.URL_ILLEGAL) from error
    if url.scheme not in {"http", "https"} or not url.host or url.userinfo or "%" in url.host:
        raise ApiError(ErrorCode.URL_ILLEGAL)
    return url


def _redirected(url: httpx.URL, location: str) -> httpx.URL:
    try:
        return parse_url(str(url.join(location)))
    except (ApiError, httpx.InvalidURL) as error:
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR) from error


def _host_header(url: httpx.URL) -> str:
    return url.netloc.decode("ascii")


async def _read(response: httpx.Response, max_bytes: int) -> bytes:
    """Read the body as it comes; anything but a plain 200 is no picture."""
    if response.status_code != httpx.codes.OK:
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR)
    if response.headers.get("content-encoding", "identity").strip().lower() != "identity":
        raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR)
    declared = response.headers.get("content-length", "")
    if declared.isdecimal() and int(declared) > max_bytes:
        raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
    chunks, size = [], 0
    async for chunk in response.aiter_raw():
        size += len(chunk)
        if size > max_bytes:
            raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
        chunks.append(chunk)
    return b"".join(chunks)
