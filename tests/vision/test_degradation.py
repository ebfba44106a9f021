from pathlib import Path

import numpy as np
import pytest

from app.packs.manifest import Pack, PackError
from app.vision.degradation import DegradationModel


@pytest.fixture
def small_pack(pack: Pack) -> Pack:
    """Return a pack whose embeddings have two values."""
    return pack.model_copy(update={"embedder": pack.embedder.model_copy(update={"dimension": 2})})


def _write(path: Path, sha256: str, bias: tuple[float, ...] | float = 0.1) -> Path:
    np.savez(
        path,
        embedder_sha256=np.array(sha256),
        hidden_weights=np.array([[1.0, -1.0], [0.0, 2.0]], np.float32),
        hidden_bias=np.array([0.0, 0.5], np.float32),
        weights=np.array([1.0, -0.5], np.float32),
        bias=np.array(bias, np.float32),
    )
    return path


@pytest.mark.parametrize(("vector", "expected"), [((1, 0), 1.1), ((0, 1), 0.0), ((0, 0), 0.0), ((0.6, 0.8), 0.0)])
def test_the_estimate_is_that_of_the_network_and_never_negative(
    tmp_path: Path, small_pack: Pack, vector: tuple[float, float], expected: float
) -> None:
    model = DegradationModel.load(_write(tmp_path / "degradation.npz", small_pack.embedder_sha256), small_pack)
    assert model.estimate(np.array(vector, np.float32)) == pytest.approx(expected)
    assert model.estimate(np.array([vector, vector], np.float32)).shape == (2,)


def test_a_model_of_another_embedder_is_rejected(tmp_path: Path, small_pack: Pack) -> None:
    with pytest.raises(PackError, match="another embedder file"):
        DegradationModel.load(_write(tmp_path / "degradation.npz", "cd" * 32), small_pack)


def test_a_model_of_other_dimensions_is_rejected(tmp_path: Path, pack: Pack, small_pack: Pack) -> None:
    path = _write(tmp_path / "degradation.npz", pack.embedder_sha256)
    with pytest.raises(PackError, match=f"does not fit embeddings of {pack.embedder.dimension} values"):
        DegradationModel.load(path, pack)
    with pytest.raises(PackError, match="does not fit embeddings of 2 values"):
        DegradationModel.load(_write(path, small_pack.embedder_sha256, bias=(0.1, 0.2)), small_pack)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken"])
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, pack: Pack, content: bytes) -> None:
    path = tmp_path / "degradation.npz"
    path.write_bytes(content)
    with pytest.raises(PackError, match="cannot be read; reinstall the program"):
        DegradationModel.load(path, pack)


def test_a_file_without_an_array_is_one_clear_error(tmp_path: Path, pack: Pack) -> None:
    path = tmp_path / "degradation.npz"
    np.savez(path, embedder_sha256=np.array(pack.embedder_sha256))
    with pytest.raises(PackError, match="cannot be read; reinstall the program"):
        DegradationModel.load(path, pack)
