from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from app.config import FetchSettings, ModelsSettings, RuntimeSettings, Settings, SettingsError
from app.engine import Engine
from app.packs.manifest import Pack, PackError
from app.packs.store import Store
from app.runtime.providers import DeviceError
from app.scoring.calibration import CalibrationError


def _stored_in(folder: Path) -> Settings:
    return Settings(models=ModelsSettings(weights_dir=folder))


async def test_the_facts_say_what_runs_where(settings: Settings) -> None:
    async with Engine.open(settings) as engine:
        assert engine.ready
        facts = dict(engine.facts())
    assert not engine.ready
    assert (facts["pack"], facts["device"], facts["provider"]) == ("open", "cpu", "CPUExecutionProvider")
    assert str(facts["calibration"]).startswith("{'data': 'LFW")


async def test_weights_are_made_at_first_use(tmp_path: Path, pack: Pack) -> None:
    async with Engine.open(_stored_in(tmp_path)):
        assert {path.name for path in (tmp_path / "open").iterdir()} == {file.name for file in pack.files}


@pytest.mark.parametrize("damage", ["missing", "changed"])
async def test_weights_that_were_there_are_not_replaced_silently(
    tmp_path: Path, store: Store, pack: Pack, damage: str
) -> None:
    shutil.copytree(store.path(pack, pack.files[0]).parent, tmp_path / "open")
    victim = tmp_path / "open" / pack.embedder.file
    victim.unlink() if damage == "missing" else victim.write_bytes(b"changed")
    with pytest.raises(PackError, match=f"{pack.embedder.file} is {damage}"):
        async with Engine.open(_stored_in(tmp_path)):
            pass


async def test_a_device_that_is_not_there_stops_the_start() -> None:
    with pytest.raises(DeviceError):
        async with Engine.open(Settings(runtime=RuntimeSettings(device="cuda"))):
            pass


async def test_a_malformed_allow_entry_stops_the_start() -> None:
    with pytest.raises(SettingsError, match=r"^COMPAREFACE_FETCH__ALLOW: .*10\.0\.0\.0/99"):
        async with Engine.open(Settings(fetch=FetchSettings(allow=("10.0.0.0/99",)))):
            pass


async def test_an_unknown_pack_stops_the_start() -> None:
    with pytest.raises(PackError, match="known packs: open"):
        async with Engine.open(Settings(models=ModelsSettings(pack="closed"))):
            pass


async def _open_catalogue(monkeypatch: pytest.MonkeyPatch, folder: Path) -> None:
    monkeypatch.setattr(Store, "of", lambda _: Store(folder, folder))
    async with Engine.open(Settings()):
        pass


async def test_an_unknown_detector_family_stops_the_start(
    tmp_path: Path, store: Store, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(store.calibration_path("open").parent, tmp_path / "open")
    manifest = tmp_path / "open/pack.toml"
    manifest.write_text(manifest.read_text().replace('family = "centerface"', 'family = "guesswork"'))
    with pytest.raises(PackError, match="guesswork"):
        await _open_catalogue(monkeypatch, tmp_path)


async def test_a_calibration_of_another_embedder_stops_the_start(
    tmp_path: Path, store: Store, pack: Pack, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copytree(store.calibration_path("open").parent, tmp_path / "open")
    table = tmp_path / "open/calibration.toml"
    table.write_text(table.read_text().replace(pack.embedder_sha256, "0" * 64))
    with pytest.raises(CalibrationError, match="another embedder"):
        await _open_catalogue(monkeypatch, tmp_path)
