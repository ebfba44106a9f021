"""Fixtures for all tests: settings, real models, a live service, the folder ../shared."""

# ruff: noqa: E402 - the environment is cleared before app is imported

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import pytest
from coverage import Coverage

for _name in [name for name in os.environ if name.upper().startswith("COMPAREFACE_")]:
    del os.environ[_name]  # settings of the developer must not affect the tests
os.environ["COMPAREFACE_MODELS__PACK"] = "open"  # nor must installed packs

from app.engine import Pipelines, SharedResources, open_pipelines, open_shared_resources
from app.environment import Settings
from app.packs.manifest import Pack
from app.packs.store import Store
from app.runtime.worker_pool import ThreadBudget
from app.service.face_pipeline import EmbeddingPipeline
from app.vision.quality.assessment import QualityAssessor
from benchmarks import SHARED
from tests.support.fakes import KEYS_FILE
from tests.support.server import Server, running_server

hypothesis.settings.register_profile("untimed", deadline=None)  # a busy machine must not fail a test
hypothesis.settings.load_profile("untimed")


@pytest.fixture(scope="session")
def shared() -> Path:
    """The folder ../shared; tests that use it carry the marker ``shared``."""
    return SHARED


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if SHARED.is_dir():
        return
    skip = pytest.mark.skip(reason="the folder ../shared (real faces, recorded requests) is absent")
    for item in items:
        if item.get_closest_marker("shared"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def settings() -> Settings:
    return Settings()


@pytest.fixture(scope="session")
def store(settings: Settings) -> Store:
    return Store.from_settings(settings.models)


@pytest.fixture(scope="session")
def pack(store: Store) -> Pack:
    return store.pack("open")


_BUDGET = ThreadBudget(workers=2, intra_op=1)


@pytest.fixture(scope="session")
def shared_models(settings: Settings) -> SharedResources:
    return open_shared_resources(settings, _BUDGET)


@pytest.fixture(scope="session")
def assessor(shared_models: SharedResources) -> QualityAssessor:
    """The quality assessor with its real network."""
    return shared_models.assessor


@pytest.fixture(scope="session")
def pipelines(settings: Settings, store: Store, pack: Pack, shared_models: SharedResources) -> Pipelines:
    """The real pipelines of the pack `open`."""
    return open_pipelines(settings, store, pack, shared_models)


@pytest.fixture(scope="session")
def embedding_pipeline(pipelines: Pipelines) -> EmbeddingPipeline:
    return pipelines.embedding


@pytest.fixture(scope="session")
def live_server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    """A live service for the whole session, which also accepts the callers of ``KEYS_FILE``."""
    keys = tmp_path_factory.mktemp("keys") / "keys.toml"
    keys.write_text(KEYS_FILE)
    settings = {"COMPAREFACE_FETCH__ALLOW": "127.0.0.1", "COMPAREFACE_AUTH__KEYS_FILE": str(keys)}
    with running_server(settings) as server:
        yield server


@pytest.fixture
def weights(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Return an empty folder that the settings name as the folder of weights."""
    monkeypatch.setenv("COMPAREFACE_MODELS__WEIGHTS_DIR", str(tmp_path))
    return tmp_path


@pytest.fixture
def weights_of_open(weights: Path, store: Store, pack: Pack) -> Path:
    """Return the folder ``weights`` with the files of the pack `open`, which take a second to build."""
    shutil.copytree(store.folder(pack), weights / "open")
    return weights


@pytest.fixture
def without_coverage() -> Iterator[None]:
    """Pause the measurement of coverage, for tests that run code on many images that other tests cover.

    The measurement doubles their time.
    """
    measurement = Coverage.current()
    if measurement is None:
        yield
        return
    measurement.stop()
    yield
    measurement.start()
