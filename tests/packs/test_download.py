from pathlib import Path

import httpx
import pytest

from app.packs import download
from app.packs.download import Downloader
from app.packs.files import sha256
from app.packs.manifest import Download, Pack, PackError
from app.packs.pull import pull
from app.packs.store import FileState, Store
from tests.packs.mirror import ARCHIVE, INSTALLED, PART, Mirror, from_mirrors, serve, stored_files

# Resuming


def test_an_interrupted_download_is_resumed(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    mirror.body_limits = [700]
    pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert mirror.requests == [("/tiny.zip", ""), ("/tiny.zip", "bytes=700-")]
    assert stored_files(tiny_store) == INSTALLED


def test_the_next_pull_resumes_from_another_mirror(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    mirror.body_limits = [700]
    with pytest.raises(PackError, match=r"cannot download tiny\.zip: 127\.0\.0\.1 .*"):
        pull(tiny_store, tiny_pack, from_mirrors(mirror, attempts=1))
    assert stored_files(tiny_store) == [PART]
    with serve({"tiny.zip": ARCHIVE}) as other:
        pull(tiny_store, tiny_pack, from_mirrors(other))
        assert other.requests == [("/tiny.zip", "bytes=700-")]
    assert stored_files(tiny_store) == INSTALLED


def test_a_download_stopped_by_ctrl_c_is_resumed(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    def interrupt(file: Download, size: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(tiny_store, tiny_pack, from_mirrors(mirror), interrupt)
    assert stored_files(tiny_store) == [PART]
    pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert stored_files(tiny_store) == INSTALLED


def test_a_server_that_ignores_ranges_sends_the_file_again(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    mirror.body_limits, mirror.ignores_ranges = [700], True
    pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert stored_files(tiny_store) == INSTALLED


def _write_part(store: Store, content: bytes) -> Path:
    store.downloads_folder.mkdir(parents=True)
    part = store.downloads_folder.parent / PART
    part.write_bytes(content)
    return part


def test_a_complete_part_needs_no_network(tiny_store: Store, tiny_pack: Pack) -> None:
    _write_part(tiny_store, ARCHIVE)
    pull(tiny_store, tiny_pack, from_mirrors("http://127.0.0.1:1"))
    assert stored_files(tiny_store) == INSTALLED


@pytest.mark.parametrize("content", [b"X" * 700, b"X" * len(ARCHIVE), b"X" * (len(ARCHIVE) + 9)])
def test_a_part_with_wrong_content_is_downloaded_again(
    tiny_store: Store, tiny_pack: Pack, mirror: Mirror, content: bytes
) -> None:
    _write_part(tiny_store, content)
    pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert mirror.requests[-1] == ("/tiny.zip", "")
    assert stored_files(tiny_store) == INSTALLED


@pytest.mark.parametrize("content_range", ["bytes 0-9/10", "bytes 699-999/1000", "bytes 700-800/99", "items 1", "?"])
def test_a_range_that_was_not_requested_is_not_appended(
    tiny_store: Store, tiny_pack: Pack, mirror: Mirror, content_range: str
) -> None:
    mirror.body_limits, mirror.content_range = [700], content_range
    with pytest.raises(PackError, match="sent a different range of the file than requested"):
        pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert (tiny_store.downloads_folder.parent / PART).stat().st_size == 700


# Wrong content


@pytest.mark.parametrize(
    ("content", "requests"),
    [
        (ARCHIVE[:-1] + bytes([ARCHIVE[-1] ^ 1]), 1),
        (ARCHIVE + b"more", 1),
        (ARCHIVE * 50, 1),
        (ARCHIVE[:-1], 3),
        (b"<html>log in first</html>", 3),
        (b"", 3),
    ],
)
def test_a_file_with_a_different_size_or_digest_is_rejected(
    tiny_store: Store, tiny_pack: Pack, mirror: Mirror, content: bytes, requests: int
) -> None:
    mirror.files["tiny.zip"] = content
    mirror.ignores_ranges = True
    with pytest.raises(PackError, match=r"127\.0\.0\.1 (sent a file that is not|ended the transfer after)"):
        pull(tiny_store, tiny_pack, from_mirrors(mirror))
    assert len(mirror.requests) == requests
    part = tiny_store.downloads_folder.parent / PART
    assert not part.exists() or part.stat().st_size < len(ARCHIVE)
    assert set(tiny_store.states(tiny_pack).values()) == {FileState.MISSING}


def test_at_most_one_surplus_byte_is_stored(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    sizes: list[int] = []
    mirror.files["tiny.zip"] = ARCHIVE * 50
    part = tiny_store.downloads_folder.parent / PART
    with pytest.raises(PackError):
        pull(tiny_store, tiny_pack, from_mirrors(mirror), lambda file, size: sizes.append(part.stat().st_size))
    assert max(sizes) <= len(ARCHIVE) + 1


# Failing servers


@pytest.mark.parametrize(
    ("statuses", "attempts", "requests", "message"),
    [
        ([404], 3, 1, "answered 404"),
        ([403], 3, 1, "answered 403"),
        ([503, 503, 503], 3, 3, "answered 503"),
        ([503], 1, 1, "answered 503"),
        ([304], 3, 1, "answered 304"),
    ],
)
def test_an_error_status_is_reported_in_one_line(
    tiny_store: Store, mirror: Mirror, statuses: list[int], attempts: int, requests: int, message: str
) -> None:
    pack, mirror.statuses = tiny_store.pack("tiny"), statuses
    with pytest.raises(PackError, match=rf"^cannot download tiny\.zip: 127\.0\.0\.1 {message}$"):
        pull(tiny_store, pack, from_mirrors(mirror, attempts=attempts))
    assert len(mirror.requests) == requests


def test_an_unreachable_server_is_reported(tiny_store: Store, tiny_pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_RETRY_DELAY_S", 0.0)
    with pytest.raises(PackError, match=r"cannot download tiny\.zip: 127\.0\.0\.1 .*refused"):
        pull(tiny_store, tiny_pack, from_mirrors("http://127.0.0.1:1"))


@pytest.mark.parametrize("url", ["http://[", "http://127.0.0.1:99999/x", "http://\x00", "http://"])
def test_an_invalid_url_is_reported(tiny_store: Store, tiny_pack: Pack, url: str) -> None:
    with pytest.raises(PackError, match=r"^cannot download tiny\.zip: .+$"):
        pull(tiny_store, tiny_pack, from_mirrors(url, attempts=1))


# Redirects


def test_a_redirect_to_http_is_rejected(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    mirror.redirect = "http://127.0.0.1:1/tiny.zip"
    with pytest.raises(PackError, match="redirects to a URL that is not https"):
        pull(tiny_store, tiny_pack, from_mirrors(mirror))


def test_a_redirect_to_an_invalid_url_is_rejected(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    mirror.redirect = "https://\x7f"
    with pytest.raises(PackError, match=r"^cannot download tiny\.zip: .+$"):
        pull(tiny_store, tiny_pack, from_mirrors(mirror, attempts=1))


def _downloader(tmp_path: Path, transport: httpx.MockTransport) -> tuple[Downloader, Download]:
    file = Download(name="a.bin", url="https://a.example/a.bin", sha256=sha256(b"content"), size=7)
    return Downloader(httpx.Client(transport=transport), tmp_path, lambda file, size: None, 1), file


def test_redirects_to_https_are_followed(tmp_path: Path) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if request.url.host == "store.example":
            return httpx.Response(200, stream=httpx.ByteStream(b"content"))
        return httpx.Response(302, headers={"Location": "https://store.example/b"})

    downloader, file = _downloader(tmp_path, httpx.MockTransport(respond))
    assert downloader.fetch(file, [file.url]).read_bytes() == b"content"


def test_an_endless_redirect_is_rejected(tmp_path: Path) -> None:
    downloader, file = _downloader(
        tmp_path, httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": str(request.url)}))
    )
    with pytest.raises(PackError, match=r"a\.example redirects more than 5 times"):
        downloader.fetch(file, [file.url])
