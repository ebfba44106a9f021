from pathlib import Path

import numpy as np
import pytest

from app.packs.manifest import PackError
from app.vision.degradation import DegradationModel

_SHA256 = "ab" * 32


def _write(path: Path) -> Path:
    np.savez(
        path,
        embedder_sha256=np.array(_SHA256),
        hidden_weights=np.array([[1.0, -1.0], [0.0, 2.0]], np.float32),
        hidden_bias=np.array([0.0, 0.5], np.float32),
        weights=np.array([1.0, -0.5], np.float32),
        bias=np.array(0.1, np.float32),
    )
    return path


@pytest.mark.parametrize(("vector", "expected"), [((1, 0), 1.1), ((0, 1), 0.0), ((0, 0), 0.0), ((0.6, 0.8), 0.0)])
def test_the_estimate_is_that_of_the_network_and_never_negative(
    tmp_path: Path, vector: tuple[float, float], expected: float
) -> None:
    model = DegradationModel.load(_write(tmp_path / "degradation.npz"), _SHA256)
    assert model.estimate(np.array(vector, np.float32)) == pytest.approx(expected)
    assert model.estimate(np.array([vector, vector], np.float32)).shape == (2,)


def test_a_model_of_another_embedder_is_rejected(tmp_path: Path) -> None:
    with pytest.raises(PackError, match="another embedder file"):
        DegradationModel.load(_write(tmp_path / "degradation.npz"), "cd" * 32)


@pytest.mark.parametrize("content", [b"", b"PK\x03\x04 broken"])
def test_a_malformed_file_is_one_clear_error(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "degradation.npz"
    path.write_bytes(content)
    with pytest.raises(PackError, match="cannot be read; reinstall the program"):
        DegradationModel.load(path, _SHA256)


def test_a_file_without_an_array_is_one_clear_error(tmp_path: Path) -> None:
    path = tmp_path / "degradation.npz"
    np.savez(path, embedder_sha256=np.array(_SHA256))
    with pytest.raises(PackError, match="cannot be read; reinstall the program"):
        DegradationModel.load(path, _SHA256)
