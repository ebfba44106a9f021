"""URL -> bytes, for URLs that strangers write (SSRF).

A host is resolved once, all its addresses are vetted, and the connection goes to a vetted address, with the name in
``Host`` and in the TLS handshake: whatever the name resolves to a moment later, nobody else is talked to, and the
certificate must still be the name's. Redirects are followed by hand, each as strictly as the first URL. Nothing comes
from the environment: no proxy, no cookies, no credentials.

Raises ``UrlIllegal`` (the URL itself), ``ImageSizeExceed``, ``RequestTimeout`` (the request's time is up) and, for
every failure of the far side alike so that nobody can scan our network with it, ``ImageDownloadError``.
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
from app.imaging.address import PORTS, Allowed, may_reach, normalise_host
from app.imaging.transport import Transport, expect_body
from app.ops.deadline import Deadline, DeadlineExceededError
from app.settings import FetchSettings

Resolver: TypeAlias = Callable[[str, int], Awaitable[list[str]]]
"""(host, port) -> IP addresses, best first; raises ``OSError``."""

Counter: TypeAlias = Callable[[int], None]
"""Is told of bytes that have come."""

_MAX_URL_CHARACTERS = 8192  # signed URLs of object stores with a session token reach 3,000
_MAX_PORT = 65535
_MAX_DIALLED = 4  # addresses per host: a name with hundreds must not make us knock at hundreds of doors
_LOOKUPS = 8  # names looked up at the same time
_CONNECT_TIMEOUT_S = 3.0  # per address, so that a dead first address leaves time for the next
_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NEVER_IN_A_URL = re.compile(r"[\s\x00-\x1f\x7f-\x9f\\]")
_HEADERS = {
    "User-Agent": f"compareface/{__version__}",
    "Accept": "image/jpeg, image/png, image/bmp, */*;q=0.1",
    "Accept-Encoding": "identity",
    "Connection": "close",
}


async def resolve(threads: Executor, host: str, port: int) -> list[str]:
    """Ask the operating system, on one of ``threads``: a look-up that hangs keeps its thread until it ends."""
    look_up = partial(socket.getaddrinfo, host, port, type=socket.SOCK_STREAM)
    found = await asyncio.get_running_loop().run_in_executor(threads, look_up)
    return [str(sockaddr[0]) for *_, sockaddr in found]


class _FarSideError(Exception):
    """The far side is not to be reached or does not behave; the text is for the operator's log."""


@dataclass(frozen=True, slots=True)
class _Target:
    """A URL that is well formed; whether its host may be talked to is not known yet."""

    url: httpx.URL
    host: str
    port: int

    @classmethod
    def parse(cls, text: str) -> _Target:
        """Read a URL; raise ``ValueError``."""
        if len(text) > _MAX_URL_CHARACTERS or _NEVER_IN_A_URL.search(text):
            raise ValueError("too long, or characters that no URL has")
        try:
            url = httpx.URL(text)
        except httpx.InvalidURL as error:
            raise ValueError("not a URL") from error
        if url.scheme not in PORTS or url.userinfo:
            raise ValueError("a scheme we do not speak, or credentials")
        port = PORTS[url.scheme] if url.port is None else url.port
        if not 0 < port <= _MAX_PORT:
            raise ValueError("no such port")
        host = normalise_host(url.raw_host.decode("ascii"))
        return cls(url.copy_with(host=host), host, port)

    def redirected(self, location: str) -> _Target:
        if not location:
            raise _FarSideError("redirected to nowhere")
        try:
            return self.parse(urljoin(str(self.url), location))
        except ValueError as error:
            raise _FarSideError("redirected to no usable URL") from error


class Fetcher:
    """Fetches pictures; an async context manager. ``resolver`` and ``transport`` replace the network's.

    ``count`` is told of every piece of a picture.
    """

    def __init__(
        self,
        settings: FetchSettings,
        resolver: Resolver | None = None,
        transport: httpx.AsyncBaseTransport | None = None,
        count: Counter = lambda _: None,
    ) -> None:
        """Raise ``ValueError``, with a text for the operator, when ``settings.allow`` is malformed."""
        self._settings = settings
        self._allowed = Allowed.parse(settings.allow)
        # Look-ups have threads of their own, so that a dead name server holds up nothing but URLs.
        self._lookups = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="look-up")
        self._resolve = resolver or partial(resolve, self._lookups)
        self._transport = transport
        self._count = count

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
        self._lookups.shutdown(wait=False, cancel_futures=True)

    async def fetch(self, url: str, deadline: Deadline, max_bytes: int) -> bytes:
        """Return what ``url`` names, ``max_bytes`` at most; raise ``ApiError``."""
        try:
            target = _Target.parse(url)
        except ValueError as error:
            raise ApiError(ErrorCode.URL_ILLEGAL) from error
        deadline.check()
        time_left = deadline.remaining()
        try:
            async with asyncio.timeout(min(self._settings.timeout_s, time_left)) as limit:
                return await self._follow(target, max_bytes)
        except (_FarSideError, httpx.HTTPError, httpx.InvalidURL, OSError, ValueError) as error:
            if limit.expired() and time_left <= self._settings.timeout_s:
                raise DeadlineExceededError from error
            reason = str(error) if isinstance(error, _FarSideError) else type(error).__name__
            raise ApiError(ErrorCode.IMAGE_DOWNLOAD_ERROR, reason=reason) from error

    async def _follow(self, target: _Target, max_bytes: int) -> bytes:
        for _ in range(self._settings.max_redirects + 1):
            async with aclosing(await self._open(target)) as response:
                if response.status_code not in _REDIRECTS:
                    return await self._body(response, max_bytes)
                target = target.redirected(response.headers.get("Location", ""))
        raise _FarSideError("too many redirects")

    async def _open(self, target: _Target) -> httpx.Response:
        *others, last = await self._vetted_addresses(target)
        for address in others:
            with suppress(httpx.ConnectError, httpx.ConnectTimeout):
                return await self._send(target, address)
        return await self._send(target, last)

    async def _vetted_addresses(self, target: _Target) -> list[str]:
        addresses = await self._resolve(target.host, target.port)
        if not may_reach(target.host, target.port, addresses, self._allowed):
            raise _FarSideError("not a public address and port, nor named by COMPAREFACE_FETCH__ALLOW")
        return list(dict.fromkeys(addresses))[:_MAX_DIALLED]

    async def _send(self, target: _Target, address: str) -> httpx.Response:
        request = self._client.build_request(
            "GET",
            target.url.copy_with(host=address),
            headers={"Host": target.url.netloc.decode("ascii")},
            extensions={"sni_hostname": target.host},
        )
        response = await self._client.send(request, stream=True, follow_redirects=False)
        expect_body(response)
        return response

    async def _body(self, response: httpx.Response, max_bytes: int) -> bytes:
        if response.status_code != httpx.codes.OK:
            raise _FarSideError(f"HTTP status {response.status_code}")
        if response.headers.get("Content-Encoding", "identity").strip().lower() not in {"", "identity"}:
            raise _FarSideError("a content encoding that was not asked for")
        if int(response.headers.get("Content-Length", 0)) > max_bytes:
            raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
        data = bytearray()
        async for chunk in response.aiter_raw():
            data += chunk
            self._count(len(chunk))
            if len(data) > max_bytes:
                raise ApiError(ErrorCode.IMAGE_SIZE_EXCEED)
            await asyncio.sleep(0)  # thousands of one-byte chunks may sit in one packet; others want their turn
        return bytes(data)
