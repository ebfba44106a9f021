import hashlib
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import numpy_helper

from app.packs.convert import openvino_int8
from app.packs.store import Store
from tests.packs.convert.optimised import op_counts

pytestmark = pytest.mark.shared


@pytest.fixture(scope="module")
def source(shared: Path) -> tuple[bytes, bytes]:
    path = shared / "models/omz/face-reidentification-retail-0095/face-reidentification-retail-0095.xml"
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


@pytest.fixture(scope="module")
def quantised(source: tuple[bytes, bytes]) -> bytes:
    return openvino_int8.convert(*source)


def test_the_conversion_gives_the_recorded_digest(quantised: bytes, store: Store) -> None:
    pack = store.pack("omz")
    (file,) = (file for file in pack.files if file.name == pack.embedder.int8_file)
    assert (file.sha256, file.size) == (hashlib.sha256(quantised).hexdigest(), len(quantised))


def test_convolution_weights_do_not_overflow_on_any_cpu(quantised: bytes) -> None:
    weights = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(quantised).graph.initializer]
    filters = [values for values in weights if values.dtype == np.int8 and values.ndim == 4]
    assert max(2 * 255 * int(np.abs(values.astype(int)).max()) for values in filters) < 2**15


def test_every_layer_before_the_last_stage_runs_in_integers(quantised: bytes, tmp_path: Path) -> None:
    counts = op_counts(quantised, tmp_path)
    # The additions are 10 of residuals and one in place of each LeakyRelu.
    assert (counts["QLinearConv"], counts["QLinearAdd"], counts["Max"]) == (63, 49, 39)
    assert "QLinearLeakyRelu" not in counts
