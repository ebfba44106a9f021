"""Packs with the real weights of ../shared/models: installing, loading and running them, and damaged copies."""

import base64
import re
import shutil
from pathlib import Path

import pytest

from app.domain import CompareOptions, ImageRef
from app.engine import Engine
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs import store as store_module
from app.packs.manifest import PackError
from app.packs.pull import Origin, pull
from app.packs.store import Store
from app.settings import ModelsSettings
from tests.packs.mirror import serve
from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.installed_packs import Row, rows
from tests.support.standin import catalogue, weights

pytestmark = pytest.mark.shared

_MODELS = Path(__file__).resolve().parents[2] / "models"
_INSTALLABLE_FILES = {
    ("auraface", "yunet.onnx"),
    ("buffalo_m", "det_2.5g.onnx"),
    ("buffalo_s", "det_500m.onnx"),
    ("buffalo_sc", "det_500m.onnx"),
    ("omz", "face-reidentification-retail-0095-int8.onnx"),
    ("omz", "face-reidentification-retail-0095.onnx"),
    ("omz", "yunet.onnx"),
    ("opencv", "yunet.onnx"),
}


@pytest.fixture(scope="module")
def table(shared: Path) -> list[Row]:
    return list(rows(shared / "models"))


def test_every_available_file_is_installed_and_damaged_copies_are_refused(table: list[Row]) -> None:
    results = {(row.pack, row.file): tuple(row[2:]) for row in table if row.flipped}
    assert results == dict.fromkeys(_INSTALLABLE_FILES, ("installed", "refused", "refused", "refused"))


def test_complete_packs_load_and_separate_people(table: list[Row]) -> None:
    loaded = {row.pack: row.intact for row in table if not row.file and row.intact.startswith("loaded")}
    assert set(loaded) == {"omz", "open"}
    for text in loaded.values():
        genuine, impostor = map(float, re.findall(r"cosine (\S+) for one person, (\S+) for two", text)[0])
        assert genuine > impostor + 0.1


def test_incomplete_packs_report_their_missing_files(table: list[Row]) -> None:
    refused = {row.pack: row.intact for row in table if not row.file and row.intact.startswith("refused")}
    assert len(refused) == 7
    assert "found no w600k_r50.onnx or buffalo_m.zip" in refused["buffalo_m"]


@pytest.fixture
def standin(shared: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings for an installed pack with a 112-pixel embedder and the calibration of `open`."""
    catalogue(shared, tmp_path / "catalogue", mirror=True, needs_acceptance=True)
    monkeypatch.setattr(store_module, "_CHECKOUT_CATALOGUE", tmp_path / "catalogue")
    (tmp_path / "weights").mkdir()
    settings = Settings(models=ModelsSettings(pack="standin", weights_dir=tmp_path / "weights"))
    store, pack = Store.with_selected_pack(settings.models)
    pull(store, pack, Origin(paths=weights(shared)))
    return settings


async def test_a_pack_runs_through_the_engine_once_its_licence_is_accepted(standin: Settings) -> None:
    with pytest.raises(PackError, match=r"licence of pack standin has not been accepted .*models pull standin`"):
        async with Engine.open(standin):
            pass
    store, pack = Store.with_selected_pack(standin.models)
    store.accept_licence(pack)
    probe, same_person, other_person = (
        ImageRef(base64=base64.b64encode(jpeg(image)).decode())
        for image in (astronaut(), another_shot(astronaut()), cast())
    )
    async with Engine.open(standin) as engine:
        assert engine.info.pack == "standin"
        genuine = await engine.services.compare(probe, same_person, CompareOptions(), StageTimer.after(60))
        impostor = await engine.services.compare(probe, other_person, CompareOptions(), StageTimer.after(60))
    assert genuine.cosine > 0.6
    assert impostor.cosine < 0.3


async def test_a_pack_with_a_changed_file_does_not_open(standin: Settings) -> None:
    store, pack = Store.with_selected_pack(standin.models)
    store.accept_licence(pack)
    path = store.path(pack, pack.files[0])
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(PackError, match=r"det_2\.5g\.onnx is changed; run `\S*compareface models pull standin`"):
        async with Engine.open(standin):
            pass


def test_a_pack_of_several_downloads_is_pulled_from_a_mirror(shared: Path, tmp_path: Path) -> None:
    store = Store(_MODELS, tmp_path)
    pack = store.pack("omz")
    paths = {path.name: path for path in (shared / "models").rglob("*.*")}
    with serve({file.name: paths[file.name].read_bytes() for file in pack.downloads}) as mirror:
        assert pull(store, pack, Origin(mirrors=(mirror.url,))) == pack.files
        assert len(mirror.requests) == 3
    store.resolve(pack)


def test_a_copied_weights_folder_installs_a_pack(shared: Path, tmp_path: Path) -> None:
    first = Store(_MODELS, tmp_path / "first")
    pull(first, first.pack("omz"), Origin(paths=(shared / "models",)))
    shutil.rmtree(first.downloads_folder)
    second = Store(_MODELS, tmp_path / "second")
    assert len(pull(second, second.pack("omz"), Origin(paths=(tmp_path / "first",)))) == 3
    second.resolve(second.pack("omz"))
