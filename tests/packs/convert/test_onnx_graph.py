import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from onnx import TensorProto, helper, numpy_helper

from app.packs.convert import onnx_graph
from app.packs.manifest import Pack, PackError

_INPUT = "input.1"


def _session(content: bytes) -> onnxruntime.InferenceSession:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2  # warnings
    return onnxruntime.InferenceSession(content, options, providers=["CPUExecutionProvider"])


def test_cleaning_is_deterministic_and_gives_the_recorded_digest(
    centerface_source: bytes, centerface: bytes, pack: Pack
) -> None:
    assert onnx_graph.clean(centerface_source) == centerface
    assert hashlib.sha256(centerface).hexdigest() == pack.files[0].sha256
    assert len(centerface) == pack.files[0].size


def test_cleaning_a_clean_file_changes_nothing(centerface: bytes) -> None:
    assert onnx_graph.clean(centerface) == centerface


def test_the_image_is_the_only_input_and_its_size_is_symbolic(centerface: bytes) -> None:
    session = _session(centerface)
    assert [(value.name, value.shape) for value in session.get_inputs()] == [(_INPUT, ["batch", 3, "height", "width"])]
    assert [value.shape[:2] for value in session.get_outputs()] == [["batch", n] for n in (1, 2, 2, 10)]


def test_cleaning_does_not_change_the_outputs(centerface_source: bytes, centerface: bytes) -> None:
    # the published file accepts only 10 x 3 x 32 x 32
    image = np.random.default_rng(7).uniform(0, 255, (10, 3, 32, 32)).astype(np.float32)
    before = _session(centerface_source).run(None, {_INPUT: image})
    after = _session(centerface).run(None, {_INPUT: image})
    assert len(before) == len(after) == 4
    for old, new in zip(before, after, strict=True):
        np.testing.assert_allclose(new, old, atol=1e-5)


@pytest.mark.parametrize(("batch", "height", "width"), [(1, 64, 96), (2, 160, 32), (4, 96, 96)])
def test_any_batch_and_size_runs_without_a_warning(
    centerface: bytes, batch: int, height: int, width: int, capfd: pytest.CaptureFixture[str]
) -> None:
    image = np.zeros((batch, 3, height, width), np.float32)
    outputs = _session(centerface).run(None, {_INPUT: image})
    assert [output.shape for output in outputs] == [(batch, n, height // 4, width // 4) for n in (1, 2, 2, 10)]
    assert capfd.readouterr().err == ""


def test_the_output_of_an_image_does_not_depend_on_the_rest_of_the_batch(centerface: bytes) -> None:
    images = np.random.default_rng(7).uniform(0, 255, (2, 3, 96, 64)).astype(np.float32)
    session = _session(centerface)
    batch = session.run(None, {_INPUT: images})
    for index in range(2):
        single = session.run(None, {_INPUT: images[index : index + 1]})
        for batch_output, single_output in zip(batch, single, strict=True):
            np.testing.assert_allclose(batch_output[index], single_output[0], atol=1e-4)


def test_the_published_file_causes_warnings(centerface_source: bytes, capfd: pytest.CaptureFixture[str]) -> None:
    _session(centerface_source)
    assert "appears in graph inputs" in capfd.readouterr().err


@pytest.mark.parametrize("content", [b"", b"garbage", b"\x08\x04\x12"])
def test_garbage_is_refused(content: bytes) -> None:
    with pytest.raises(PackError, match="not a valid ONNX file"):
        onnx_graph.clean(content)


def test_a_truncated_file_is_refused(centerface_source: bytes) -> None:
    for length in range(1, len(centerface_source), len(centerface_source) // 7):
        with pytest.raises(PackError, match="not a valid ONNX file"):
            onnx_graph.clean(centerface_source[:length])


def test_a_network_without_an_image_input_is_refused() -> None:
    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [1, 3]) for name in "xy")
    graph = helper.make_graph([helper.make_node("Relu", ["x"], ["y"])], "g", [x], [y])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)])
    model.ir_version = 8
    onnx.checker.check_model(model)
    with pytest.raises(PackError, match="tensor x has 2 dimensions instead of 4"):
        onnx_graph.clean(model.SerializeToString())


def _pixel_list(order: list[int], shape: list[int], output_shape: list[int]) -> bytes:
    """Return a network that lists the pixels of an 8 x 8 image as 64 cells of three values."""
    graph = helper.make_graph(
        [
            helper.make_node("Transpose", ["x"], ["t"], perm=order),
            helper.make_node("Reshape", ["t", "shape"], ["y"]),
        ],
        "g",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, output_shape)],
        [numpy_helper.from_array(np.array(shape, np.int64), "shape")],
        value_info=[helper.make_tensor_value_info("t", TensorProto.FLOAT, [([1, 3, 8, 8])[axis] for axis in order])],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 11)])
    model.ir_version = 6
    content: bytes = model.SerializeToString()
    return content


def test_the_batch_size_and_the_number_of_cells_become_symbols(capfd: pytest.CaptureFixture[str]) -> None:
    content = onnx_graph.clean(_pixel_list([0, 2, 3, 1], [1, -1, 3], [1, 64, 3]))
    session = _session(content)
    assert session.get_inputs()[0].shape == ["batch", 3, "height", "width"]
    assert session.get_outputs()[0].shape == ["batch", "y_cells", 3]
    images = np.random.default_rng(7).uniform(0, 255, (2, 3, 4, 6)).astype(np.float32)
    (cells,) = session.run(None, {"x": images})
    np.testing.assert_array_equal(cells, images.transpose(0, 2, 3, 1).reshape(2, 24, 3))
    assert capfd.readouterr().err == ""
    assert onnx_graph.clean(content) == content


def test_a_list_without_a_batch_axis_keeps_a_batch_of_one(capfd: pytest.CaptureFixture[str]) -> None:
    session = _session(onnx_graph.clean(_pixel_list([2, 3, 0, 1], [-1, 3], [64, 3])))
    assert session.get_inputs()[0].shape == [1, 3, "height", "width"]
    assert session.get_outputs()[0].shape == ["y_cells", 3]
    assert session.run(None, {"x": np.zeros((1, 3, 4, 6), np.float32)})[0].shape == (24, 3)
    assert capfd.readouterr().err == ""


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "size", "batch"),
    [
        ("yunet/face_detection_yunet_2023mar.onnx", 229862, "batch"),
        ("insightface/det_2.5g.onnx", 3288393, 1),
        ("insightface/det_500m.onnx", 2521459, 1),
    ],
)
def test_published_detectors_run_at_any_size(
    shared: Path, name: str, size: int, batch: int | str, capfd: pytest.CaptureFixture[str]
) -> None:
    source = (shared / "models" / name).read_bytes()
    content = onnx_graph.clean(source)
    assert len(content) == size
    before, after = _session(source), _session(content)
    (image,) = after.get_inputs()
    assert image.shape == [batch, 3, "height", "width"]
    pixels = np.random.default_rng(7).uniform(-1, 1, (1, 3, 640, 640)).astype(np.float32)
    for old, new in zip(before.run(None, {image.name: pixels}), after.run(None, {image.name: pixels}), strict=True):
        np.testing.assert_array_equal(new, old)
    capfd.readouterr()
    after.run(None, {image.name: pixels[:, :, :96, :160]})
    assert capfd.readouterr().err == ""


@pytest.mark.shared
def test_the_cleaned_official_yunet_equals_the_dynamic_export(shared: Path) -> None:
    official = onnx_graph.clean((shared / "models/yunet/face_detection_yunet_2023mar.onnx").read_bytes())
    dynamic = (shared / "models/yunet/yunet_s_dynamic.onnx").read_bytes()
    images = np.random.default_rng(7).uniform(0, 255, (2, 3, 96, 160)).astype(np.float32)
    outputs = [_session(content).run(None, {"input": images}) for content in (official, dynamic)]
    for cleaned, exported in zip(*outputs, strict=True):
        np.testing.assert_allclose(cleaned, exported, atol=1e-6)
