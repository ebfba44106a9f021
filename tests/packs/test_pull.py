import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from app.packs.manifest import Download, DownloadSource, Pack, PackError
from app.packs.pull import Origin, pull
from app.packs.store import Store
from tests.packs.mirror import (
    ARCHIVE,
    DETECTOR,
    EMBEDDER,
    INSTALLED,
    Mirror,
    archive,
    flipped,
    from_mirrors,
    serve,
    stored_files,
    write_files,
    write_pack,
)

_ROOT = Path(__file__).resolve().parents[2]


def test_a_pack_is_downloaded_once_and_leaves_no_other_files(
    tiny_store: Store, tiny_pack: Pack, mirror: Mirror
) -> None:
    sizes: list[int] = []
    assert pull(tiny_store, tiny_pack, from_mirrors(mirror), lambda file, size: sizes.append(size)) == tiny_pack.files
    assert mirror.requests == [("/tiny.zip", "")]
    assert sizes[-1] == len(ARCHIVE)
    assert sizes == sorted(sizes)
    assert stored_files(tiny_store) == INSTALLED
    assert tiny_store.path(tiny_pack, tiny_pack.files[0]).read_bytes() == DETECTOR
    assert tiny_store.path(tiny_pack, tiny_pack.files[1]).read_bytes() == EMBEDDER
    assert pull(tiny_store, tiny_pack, from_mirrors(mirror)) == ()
    assert len(mirror.requests) == 1


def test_mirrors_are_tried_in_order_and_then_the_published_url(
    tiny_store: Store, tiny_pack: Pack, mirror: Mirror
) -> None:
    origin = Origin(mirrors=("https://a.example/x", "https://b.example/"))
    assert origin.urls(tiny_pack.downloads[0]) == (
        "https://a.example/x/tiny.zip",
        "https://b.example/tiny.zip",
        "https://example.invalid/tiny.zip",
    )
    with serve({}) as empty:
        pull(tiny_store, tiny_pack, from_mirrors(empty, mirror))
        assert empty.requests == [("/tiny.zip", "")]


def test_a_mirror_may_be_the_url_of_the_file(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    pull(tiny_store, tiny_pack, from_mirrors(f"{mirror.url}/tiny.zip?signature=1"))
    assert mirror.requests == [("/tiny.zip?signature=1", "")]


def test_a_download_may_be_the_weight_file(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    source, url = DownloadSource(downloads=("detector.onnx",)), "https://example.invalid/detector.onnx"
    file = tiny_pack.files[0].model_copy(update={"source": source})
    download = Download(name=file.name, url=url, sha256=file.sha256, size=file.size)
    pack = tiny_pack.model_copy(update={"files": (file,), "downloads": (download,)})
    mirror.files["detector.onnx"] = DETECTOR
    assert pull(tiny_store, pack, from_mirrors(mirror)) == (file,)
    assert stored_files(tiny_store) == ["tiny/detector.onnx"]


def test_an_archive_with_the_recorded_digest_but_without_the_member_is_rejected(tmp_path: Path) -> None:
    content = archive({"other.onnx": b"other"})
    write_pack(tmp_path / "catalogue", archived=content)
    store = Store(tmp_path / "catalogue", tmp_path / "weights")
    with (
        serve({"tiny.zip": content}) as mirror,
        pytest.raises(PackError, match=r"tiny\.zip does not contain detector\.onnx"),
    ):
        pull(store, store.pack("tiny"), from_mirrors(mirror))


def test_files_may_be_installed_in_several_pulls(tiny_store: Store, tiny_pack: Pack, tmp_path: Path) -> None:
    first, second = write_files(tmp_path / "a", d=DETECTOR), write_files(tmp_path / "b", e=EMBEDDER)
    message = r"pack tiny: cannot get embedder\.onnx from .*/a: found no embedder\.onnx or tiny\.zip$"
    with pytest.raises(PackError, match=message):
        pull(tiny_store, tiny_pack, Origin(paths=(first,)))
    assert pull(tiny_store, tiny_pack, Origin(paths=(second,))) == tiny_pack.files[1:]


def test_missing_or_empty_local_folders_are_reported(tiny_store: Store, tiny_pack: Pack, tmp_path: Path) -> None:
    with pytest.raises(PackError, match="absent does not exist"):
        pull(tiny_store, tiny_pack, Origin(paths=(tmp_path / "absent",)))
    with pytest.raises(PackError, match=r"cannot get detector\.onnx, embedder\.onnx from .*: found no"):
        pull(tiny_store, tiny_pack, Origin(paths=(write_files(tmp_path / "empty"),)))


_PULL = """
import sys
from pathlib import Path
from app.packs.pull import Origin, pull
from app.packs.store import Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
print(len(pull(store, store.pack("tiny"), Origin(mirrors=(sys.argv[3],), uses_published_urls=False))))
"""


def test_concurrent_processes_download_a_pack_once(tiny_store: Store, mirror: Mirror) -> None:
    weights = tiny_store.downloads_folder.parent
    command = [sys.executable, "-c", _PULL, str(weights.with_name("catalogue")), str(weights), mirror.url]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_ROOT) for _ in range(3)]
    assert sorted(process.communicate(timeout=60)[0] for process in processes) == ["0\n", "0\n", "2\n"]
    assert mirror.requests == [("/tiny.zip", "")]
    assert stored_files(tiny_store) == INSTALLED


def test_concurrent_threads_install_a_pack_once(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    with ThreadPoolExecutor(4) as pool:
        results = list(pool.map(lambda _: pull(tiny_store, tiny_pack, from_mirrors(mirror)), range(4)))
    assert sorted(map(len, results)) == [0, 0, 0, 2]


def test_an_unwritable_weights_folder_is_reported(tiny_store: Store, tiny_pack: Pack) -> None:
    tiny_store.downloads_folder.parent.mkdir()
    tiny_store.downloads_folder.write_bytes(b"")
    with pytest.raises(PackError, match="COMPAREFACE_MODELS__WEIGHTS_DIR"):
        pull(tiny_store, tiny_pack, Origin())


def test_a_changed_weight_file_is_reported_and_pulled_again(tiny_store: Store, tiny_pack: Pack, mirror: Mirror) -> None:
    pull(tiny_store, tiny_pack, from_mirrors(mirror))
    tiny_store.path(tiny_pack, tiny_pack.files[1]).write_bytes(flipped(EMBEDDER))
    with pytest.raises(PackError, match=r"embedder\.onnx is changed; run `\S*compareface models pull tiny`"):
        tiny_store.resolve(tiny_pack)
    tiny_store.build_missing(tiny_pack)
    with pytest.raises(PackError, match=r"embedder\.onnx is changed"):
        tiny_store.resolve(tiny_pack)
    assert pull(tiny_store, tiny_pack, from_mirrors(mirror)) == tiny_pack.files[1:]
    tiny_store.resolve(tiny_pack)
