"""Model files of installed packages and their conversions; the pack `tiny` and a mirror to pull it from."""

from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

import pytest

from app.packs import download
from app.packs.convert import dlib, onnx_graph
from app.packs.manifest import Pack, PackageSource
from app.packs.store import Store
from tests.packs.mirror import ARCHIVE, Mirror, serve, write_pack

_MODELS = Path(__file__).resolve().parents[2] / "models"


def _source(pack: Pack, index: int) -> bytes:
    source = pack.files[index].source
    assert isinstance(source, PackageSource)
    return Path(str(metadata.distribution(source.package).locate_file(source.path))).read_bytes()


@pytest.fixture(scope="session")
def centerface_source(pack: Pack) -> bytes:
    return _source(pack, 0)


@pytest.fixture(scope="session")
def centerface(centerface_source: bytes) -> bytes:
    return onnx_graph.clean(centerface_source)


@pytest.fixture(scope="session")
def dlib_source(pack: Pack) -> bytes:
    return _source(pack, 1)


@pytest.fixture(scope="session")
def dlib_resnet(dlib_source: bytes) -> bytes:
    return dlib.convert(dlib_source)


@pytest.fixture
def empty_store(tmp_path: Path) -> Store:
    """A store with the real catalogue and without weights."""
    return Store(_MODELS, tmp_path / "weights")


@pytest.fixture
def detector_pack(pack: Pack) -> Pack:
    """A pack of one file, `centerface.onnx`, that is quick to build."""
    file = pack.files[0]
    return pack.model_copy(update={"files": (file,), "embedder": pack.embedder.model_copy(update={"file": file.name})})


@pytest.fixture
def tiny_store(tmp_path: Path) -> Store:
    """A store without weights, whose catalogue holds the pack `tiny`."""
    write_pack(tmp_path / "catalogue")
    return Store(tmp_path / "catalogue", tmp_path / "weights")


@pytest.fixture
def tiny_pack(tiny_store: Store) -> Pack:
    return tiny_store.pack("tiny")


@pytest.fixture
def mirror(monkeypatch: pytest.MonkeyPatch) -> Iterator[Mirror]:
    """A mirror that serves `tiny.zip`; failed downloads are retried at once."""
    monkeypatch.setattr(download, "_RETRY_DELAY_S", 0.0)
    with serve({"tiny.zip": ARCHIVE}) as server:
        yield server
