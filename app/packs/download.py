"""A published file -> that file on disk, of the recorded size and digest.

In: a :class:`Download` and the addresses where it may be had, tried in order. Out: its path, or :class:`PackError` that
says what each address answered. What has come of it is kept in ``<sha256>.part`` and gone on with, by this process or
the next, from the same address or another: the digest, not the address, says whether the parts belong together, and a
file pieced together wrongly is fetched anew. Redirects are followed to https only. What a download is for, and what is
in it, is not known here.
"""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TypeAlias

import httpx

from app.packs import files
from app.packs.manifest import Download, PackError

Watch: TypeAlias = Callable[[Download, int], object]
"""Is told how many bytes of a download are there."""

_TIMEOUT = httpx.Timeout(30, connect=10)  # seconds
_PAUSE_S = 1.0
_REDIRECTS = 5


class _BrokenOffError(Exception):
    """It may work when tried again."""


class _RefusedError(Exception):
    """It will not work at this address."""


def client() -> httpx.Client:
    """Return a client; it heeds the proxy and certificate variables of the environment."""
    try:
        return httpx.Client(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise PackError(
            f"the proxy or certificate variables of the environment cannot be used ({type(error).__name__})"
        ) from error


class Downloader:
    """Keeps downloads in ``folder``; every address is tried ``tries`` times while that can help."""

    def __init__(self, web: httpx.Client, folder: Path, watch: Watch, tries: int) -> None:
        self._web = web
        self._folder = folder
        self._watch = watch
        self._tries = tries

    def part(self, download: Download) -> Path:
        return self._folder / f"{download.sha256}.part"

    def fetch(self, download: Download, urls: Sequence[str]) -> Path:
        reasons = []
        for url in urls:
            try:
                self._try(download, url)
            except httpx.InvalidURL:
                reasons.append(f"{url} is not an address, or leads to none")
            except (_BrokenOffError, _RefusedError) as error:
                reasons.append(f"{httpx.URL(url).host} {error}")
            else:
                return self.part(download)
        raise PackError(f"cannot download {download.name}: {'; '.join(reasons)}")

    def _try(self, download: Download, url: str) -> None:
        for _ in range(self._tries - 1):
            try:
                self._complete(download, url)
            except _BrokenOffError:
                time.sleep(_PAUSE_S)
            else:
                return
        self._complete(download, url)

    def _complete(self, download: Download, url: str) -> None:
        """Get what is missing, then look at the whole."""
        part = self.part(download)
        try:
            begun = have = part.stat().st_size if part.exists() else 0
            if have < download.size:
                have = self._receive(download, url, part, begun)
            if have < download.size:
                raise _BrokenOffError(f"broke off after {have} of {download.size} bytes")
            if have == download.size and files.digest(part) == download.sha256:
                return
            part.unlink()
        except OSError as error:
            raise files.refusal(part, error, download.size) from error
        if begun:  # pieced together, or somebody else's
            raise _BrokenOffError("sent a part that does not fit what was there")
        raise _RefusedError("sent another file than the recorded one (size or sha256 differs)")

    def _receive(self, download: Download, url: str, part: Path, begun: int) -> int:
        """Append to ``part`` what it lacks, or begin it anew; return its size, one byte too many at the most."""
        try:
            with _opened(self._web, url, {"Range": f"bytes={begun}-"} if begun else {}) as response:
                have = _start(response, begun, download.size)
                with part.open("ab" if have else "wb") as stream:
                    for chunk in response.iter_raw():  # as it comes: pieces of a fixed size would be lost half full
                        have += stream.write(chunk[: download.size + 1 - have])
                        self._watch(download, min(have, download.size))
                        if have > download.size:
                            break
                return have
        except httpx.HTTPError as error:
            raise _BrokenOffError(str(error) or type(error).__name__) from error


@contextmanager
def _opened(web: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Yield the answer at the end of the redirects."""
    for _ in range(_REDIRECTS + 1):
        with web.stream("GET", url, headers=headers) as response:
            if not response.has_redirect_location:
                yield response
                return
            target = response.url.join(response.headers["Location"])
        if target.scheme != "https":
            raise _RefusedError("redirects to an address that is not https")
        url = str(target)
    raise _RefusedError("redirects without end")


def _start(response: httpx.Response, begun: int, size: int) -> int:
    """Return where in the file the answer starts."""
    if response.status_code == httpx.codes.OK:
        return 0
    if response.status_code == httpx.codes.PARTIAL_CONTENT and begun:
        if not re.fullmatch(rf"bytes {begun}-\d+/({size}|\*)", response.headers.get("Content-Range", "")):
            raise _RefusedError("sent another part of the file than was asked for")
        return begun
    if response.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
        raise _BrokenOffError(f"answered {response.status_code}")
    raise _RefusedError(f"answered {response.status_code}")
