import hashlib
import re
from importlib import metadata

import _dlib_pybind11 as reference_dlib
import cv2
import numpy as np
import onnx
import onnxruntime
import pytest
import skimage
from numpy.typing import NDArray

from app.packs.convert import dlib
from app.packs.manifest import Pack, PackageSource, PackError

# (left, top, side) in pixels of faces that dlib's detector reports, with margins of different sizes
_ASTRONAUT = [(175, 76, 90), (150, 40, 140), (190, 90, 70)]
_FRIENDS = [(126, 335, 89), (1118, 283, 108), (67, 283, 108), (724, 367, 108), (450, 295, 107), (840, 30, 190)]


@pytest.fixture(scope="module")
def chips() -> NDArray[np.uint8]:
    """Face crops, N x 150 x 150 x 3, RGB."""
    friends = cv2.imread(str(metadata.distribution("insightface").locate_file("insightface/data/images/t1.jpg")))
    assert friends is not None
    astronaut = skimage.data.astronaut()  # type: ignore[no-untyped-call]
    faces = [(astronaut, square) for square in _ASTRONAUT]
    faces += [(cv2.cvtColor(friends, cv2.COLOR_BGR2RGB), square) for square in _FRIENDS]
    crops = [image[y : y + side, x : x + side] for image, (x, y, side) in faces]
    return np.stack([cv2.resize(crop, (150, 150)) for crop in crops]).astype(np.uint8)


@pytest.fixture(scope="module")
def session(dlib_resnet: bytes) -> onnxruntime.InferenceSession:
    return onnxruntime.InferenceSession(dlib_resnet, providers=["CPUExecutionProvider"])


def _blob(pack: Pack, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    blob = (chips.astype(np.float32) - np.array(pack.embedder.mean, np.float32)) / np.float32(pack.embedder.std)
    return blob.transpose(0, 3, 1, 2)


def _embed(session: onnxruntime.InferenceSession, pack: Pack, chips: NDArray[np.uint8]) -> NDArray[np.float32]:
    output: NDArray[np.float32] = session.run(None, {"image": _blob(pack, chips)})[0]
    return output


def test_conversion_is_deterministic_and_gives_the_recorded_digest(
    dlib_source: bytes, dlib_resnet: bytes, pack: Pack
) -> None:
    assert dlib.convert(dlib_source) == dlib_resnet
    assert hashlib.sha256(dlib_resnet).hexdigest() == pack.embedder_sha256
    assert len(dlib_resnet) == pack.files[1].size


def test_input_and_output_shapes_are_those_of_the_pack(session: onnxruntime.InferenceSession, pack: Pack) -> None:
    side, dimension = pack.embedder.input_size, pack.embedder.dimension
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("image", ["batch", 3, side, side])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("embedding", ["batch", dimension])]


def test_embeddings_equal_those_of_dlib(
    session: onnxruntime.InferenceSession, pack: Pack, chips: NDArray[np.uint8]
) -> None:
    source = pack.files[1].source
    assert isinstance(source, PackageSource)
    path = metadata.distribution(source.package).locate_file(source.path)
    reference = reference_dlib.face_recognition_model_v1(str(path))
    expected = np.array([reference.compute_face_descriptor(chip) for chip in chips], np.float32)
    assert len(expected) == len(_ASTRONAUT) + len(_FRIENDS)
    np.testing.assert_allclose(_embed(session, pack, chips), expected, rtol=0, atol=1e-6)


def test_the_output_of_one_block_is_capped_at_six(dlib_resnet: bytes, pack: Pack, chips: NDArray[np.uint8]) -> None:
    model = onnx.load_from_string(dlib_resnet)
    (clip,) = [node for node in model.graph.node if node.op_type == "Clip"]
    for name in (clip.input[0], clip.output[0]):
        model.graph.output.append(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None))
    session = onnxruntime.InferenceSession(model.SerializeToString(), providers=["CPUExecutionProvider"])
    for contrast, exceeds_cap in ((1, False), (8, True)):
        _, block, capped = session.run(None, {"image": contrast * _blob(pack, chips)})
        assert (block.max() > 6) == exceeds_cap
        np.testing.assert_array_equal(capped, block.clip(0, 6))


def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(
    session: onnxruntime.InferenceSession, pack: Pack, chips: NDArray[np.uint8]
) -> None:
    batched = _embed(session, pack, chips)
    single = np.concatenate([_embed(session, pack, chip[None]) for chip in chips])
    np.testing.assert_allclose(batched, single, rtol=0, atol=1e-6)


def test_the_network_loads_and_runs_without_a_warning(
    dlib_resnet: bytes, pack: Pack, chips: NDArray[np.uint8], capfd: pytest.CaptureFixture[str]
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    fresh = onnxruntime.InferenceSession(dlib_resnet, options, providers=["CPUExecutionProvider"])
    _embed(fresh, pack, chips[:2])
    assert capfd.readouterr().err == ""


_POOL = rb"\x01\x03\x01\x03\x01\x02\x01\x02"  # window 3 x 3, stride 2


@pytest.mark.parametrize(
    ("pattern", "replacement", "message"),
    [
        (_POOL, b"\x01\x03\x01\x03\x01\x00\x01\x00", "has stride 0"),
        (_POOL, b"\x01\x7f\x01\x7f\x01\x02\x01\x02", "larger than its input"),
        # 32 filters of 3 x 1 instead of 3 x 3, so 96 channels
        (rb"\x01\x20\x01\x03\x01\x03\x01\x01", b"\x01\x20\x01\x03\x01\x01\x01\x01", "a convolution does not match"),
        # 31 channels instead of 32
        (rb"(?s)affine_\x01\x02\x01\x40(.{6}).{8}", b"affine_\x01\x02\x01\x3e\\1", "an affine layer does not match"),
        # 256 outputs and 128 inputs instead of the other way round
        (rb"fc_2\x01\x80\x02\x00\x01", b"fc_2\x02\x00\x01\x01\x80", "the last layer does not match"),
    ],
)
def test_a_network_with_mismatched_layers_is_refused(
    dlib_source: bytes, pattern: bytes, replacement: bytes, message: str
) -> None:
    damaged, count = re.subn(pattern, replacement, dlib_source, count=1)
    assert count == 1
    with pytest.raises(PackError, match=message):
        dlib.convert(damaged)


def test_a_different_network_is_refused(dlib_source: bytes) -> None:
    relu = dlib_source.index(b"\x01\x05relu_110")
    pool = dlib_source.index(b"\x01\x0amax_pool_2")
    with pytest.raises(PackError, match="a different network"):
        dlib.convert(dlib_source[:relu] + dlib_source[pool:])
