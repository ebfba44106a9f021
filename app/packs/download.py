"""Download a published file from several URLs in turn, with resume, and check its size and digest.

A partial download is kept as ``<sha256>.part``. A later attempt resumes it, possibly in another process or from another
URL. If the completed file has a wrong digest, the download starts again. Redirects are followed to https only.
"""

import re
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias

import httpx

from app.packs import files
from app.packs.manifest import Download, PackError
from app.validation import shown

ProgressCallback: TypeAlias = Callable[[Download, int], object]
"""Called with a download and the number of its bytes received so far."""

_TIMEOUT = httpx.Timeout(30, connect=10)  # seconds
_RETRY_DELAY_S = 1.0
_MAX_REDIRECTS = 5


class _RetryableError(Exception):
    """The download failed, but another attempt at the same URL may succeed."""


class _PermanentError(Exception):
    """The download failed, and another attempt at the same URL would fail, too."""


def open_client() -> httpx.Client:
    """Return a client that uses the proxy and certificate variables of the environment."""
    try:
        return httpx.Client(timeout=_TIMEOUT, headers={"Accept-Encoding": "identity"})
    except (ImportError, OSError, ValueError, httpx.InvalidURL) as error:
        raise PackError(
            f"the proxy or certificate variables of the environment are not valid ({type(error).__name__})"
        ) from error


@dataclass(frozen=True, slots=True)
class Downloader:
    """Downloads files into ``folder``, with up to ``attempts`` attempts per URL."""

    client: httpx.Client
    folder: Path
    progress: ProgressCallback
    attempts: int

    def part_path(self, download: Download) -> Path:
        """Return the path of the partial download."""
        return self.folder / f"{download.sha256}.part"

    def fetch(self, download: Download, urls: Sequence[str]) -> Path:
        """Download the file from the first URL that delivers it and return its path.

        Raise :class:`PackError` with the reason for every URL if none delivers it.
        """
        reasons = []
        for url in urls:
            try:
                return self._fetch_with_retries(download, url)
            except httpx.InvalidURL:
                reasons.append(f"{shown(url)} is not a valid URL or redirects to an invalid one")
            except (_RetryableError, _PermanentError) as error:
                reasons.append(f"{httpx.URL(url).host} {error}")
        raise PackError(f"cannot download {download.name}: {'; '.join(reasons)}")

    def _fetch_with_retries(self, download: Download, url: str) -> Path:
        for _ in range(self.attempts - 1):
            with suppress(_RetryableError):
                return self._complete(download, url)
            time.sleep(_RETRY_DELAY_S)
        return self._complete(download, url)

    def _complete(self, download: Download, url: str) -> Path:
        """Receive the missing bytes, check the size and digest of the file, and return its path."""
        part = self.part_path(download)
        try:
            offset = size = part.stat().st_size if part.exists() else 0
            if size < download.size:
                size = self._receive(download, url, part, offset)
            if size < download.size:
                raise _RetryableError(f"ended the transfer after {size} of {download.size} bytes")
            if size == download.size and files.digest(part) == download.sha256:
                return part
            part.unlink()
        except OSError as error:
            raise files.write_error(part, error, download.size) from error
        if offset:
            raise _RetryableError("sent bytes that do not match the partial download")
        raise _PermanentError("sent a file that is not the recorded one (size or sha256 differs)")

    def _receive(self, download: Download, url: str, part: Path, offset: int) -> int:
        """Append the missing bytes to ``part``, or write it from the start if the server ignores the range.

        Return the size of ``part``, at most one byte more than the recorded size.
        """
        try:
            with _get(self.client, url, {"Range": f"bytes={offset}-"} if offset else {}) as response:
                size = _start_offset(response, offset, download.size)
                with part.open("ab" if size else "wb") as stream:
                    for chunk in response.iter_raw():  # no fixed chunk size: an incomplete chunk would be lost
                        size += stream.write(chunk[: download.size + 1 - size])
                        self.progress(download, min(size, download.size))
                        if size > download.size:
                            break
                return size
        except httpx.HTTPError as error:
            raise _RetryableError(str(error) or type(error).__name__) from error


@contextmanager
def _get(client: httpx.Client, url: str, headers: dict[str, str]) -> Iterator[httpx.Response]:
    """Yield the response after all redirects."""
    for _ in range(_MAX_REDIRECTS + 1):
        with client.stream("GET", url, headers=headers) as response:
            if not response.has_redirect_location:
                yield response
                return
            target = response.url.join(response.headers["Location"])
        if target.scheme != "https":
            raise _PermanentError("redirects to a URL that is not https")
        url = str(target)
    raise _PermanentError(f"redirects more than {_MAX_REDIRECTS} times")


def _start_offset(response: httpx.Response, offset: int, size: int) -> int:
    """Return the position in the file at which the response body starts."""
    if response.status_code == httpx.codes.OK:
        return 0
    if response.status_code == httpx.codes.PARTIAL_CONTENT and offset:
        if not re.fullmatch(rf"bytes {offset}-\d+/({size}|\*)", response.headers.get("Content-Range", "")):
            raise _PermanentError("sent a different range of the file than requested")
        return offset
    failure = _RetryableError if httpx.codes.is_server_error(response.status_code) else _PermanentError
    raise failure(f"answered {response.status_code}")
