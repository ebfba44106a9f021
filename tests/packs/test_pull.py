from __future__ import annotations

import os
import random
import stat
import subprocess
import sys
import time
import zipfile
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx
import pytest

from app.packs import download
from app.packs.download import Downloader
from app.packs.local_files import member
from app.packs.manifest import Download, DownloadSource, Pack, PackError
from app.packs.pull import Origin, pull
from app.packs.store import FileState, Store
from tests.packs.mirror import ARCHIVE, DETECTOR, EMBEDDER, Mirror, archive, serve, sha256, write_pack

_ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def store(tmp_path: Path) -> Store:
    write_pack(tmp_path / "catalogue")
    return Store(tmp_path / "catalogue", tmp_path / "weights")


@pytest.fixture
def pack(store: Store) -> Pack:
    return store.pack("tiny")


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)
    with serve({"tiny.zip": ARCHIVE}) as served:
        yield served


def _from(*mirrors: Mirror | str, tries: int = 3) -> Origin:
    urls = (entry if isinstance(entry, str) else entry.url for entry in mirrors)
    return Origin(bases=tuple(urls), published=False, tries=tries)


def _left(store: Store) -> list[str]:
    """What is in the folder of weights, the lock offload."""
    folder = store.downloads.parent
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*") if p.is_file() and p.name != ".lock")


_INSTALLED = ["tiny/detector.onnx", "tiny/embedder.onnx"]
_PART = f".downloads/{sha256(ARCHIVE)}.part"


# From an address


def test_a_pack_is_downloaded_once_and_nothing_else_stays(store: Store, pack: Pack, mirror: Mirror) -> None:
    told: list[int] = []
    assert pull(store, pack, _from(mirror), lambda wanted, have: told.append(have)) == pack.files
    assert mirror.asked == [("/tiny.zip", "")]
    assert told[-1] == len(ARCHIVE)
    assert told == sorted(told)
    assert _left(store) == _INSTALLED
    assert store.path(pack, pack.files[0]).read_bytes() == DETECTOR
    assert store.path(pack, pack.files[1]).read_bytes() == EMBEDDER
    assert pull(store, pack, _from(mirror)) == ()
    assert len(mirror.asked) == 1


def test_an_interrupted_download_goes_on_where_it_stopped(store: Store, pack: Pack, mirror: Mirror) -> None:
    mirror.break_off_after = [700]
    pull(store, pack, _from(mirror))
    assert mirror.asked == [("/tiny.zip", ""), ("/tiny.zip", "bytes=700-")]
    assert _left(store) == _INSTALLED


def test_the_next_pull_goes_on_from_another_address(store: Store, pack: Pack, mirror: Mirror) -> None:
    mirror.break_off_after = [700]
    with pytest.raises(PackError, match=r"cannot download tiny\.zip: 127\.0\.0\.1 .*"):
        pull(store, pack, _from(mirror, tries=1))
    assert _left(store) == [_PART]
    with serve({"tiny.zip": ARCHIVE}) as other:
        pull(store, pack, _from(other))
        assert other.asked == [("/tiny.zip", "bytes=700-")]
    assert _left(store) == _INSTALLED


def test_ctrl_c_leaves_a_part_that_is_gone_on_with(store: Store, pack: Pack, mirror: Mirror) -> None:
    def interrupt(wanted: Download, have: int) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(store, pack, _from(mirror), interrupt)
    assert _left(store) == [_PART]
    pull(store, pack, _from(mirror))
    assert _left(store) == _INSTALLED


def test_a_server_without_ranges_sends_all_of_it_again(store: Store, pack: Pack, mirror: Mirror) -> None:
    mirror.break_off_after, mirror.ignores_ranges = [700], True
    pull(store, pack, _from(mirror))
    assert _left(store) == _INSTALLED


def test_a_complete_part_needs_no_network(store: Store, pack: Pack) -> None:
    store.downloads.mkdir(parents=True)
    (store.downloads / f"{sha256(ARCHIVE)}.part").write_bytes(ARCHIVE)
    pull(store, pack, _from("http://127.0.0.1:1"))
    assert _left(store) == _INSTALLED


@pytest.mark.parametrize("begun", [b"X" * 700, b"X" * len(ARCHIVE), b"X" * (len(ARCHIVE) + 9)])
def test_a_part_of_something_else_is_fetched_anew(store: Store, pack: Pack, mirror: Mirror, begun: bytes) -> None:
    store.downloads.mkdir(parents=True)
    (store.downloads / f"{sha256(ARCHIVE)}.part").write_bytes(begun)
    pull(store, pack, _from(mirror))
    assert mirror.asked[-1] == ("/tiny.zip", "")
    assert _left(store) == _INSTALLED


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
def test_another_file_than_the_recorded_one_is_refused(
    store: Store, pack: Pack, mirror: Mirror, content: bytes, requests: int
) -> None:
    mirror.files["tiny.zip"] = content
    mirror.ignores_ranges = True
    with pytest.raises(PackError, match=r"127\.0\.0\.1 (sent another file|broke off after)"):
        pull(store, pack, _from(mirror))
    assert len(mirror.asked) == requests
    part = store.downloads / f"{sha256(ARCHIVE)}.part"
    assert not part.exists() or part.stat().st_size < len(ARCHIVE)
    assert set(store.states(pack).values()) == {FileState.MISSING}


def test_no_more_than_one_byte_too_many_is_stored(store: Store, pack: Pack, mirror: Mirror) -> None:
    sizes: list[int] = []
    mirror.files["tiny.zip"] = ARCHIVE * 50
    part = store.downloads / f"{sha256(ARCHIVE)}.part"
    with pytest.raises(PackError):
        pull(store, pack, _from(mirror), lambda wanted, have: sizes.append(part.stat().st_size))
    assert max(sizes) <= len(ARCHIVE) + 1


def test_mirrors_are_tried_in_order_and_then_the_published_address(store: Store, pack: Pack, mirror: Mirror) -> None:
    origin = Origin(bases=("https://a.example/x", "https://b.example/"))
    assert origin.urls(pack.downloads[0]) == (
        "https://a.example/x/tiny.zip",
        "https://b.example/tiny.zip",
        "https://example.invalid/tiny.zip",
    )
    with serve({}) as empty:
        pull(store, pack, _from(empty, mirror))
        assert empty.asked == [("/tiny.zip", "")]


def test_an_address_may_be_that_of_the_file_itself(store: Store, pack: Pack, mirror: Mirror) -> None:
    pull(store, pack, _from(f"{mirror.url}/tiny.zip?signature=1"))
    assert mirror.asked == [("/tiny.zip?signature=1", "")]


@pytest.mark.parametrize(
    ("statuses", "tries", "requests", "message"),
    [
        ([404], 3, 1, "answered 404"),
        ([403], 3, 1, "answered 403"),
        ([503, 503, 503], 3, 3, "answered 503"),
        ([503], 1, 1, "answered 503"),
        ([304], 3, 1, "answered 304"),
    ],
)
def test_what_an_address_answers_is_said_in_one_line(
    store: Store, mirror: Mirror, statuses: list[int], tries: int, requests: int, message: str
) -> None:
    pack, mirror.statuses = store.pack("tiny"), statuses
    with pytest.raises(PackError, match=rf"^cannot download tiny\.zip: 127\.0\.0\.1 {message}$"):
        pull(store, pack, _from(mirror, tries=tries))
    assert len(mirror.asked) == requests


def test_an_unreachable_address_is_said(store: Store, pack: Pack, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(download, "_PAUSE_S", 0.0)
    with pytest.raises(PackError, match=r"cannot download tiny\.zip: 127\.0\.0\.1 .*refused"):
        pull(store, pack, _from("http://127.0.0.1:1"))


@pytest.mark.parametrize("range_", ["bytes 0-9/10", "bytes 699-999/1000", "bytes 700-800/99", "items 1", ""])
def test_another_part_than_asked_for_is_not_appended(store: Store, pack: Pack, mirror: Mirror, range_: str) -> None:
    mirror.break_off_after, mirror.content_range = [700], range_ or "?"
    with pytest.raises(PackError, match="sent another part of the file than was asked for"):
        pull(store, pack, _from(mirror))
    assert (store.downloads / f"{sha256(ARCHIVE)}.part").stat().st_size == 700


def test_a_redirect_leads_to_https_only(store: Store, pack: Pack, mirror: Mirror) -> None:
    mirror.redirect = "http://127.0.0.1:1/tiny.zip"
    with pytest.raises(PackError, match="redirects to an address that is not https"):
        pull(store, pack, _from(mirror))


@pytest.mark.parametrize("address", ["http://[", "http://127.0.0.1:99999/x", "http://\x00", "http://"])
def test_what_is_no_address_is_no_traceback(store: Store, pack: Pack, address: str) -> None:
    with pytest.raises(PackError, match=r"^cannot download tiny\.zip: .+$"):
        pull(store, pack, _from(address, tries=1))


def test_a_redirect_to_no_address_is_refused(store: Store, pack: Pack, mirror: Mirror) -> None:
    mirror.redirect = "https://\x7f"
    with pytest.raises(PackError, match=r"^cannot download tiny\.zip: .+$"):
        pull(store, pack, _from(mirror, tries=1))


def test_a_download_may_be_the_file_itself(store: Store, pack: Pack, mirror: Mirror) -> None:
    source, url = DownloadSource(downloads=("detector.onnx",)), "https://example.invalid/detector.onnx"
    file = pack.files[0].model_copy(update={"source": source})
    own = Download(name=file.name, url=url, sha256=file.sha256, size=file.size)
    plain = pack.model_copy(update={"files": (file,), "downloads": (own,)})
    mirror.files["detector.onnx"] = DETECTOR
    assert pull(store, plain, _from(mirror)) == (file,)
    assert _left(store) == ["tiny/detector.onnx"]


def _downloader(tmp_path: Path, answer: httpx.MockTransport) -> tuple[Downloader, Download]:
    wanted = Download(name="a.bin", url="https://a.example/a.bin", sha256=sha256(b"content"), size=7)
    return Downloader(httpx.Client(transport=answer), tmp_path, lambda wanted, have: None, 1), wanted


def test_redirects_to_https_are_followed_but_not_without_end(tmp_path: Path) -> None:
    def answer(request: httpx.Request) -> httpx.Response:
        if request.url.host == "store.example":
            return httpx.Response(200, stream=httpx.ByteStream(b"content"))
        return httpx.Response(302, headers={"Location": "https://store.example/b"})

    downloader, wanted = _downloader(tmp_path, httpx.MockTransport(answer))
    assert downloader.fetch(wanted, [wanted.url]).read_bytes() == b"content"
    downloader.part(wanted).unlink()
    downloader, wanted = _downloader(
        tmp_path, httpx.MockTransport(lambda request: httpx.Response(302, headers={"Location": str(request.url)}))
    )
    with pytest.raises(PackError, match=r"a\.example redirects without end"):
        downloader.fetch(wanted, [wanted.url])


_PULL = """
import sys
from pathlib import Path
from app.packs.local_files import member
from app.packs.pull import Origin, pull
from app.packs.store import Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
print(len(pull(store, store.pack("tiny"), Origin(bases=(sys.argv[3],), published=False))))
"""


def test_processes_may_pull_at_the_same_time_and_download_once(store: Store, pack: Pack, mirror: Mirror) -> None:
    folder = store.downloads.parent
    command = [sys.executable, "-c", _PULL, str(folder.with_name("catalogue")), str(folder), mirror.url]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) for _ in range(3)]
    assert sorted(process.communicate(timeout=60)[0] for process in running) == ["0\n", "0\n", "2\n"]
    assert mirror.asked == [("/tiny.zip", "")]
    assert _left(store) == _INSTALLED


def test_threads_may_pull_at_the_same_time(store: Store, pack: Pack, mirror: Mirror) -> None:
    with ThreadPoolExecutor(4) as pool:
        made = list(pool.map(lambda _: pull(store, pack, _from(mirror)), range(4)))
    assert sorted(map(len, made)) == [0, 0, 0, 2]


def test_a_folder_that_cannot_be_written_is_refused(store: Store, pack: Pack) -> None:
    store.downloads.parent.mkdir()
    store.downloads.write_bytes(b"")
    with pytest.raises(PackError, match="COMPAREFACE_MODELS__WEIGHTS_DIR"):
        pull(store, pack, Origin())


# From files


def _offer(folder: Path, **contents: bytes) -> Path:
    folder.mkdir()
    for name, content in contents.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


@pytest.mark.parametrize(
    "contents",
    [
        {"tiny__zip": ARCHIVE},
        {"renamed__zip": ARCHIVE},
        {"packed__zip": archive({"a/b/embedder.onnx": EMBEDDER, "detector.onnx": DETECTOR})},
        {"one__zip": archive({"embedder.onnx": EMBEDDER}), "two__zip": archive({"detector.onnx": DETECTOR})},
        {"x__onnx": DETECTOR, "y__onnx": EMBEDDER},
        {"detector__onnx": DETECTOR, "packed__zip": archive({"embedder.onnx": EMBEDDER})},
        {"tiny__zip": ARCHIVE[:900], "detector__onnx": DETECTOR, "embedder__onnx": EMBEDDER},
    ],
)
def test_a_folder_with_the_content_is_enough(
    store: Store, pack: Pack, tmp_path: Path, contents: dict[str, bytes]
) -> None:
    offered = _offer(tmp_path / "offered", **contents)
    assert pull(store, pack, Origin(paths=(offered,))) == pack.files
    assert _left(store) == _INSTALLED


def test_an_archive_is_enough(store: Store, pack: Pack, tmp_path: Path) -> None:
    offered = _offer(tmp_path / "offered", tiny__zip=ARCHIVE)
    pull(store, pack, Origin(paths=(offered / "tiny.zip",)))
    store.resolve(pack)


def test_what_is_offered_in_parts_is_installed_in_parts(store: Store, pack: Pack, tmp_path: Path) -> None:
    first, second = _offer(tmp_path / "a", d=DETECTOR), _offer(tmp_path / "b", e=EMBEDDER)
    with pytest.raises(PackError, match=r"pack tiny: embedder\.onnx cannot be made from .*/a: it has no embedder"):
        pull(store, pack, Origin(paths=(first,)))
    assert pull(store, pack, Origin(paths=(second,))) == pack.files[1:]


def _flipped(content: bytes) -> bytes:
    place = content.index(b"embedder") + 30  # within the embedder, in an archive as well
    return content[:place] + bytes([content[place] ^ 1]) + content[place + 1 :]


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("embedder.onnx", _flipped(EMBEDDER)),
        ("embedder.onnx", EMBEDDER[:-1]),
        ("embedder.onnx", EMBEDDER + b"x"),
        ("embedder.onnx", b""),
        ("tiny.zip", _flipped(ARCHIVE)),
        ("tiny.zip", ARCHIVE[:-1]),
        ("tiny.zip", ARCHIVE[:200]),
    ],
)
def test_a_damaged_copy_is_refused_by_name(store: Store, pack: Pack, tmp_path: Path, name: str, content: bytes) -> None:
    offered = _offer(tmp_path / "offered", **{name: content})
    with pytest.raises(PackError, match=rf"{name} is not the recorded file"):
        pull(store, pack, Origin(paths=(offered,)))
    assert "tiny/embedder.onnx" not in _left(store)


def test_nothing_offered_is_an_error(store: Store, pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="nowhere does not exist"):
        pull(store, pack, Origin(paths=(tmp_path / "nowhere",)))
    with pytest.raises(PackError, match=r"detector\.onnx, embedder\.onnx cannot be made from .*: it has no"):
        pull(store, pack, Origin(paths=(_offer(tmp_path / "empty"),)))


def test_a_pipe_among_the_files_does_not_block(store: Store, pack: Pack, tmp_path: Path) -> None:
    offered = _offer(tmp_path / "offered", tiny__zip=ARCHIVE)
    os.mkfifo(offered / "a-pipe")
    pull(store, pack, Origin(paths=(offered,)))


# Hostile archives


def _link(name: str, target: str) -> tuple[zipfile.ZipInfo, str]:
    info = zipfile.ZipInfo(name)
    info.create_system, info.external_attr = 3, (stat.S_IFLNK | 0o777) << 16
    return info, target


@pytest.fixture
def hostile(tmp_path: Path) -> Path:
    """An archive that holds the embedder, and traps."""
    path = tmp_path / "in" / "hostile.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as opened:
        opened.writestr(*_link("embedder.onnx", "/etc/passwd"))
        opened.writestr("../../../detector.onnx", DETECTOR)
        opened.writestr("/tmp/evil.onnx", b"evil")
        opened.writestr("a/embedder.onnx", b"wrong" * 36_000)  # as long as the right one
        opened.writestr("b/embedder.onnx", b"short")
        opened.writestr("embedder.onnx/", b"")
        opened.writestr("..\\embedder.onnx", b"windows")
        opened.writestr("c/embedder.onnx", EMBEDDER)
        opened.writestr("bomb.onnx", bytes(300_000_000))
    return path


def test_a_hostile_archive_gives_the_right_bytes_or_nothing(store: Store, pack: Pack, hostile: Path) -> None:
    before = {path for path in hostile.parents[1].rglob("*") if ".downloads" not in path.parts}
    start = time.monotonic()
    pull(store, pack, Origin(paths=(hostile,)))
    assert time.monotonic() - start < 5  # the bomb is not unpacked
    after = {path for path in hostile.parents[1].rglob("*") if ".downloads" not in path.parts}
    assert {path.name for path in after - before} == {"weights", "tiny", "detector.onnx", "embedder.onnx"}
    assert store.path(pack, pack.files[1]).read_bytes() == EMBEDDER
    assert not store.path(pack, pack.files[1]).is_symlink()


def test_a_member_that_claims_less_than_it_has_is_read_up_to_its_claim(
    store: Store, pack: Pack, tmp_path: Path
) -> None:
    content = archive({"embedder.onnx": b"A" * 50_000_000})
    claimed = content.replace((50_000_000).to_bytes(4, "little"), len(EMBEDDER).to_bytes(4, "little"))
    assert claimed != content
    offered = _offer(tmp_path / "offered", bomb__zip=claimed)
    with pytest.raises(PackError, match="cannot be made from"):
        pull(store, pack, Origin(paths=(offered,)))


def test_whatever_is_damaged_in_an_archive_there_is_the_right_content_or_none(tmp_path: Path) -> None:
    path, chance = tmp_path / "a.zip", random.Random(7)
    for _ in range(1500):
        content = bytearray(ARCHIVE)
        for _ in range(chance.randrange(1, 6)):
            content[chance.randrange(len(content) * 3 // 4, len(content))] = chance.randrange(256)  # the directory
            content[chance.randrange(len(content))] = chance.randrange(256)
        path.write_bytes(content[chance.randrange(3) :])
        assert member(path, "embedder.onnx", sha256(EMBEDDER), len(EMBEDDER)) in {None, EMBEDDER}


def test_an_archive_of_the_right_digest_without_the_member_blames_the_record(tmp_path: Path) -> None:
    wrong = archive({"other.onnx": b"other"})
    write_pack(tmp_path / "catalogue", archived=wrong)
    store = Store(tmp_path / "catalogue", tmp_path / "weights")
    with serve({"tiny.zip": wrong}) as mirror, pytest.raises(PackError, match=r"does not contain the detector\.onnx"):
        pull(store, store.pack("tiny"), _from(mirror))


# What was pulled


def test_a_changed_file_is_refused_and_pulled_again(store: Store, pack: Pack, mirror: Mirror) -> None:
    pull(store, pack, _from(mirror))
    store.path(pack, pack.files[1]).write_bytes(_flipped(EMBEDDER))
    with pytest.raises(PackError, match=r"embedder\.onnx is changed; run `\S*compareface models pull tiny`"):
        store.resolve(pack)
    store.build_missing(pack)
    with pytest.raises(PackError, match=r"embedder\.onnx is changed"):
        store.resolve(pack)
    assert pull(store, pack, _from(mirror)) == pack.files[1:]
    store.resolve(pack)
