import asyncio
import base64
import re
import shutil
from pathlib import Path

import pytest

from app.domain import CompareOptions, ImageRef, Population
from app.engine import Engine, open_pipelines, open_shared_resources
from app.environment import Settings
from app.ops.stage_timer import StageTimer
from app.packs import build
from app.packs.manifest import Pack, PackError
from app.packs.store import PREFERRED, Store
from app.runtime.providers import PROVIDERS, DeviceError
from app.runtime.session import OrtSession
from app.runtime.worker_pool import ThreadBudget, available_cores, thread_budget
from app.scoring.calibration import CalibrationError
from app.settings import CompareSettings, ModelsSettings, RuntimeSettings
from app.vision import int8_check
from tests.support.images import astronaut, cast, jpeg


def _settings_with_weights_in(folder: Path) -> Settings:
    return Settings(models=ModelsSettings(pack="open", weights_dir=folder))


async def test_the_information_lists_networks_providers_and_calibration(settings: Settings) -> None:
    async with Engine.open(settings) as engine:
        info = engine.info
    assert (info.pack, info.device, info.provider) == ("open", "cpu", "CPUExecutionProvider")
    assert {
        file: (list(network.nodes_by_provider), network.max_batch_size)
        for file, network in info.networks["open"].items()
    } == {
        "centerface.onnx": (["CPUExecutionProvider"], 1),
        "dlib_resnet_v1_capped_int8.onnx": (["CPUExecutionProvider"], 1),
    }
    assert info.pack_of_version_2_0 == "open"
    assert info.calibration_notes == []
    assert info.calibration["open"].status == "measured"
    assert info.default_population_info.data.startswith("LFW")


async def test_auto_falls_back_to_open_if_the_better_pack_is_not_installed(weights_of_open: Path) -> None:
    async with Engine.open(Settings(models=ModelsSettings(pack="auto", weights_dir=weights_of_open))) as engine:
        assert (engine.info.pack, engine.info.pack_is_automatic) == ("open", True)
    async with Engine.open(_settings_with_weights_in(weights_of_open)) as engine:
        assert (engine.info.pack, engine.info.pack_is_automatic) == ("open", False)


def test_auto_selects_the_better_pack_if_its_files_are_installed(tmp_path: Path, store: Store) -> None:
    better = store.pack(PREFERRED)
    for file in better.files:
        (tmp_path / better.name).mkdir(exist_ok=True)
        (tmp_path / better.name / file.name).write_bytes(b"changed")
    settings = ModelsSettings(pack="auto", weights_dir=tmp_path)
    assert Store.with_selected_pack(settings)[1] == better
    shared = open_shared_resources(Settings(), ThreadBudget(1, 1))
    with pytest.raises(PackError, match="is changed"):
        open_pipelines(Settings(models=settings), *Store.with_selected_pack(settings), shared)
    (tmp_path / better.name / better.files[0].name).unlink()
    assert Store.with_selected_pack(settings)[1].name == "open"


async def test_weights_are_built_at_first_use(tmp_path: Path, pack: Pack) -> None:
    async with Engine.open(_settings_with_weights_in(tmp_path)):
        assert {path.name for path in (tmp_path / "open").iterdir()} == {file.name for file in pack.files}


async def test_files_missing_after_an_interrupted_start_are_built_later(
    tmp_path: Path, store: Store, pack: Pack
) -> None:
    (tmp_path / "open").mkdir()
    shutil.copy(store.path(pack, pack.files[0]), tmp_path / "open")
    async with Engine.open(_settings_with_weights_in(tmp_path)):
        assert {path.name for path in (tmp_path / "open").iterdir()} == {file.name for file in pack.files}


async def test_replicas_may_start_concurrently_with_a_shared_empty_folder(tmp_path: Path) -> None:
    def start() -> None:
        async def open_and_close() -> None:
            async with Engine.open(_settings_with_weights_in(tmp_path)):
                pass

        asyncio.run(open_and_close())

    await asyncio.gather(*(asyncio.to_thread(start) for _ in range(3)))


async def test_changed_weights_stop_the_start(tmp_path: Path, store: Store, pack: Pack) -> None:
    shutil.copytree(store.path(pack, pack.files[0]).parent, tmp_path / "open")
    (tmp_path / "open" / pack.embedder.file).write_bytes(b"changed")
    with pytest.raises(PackError, match=f"{pack.embedder.file} is changed"):
        async with Engine.open(_settings_with_weights_in(tmp_path)):
            pass


async def test_an_own_calibration_overrides_the_shipped_one(weights_of_open: Path, store: Store) -> None:
    shipped = store.calibration_path("open").read_text(encoding="utf-8")
    (weights_of_open / "open/calibration.own.toml").write_text(
        shipped.replace('data = "LFW', 'data = "OUR OWN'), encoding="utf-8"
    )
    async with Engine.open(_settings_with_weights_in(weights_of_open)) as engine:
        assert "OUR OWN" in engine.info.default_population_info.data
        assert engine.info.calibration_notes[0].startswith("custom calibration on OUR OWN")


async def _open_with_calibration(folder: Path, text: str, **settings: object) -> None:
    (folder / "open").mkdir()
    (folder / "open/calibration.own.toml").write_text(text, encoding="utf-8")
    async with Engine.open(_settings_with_weights_in(folder).model_copy(update=settings)):
        pass


async def test_a_calibration_without_the_selected_population_stops_the_start(tmp_path: Path, store: Store) -> None:
    general = store.calibration_path("open").read_text(encoding="utf-8").partition("[matched]")[0]
    matched = CompareSettings(population=Population.MATCHED)
    with pytest.raises(CalibrationError, match=r"pack open has no population matched \(only general\)") as caught:
        await _open_with_calibration(tmp_path, general, compare=matched)
    assert "\n" not in str(caught.value)
    assert [path.name for path in (tmp_path / "open").iterdir()] == ["calibration.own.toml"], "no model is built"


def _requiring_fit(folder: Path) -> ModelsSettings:
    return ModelsSettings(pack="open", weights_dir=folder, require_fit=True)


async def test_an_unfit_pack_is_reported_and_refused_if_a_fit_one_is_required(settings: Settings) -> None:
    async with Engine.open(settings) as engine:
        assert engine.info.unfit == {
            "open": "The pack open is for trying out and not for decisions about people: use the pack omz."
        }
    strict = settings.model_copy(update={"models": settings.models.model_copy(update={"require_fit": True})})
    command = r"run `\S*compareface models pull omz` "
    message = f"use the pack omz. COMPAREFACE_MODELS__REQUIRE_FIT refuses the pack open: {command}"
    with pytest.raises(PackError, match=message) as caught:
        async with Engine.open(strict):
            pass
    assert "\n" not in str(caught.value)


async def test_a_provisional_calibration_is_unfit(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = store.calibration_path("open").read_text(encoding="utf-8")
    monkeypatch.setattr(Store, "select_pack", lambda *_: store.pack("open").model_copy(update={"unfit": None}))
    with pytest.raises(PackError, match="calibration of the pack open is provisional"):
        await _open_with_calibration(
            tmp_path, text.replace('"measured"', '"provisional"'), models=_requiring_fit(tmp_path)
        )


async def test_a_calibration_on_few_people_is_unfit(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = store.calibration_path("open").read_text(encoding="utf-8")
    few = re.sub(r"(far = 1e-05 .*\n)", r"\1extrapolated = true\n", text, count=1)
    monkeypatch.setattr(Store, "select_pack", lambda *_: store.pack("open").model_copy(update={"unfit": None}))
    message = (
        r"pack open is partly extrapolated\. COMPAREFACE_MODELS__REQUIRE_FIT .*: delete .*calibration\.own\.toml, or"
    )
    with pytest.raises(PackError, match=message):
        await _open_with_calibration(tmp_path, few, models=_requiring_fit(tmp_path))


async def test_each_population_has_its_status(settings: Settings) -> None:
    """The 55 people of the population `matched` are too few to measure its thresholds."""
    async with Engine.open(settings) as engine:
        calibration = engine.info.calibration["open"]
        status = {population.value: table.status for population, table in calibration.populations.items()}
    assert status == {"general": "measured", "matched": "partly extrapolated"}
    assert calibration.status == "measured"


async def test_an_unavailable_device_stops_the_start() -> None:
    with pytest.raises(DeviceError):
        async with Engine.open(Settings(runtime=RuntimeSettings(device="cuda"))):
            pass


async def test_other_devices_than_the_cpu_batch_images_and_return_the_same_scores(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The tests run without a GPU, so the CPU provider is registered under the name ``cuda``."""
    monkeypatch.setitem(PROVIDERS, "cuda", PROVIDERS["cpu"])
    images = [ImageRef(base64=base64.b64encode(jpeg(image)).decode()) for image in (astronaut(), cast())]

    async def scores(device: str) -> list[float]:
        runtime = RuntimeSettings.model_validate({"device": device, "int8": False})
        device_settings = settings.model_copy(update={"runtime": runtime})
        async with Engine.open(device_settings) as engine:
            assert {network.max_batch_size for network in engine.info.networks["open"].values()} == {
                1 if device == "cpu" else 16
            }
            assert engine.info.worker_threads == thread_budget(available_cores(), device).workers
            pairs = [(a, b) for a in images for b in images] * 2
            comparisons = [engine.services.compare(a, b, CompareOptions(), StageTimer.after(60)) for a, b in pairs]
            return [comparison.score for comparison in await asyncio.gather(*comparisons)]

    assert await scores("cuda") == pytest.approx(await scores("cpu"), abs=1e-3)


async def _embedder_file(runtime: RuntimeSettings) -> str:
    async with Engine.open(Settings(runtime=runtime)) as engine:
        (name,) = set(engine.info.networks["open"]) - {"centerface.onnx"}
        return name


async def test_the_int8_model_runs_on_the_cpu_unless_it_is_disabled(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(PROVIDERS, "cuda", PROVIDERS["cpu"])
    assert await _embedder_file(RuntimeSettings()) == "dlib_resnet_v1_capped_int8.onnx"
    assert await _embedder_file(RuntimeSettings(int8=False)) == "dlib_resnet_v1_capped.onnx"
    assert await _embedder_file(RuntimeSettings(device="cuda")) == "dlib_resnet_v1_capped.onnx"


async def test_an_inaccurate_int8_model_is_replaced_with_a_warning(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(int8_check, "int8_agreement", lambda *_: 0.9)
    assert await _embedder_file(RuntimeSettings()) == "dlib_resnet_v1_capped.onnx"
    (record,) = caplog.records
    assert record.levelname == "WARNING"
    assert record.getMessage() == "int8 model rejected"
    fields = record.__dict__["fields"]
    assert fields["file"] == "dlib_resnet_v1_capped_int8.onnx"
    assert fields["cosine"] == 0.9


@pytest.mark.parametrize("int8", [True, False])
async def test_weights_of_an_older_version_are_usable_if_no_file_can_be_added(
    tmp_path: Path, store: Store, pack: Pack, monkeypatch: pytest.MonkeyPatch, *, int8: bool
) -> None:
    """They lack the int8 model, and the package from which it is built is not installed."""
    (tmp_path / "open").mkdir()
    for file in pack.without_int8().files:
        shutil.copy(store.path(pack, file), tmp_path / "open")

    def missing(*_: object) -> bytes:
        raise PackError("the package is not installed")

    monkeypatch.setattr(build, "build_from_package", missing)
    settings = Settings(models=ModelsSettings(weights_dir=tmp_path), runtime=RuntimeSettings(int8=int8))
    async with Engine.open(settings) as engine:
        assert set(engine.info.networks["open"]) == {"centerface.onnx", "dlib_resnet_v1_capped.onnx"}
    (tmp_path / "open" / "centerface.onnx").unlink()
    with pytest.raises(PackError, match="not installed"):
        async with Engine.open(settings):
            pass


async def test_a_changed_int8_model_stops_the_start_if_it_is_used(tmp_path: Path, store: Store, pack: Pack) -> None:
    shutil.copytree(store.folder(pack), tmp_path / "open")
    (tmp_path / "open" / str(pack.embedder.int8_file)).write_bytes(b"changed")
    models = ModelsSettings(weights_dir=tmp_path)
    with pytest.raises(PackError, match=r"_int8\.onnx is changed"):
        async with Engine.open(Settings(models=models)):
            pass
    async with Engine.open(Settings(models=models, runtime=RuntimeSettings(int8=False))) as engine:
        assert engine.info.pack == "open"


async def test_an_unknown_pack_stops_the_start() -> None:
    with pytest.raises(PackError, match=r"known packs: .*open"):
        async with Engine.open(Settings(models=ModelsSettings(pack="closed"))):
            pass


async def _open_engine_with_packs_in(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(Store, "from_settings", lambda _: Store(folder, folder))
    async with Engine.open(Settings()):
        pass


async def test_an_unknown_detector_family_stops_the_start(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(store.calibration_path("open").parent, tmp_path / "open")
    manifest = tmp_path / "open/pack.toml"
    manifest.write_text(manifest.read_text().replace('family = "centerface"', 'family = "guesswork"'))
    with pytest.raises(PackError, match="guesswork"):
        await _open_engine_with_packs_in(monkeypatch, tmp_path)


async def test_a_calibration_of_another_embedder_stops_the_start(
    tmp_path: Path, store: Store, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(store.calibration_path("open").parent, tmp_path / "open")
    table = tmp_path / "open/calibration.toml"
    table.write_text(table.read_text().replace(pack.embedder_sha256, "0" * 64))
    with pytest.raises(CalibrationError, match="another embedder"):
        await _open_engine_with_packs_in(monkeypatch, tmp_path)


async def test_each_model_file_is_opened_once(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    opened_files = []
    original = OrtSession.open.__func__  # type: ignore[attr-defined]

    def recording_open(cls: type[OrtSession], path: Path, device: str, threads: int) -> OrtSession:
        opened_files.append(path.name)
        session: OrtSession = original(cls, path, device, threads)
        return session

    monkeypatch.setattr(OrtSession, "open", classmethod(recording_open))
    async with Engine.open(settings):
        pass
    assert sorted(opened_files) == [
        "centerface.onnx",
        "dlib_resnet_v1_capped.onnx",  # for the check of the int8 model
        "dlib_resnet_v1_capped_int8.onnx",
        "visibility.onnx",
    ]


async def test_a_missing_quality_network_stops_the_start(
    tmp_path: Path, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("app.packs.store.VISIBILITY", tmp_path / "visibility.onnx")
    with pytest.raises(PackError, match=r"visibility\.onnx or its record cannot be read"):
        async with Engine.open(settings):
            pass
