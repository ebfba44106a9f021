import hashlib
import itertools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray

from app.domain import MatchingStrategy
from app.engine import Pipelines
from app.packs.convert import openvino
from app.packs.manifest import Pack, PackError
from app.vision.align import align
from app.vision.selection import select_target
from tests.support.pipelines import detect_all

_Floats = NDArray[np.float32]
_EXPLICIT = {"auto_pad": "explicit"}
_NUMPY = {"auto_broadcast": "numpy"}
_CONVOLUTION = {"strides": "1, 1", "dilations": "1, 1", "pads_begin": "0, 0", "pads_end": "0, 0"} | _EXPLICIT
_AVERAGE = {
    "kernel": "2, 2",
    "strides": "2, 2",
    "pads_begin": "0, 0",
    "pads_end": "0, 0",
    "exclude-pad": "true",
    "rounding_type": "floor",
} | _EXPLICIT


class _Network:
    """Builds an OpenVINO file whose input is an image of 4 x 6 x 6."""

    def __init__(self, version: str = "11") -> None:
        self._version = version
        self._layers: list[str] = []
        self._edges: list[str] = []
        self.weights = b""
        self.image = self.add("Parameter", shape="1,4,6,6", element_type="f32")

    def add(self, kind: str, *inputs: int, opset: str = "opset1", **attributes: str) -> int:
        index = len(self._layers)
        data = " ".join(f'{key}="{value}"' for key, value in attributes.items())
        self._layers.append(
            f'<layer id="{index}" name="l{index}" type="{kind}" version="{opset}"><data {data}/></layer>'
        )
        self._edges += [
            f'<edge from-layer="{source}" from-port="1" to-layer="{index}" to-port="{port}"/>'
            for port, source in reversed(list(enumerate(inputs)))
        ]
        return index

    def constant(self, values: _Floats, element_type: str = "f16") -> int:
        content = values.astype("<f2" if element_type == "f16" else "<f4").tobytes()
        position = {"offset": str(len(self.weights)), "size": str(len(content))}
        self.weights += content
        shape = ", ".join(map(str, values.shape))
        stored = self.add("Const", element_type=element_type, shape=shape, **position)
        return self.add("Convert", stored, destination_type="f32") if element_type == "f16" else stored

    def xml(self) -> bytes:
        layers, edges = "".join(self._layers), "".join(self._edges)
        text = f'<?xml version="1.0"?><net name="n" version="{self._version}"><layers>{layers}</layers>'
        return f"{text}<edges>{edges}</edges></net>".encode()

    def convert(self) -> bytes:
        return openvino.convert(self.xml(), self.weights)


def _halves(*shape: int) -> _Floats:
    """Return values of different signs and sizes that float16 represents exactly."""
    count = int(np.prod(shape))
    return ((np.arange(count) * 37 % 64 - 32) / 32).astype(np.float32).reshape(shape)


_IMAGES = np.random.default_rng(7).normal(size=(2, 4, 6, 6)).astype(np.float32)


def _convolve(x: _Floats, filters: _Floats, group: int, stride: int = 1) -> _Floats:
    """Return a convolution without padding, computed by definition; the filters of all groups are concatenated."""
    count, channels, height, width = filters.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]
    outputs_per_group = count // group
    outputs = [
        np.einsum("nchwij,cij->nhw", windows[:, k // outputs_per_group * channels :][:, :channels], filters[k])
        for k in range(count)
    ]
    return np.stack(outputs, axis=1)


def _check(network: _Network, result: int, expected: _Floats) -> list[str]:
    """Compare the converted network with the expected output and return its operations without the final Flatten."""
    network.add("Result", result)
    model = network.convert()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": _IMAGES})
    np.testing.assert_allclose(output, expected.reshape(len(_IMAGES), -1), rtol=1e-5, atol=1e-5)
    operations = [str(node.op_type) for node in onnx.load_model_from_string(model).graph.node]
    assert operations[-1] == "Flatten"
    return operations[:-1]


@pytest.mark.parametrize("element_type", ["f16", "f32"])
@pytest.mark.parametrize("version", ["10", "11"])
def test_constants_are_added_and_multiplied(element_type: str, version: str) -> None:
    network, scale, shift = _Network(version), _halves(1, 4, 1, 1), _halves(1, 4, 6, 6)
    scaled = network.add("Multiply", network.image, network.constant(scale, element_type), **_NUMPY)
    shifted = network.add("Add", scaled, network.constant(shift, element_type), **_NUMPY)
    assert _check(network, shifted, _IMAGES * scale + shift) == ["Mul", "Add"]


def test_tensors_are_added_and_multiplied() -> None:
    network = _Network()
    sigmoid = network.add("Sigmoid", network.image)
    product = network.add("Multiply", network.image, sigmoid, **_NUMPY)
    total = network.add("Add", product, network.image, **_NUMPY)
    expected = _IMAGES / (1 + np.exp(-_IMAGES)) + _IMAGES
    assert _check(network, total, expected) == ["Sigmoid", "Mul", "Add"]


def test_a_convolution_has_strides_paddings_and_dilations() -> None:
    network, filters = _Network(), _halves(5, 4, 2, 2)
    attributes = {"strides": "2, 2", "dilations": "2, 1", "pads_begin": "1, 0", "pads_end": "2, 1"} | _EXPLICIT
    result = network.add("Convolution", network.image, network.constant(filters), **attributes)
    padded = np.pad(_IMAGES, ((0, 0), (0, 0), (1, 2), (0, 1)))
    dilated = np.zeros((5, 4, 3, 2), np.float32)
    dilated[:, :, ::2] = filters
    assert _check(network, result, _convolve(padded, dilated, 1, stride=2)) == ["Conv"]


def test_a_group_convolution_is_converted() -> None:
    network, filters = _Network(), _halves(2, 3, 2, 3, 3)  # 2 groups, 3 of the outputs and 2 of the inputs each
    result = network.add("GroupConvolution", network.image, network.constant(filters), **_CONVOLUTION)
    assert _check(network, result, _convolve(_IMAGES, filters.reshape(6, 2, 3, 3), 2)) == ["Conv"]


def test_an_addition_to_a_convolution_becomes_its_bias() -> None:
    network, filters, bias = _Network(), _halves(3, 4, 3, 3), _halves(1, 3, 1, 1)
    convolved = network.add("Convolution", network.image, network.constant(filters), **_CONVOLUTION)
    biased = network.add("Add", convolved, network.constant(bias), **_NUMPY)
    twice = network.add("Add", biased, network.constant(bias), **_NUMPY)
    assert _check(network, twice, _convolve(_IMAGES, filters, 1) + 2 * bias) == ["Conv", "Add"]


def test_an_addition_is_kept_if_the_convolution_feeds_another_layer() -> None:
    network, filters, bias = _Network(), _halves(3, 4, 3, 3), _halves(1, 3, 1, 1)
    convolved = network.add("Convolution", network.image, network.constant(filters), **_CONVOLUTION)
    biased = network.add("Add", convolved, network.constant(bias), **_NUMPY)
    product = network.add("Multiply", biased, convolved, **_NUMPY)
    unbiased = _convolve(_IMAGES, filters, 1)
    assert _check(network, product, (unbiased + bias) * unbiased) == ["Conv", "Add", "Mul"]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 4, 4)])
def test_an_addition_that_is_not_per_channel_is_kept(shape: tuple[int, ...]) -> None:
    network, filters, addend = _Network(), _halves(3, 4, 3, 3), _halves(*shape)
    convolved = network.add("Convolution", network.image, network.constant(filters), **_CONVOLUTION)
    shifted = network.add("Add", convolved, network.constant(addend), **_NUMPY)
    assert _check(network, shifted, _convolve(_IMAGES, filters, 1) + addend) == ["Conv", "Add"]


@pytest.mark.parametrize("slope", [0.25, -0.5, 1.5])
def test_a_prelu_with_one_slope_becomes_a_leaky_relu(slope: float) -> None:
    network = _Network()
    result = network.add("PReLU", network.image, network.constant(np.array([slope], np.float32)))
    assert _check(network, result, np.where(_IMAGES < 0, _IMAGES * slope, _IMAGES)) == ["LeakyRelu"]


def test_average_pooling_excludes_the_padding() -> None:
    network = _Network()
    attributes = _AVERAGE | {"kernel": "3, 2", "pads_begin": "1, 0", "pads_end": "1, 1"}
    result = network.add("AvgPool", network.image, **attributes)
    padded = np.pad(_IMAGES, ((0, 0), (0, 0), (1, 1), (0, 1)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::2, ::2]
    assert _check(network, result, np.nanmean(windows, axis=(4, 5))) == ["AveragePool"]


_Build = Callable[[_Network], object]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: n.add("Softmax", n.image, opset="opset8"), r"operation Softmax \(opset8\)"),
        (lambda n: n.add("Sigmoid", n.image, opset="opset99"), r"operation Sigmoid \(opset99\)"),
        (lambda n: n.add("AvgPool", n.image, **_AVERAGE | {"rounding_type": "ceil"}), "rounding_type='ceil'"),
        (lambda n: n.add("AvgPool", n.image, **_AVERAGE | {"exclude-pad": "false"}), "exclude-pad='false'"),
        (lambda n: n.add("AvgPool", n.image, **_AVERAGE | {"auto_pad": "same_upper"}), "auto_pad='same_upper'"),
        (lambda n: n.add("AvgPool", n.image, **_AVERAGE | {"kernel": "2, two"}), "a value is not a number"),
        (lambda n: n.add("AvgPool", n.image, **_AVERAGE | {"strides": "-2, 2"}), "a number is out of range"),
        (lambda n: n.add("AvgPool", n.image, **_EXPLICIT), "has no rounding_type"),
        (lambda n: n.add("Add", n.image, n.image, auto_broadcast="pdpd"), "auto_broadcast='pdpd'"),
        (lambda n: n.add("Add", n.image, **_NUMPY), "missing or surplus inputs"),
        (lambda n: n.add("Sigmoid", 99), "missing or surplus inputs"),
        (lambda n: n.add("Convert", n.image, destination_type="f32"), "does not convert weights"),
        (lambda n: n.add("Convolution", n.image, n.image, **_CONVOLUTION), "without weights of 4 dimensions"),
        (lambda n: n.add("PReLU", n.image, n.constant(_halves(4))), "with several slopes"),
        (
            lambda n: n.add("Const", element_type="i64", shape="1", offset="0", size="8"),
            "weights of the unsupported type i64",
        ),
        (lambda n: n.add("Parameter", shape="1,4,6,6", element_type="f32"), "does not have exactly one image"),
    ],
)
def test_unsupported_or_invalid_layers_are_refused(build: _Build, message: str) -> None:
    network = _Network()
    build(network)
    network.add("Result", network.image)
    with pytest.raises(PackError, match=message):
        network.convert()


def test_mismatched_layers_are_refused() -> None:
    network = _Network()
    network.add("Result", network.add("Add", network.image, network.constant(_halves(1, 5, 1, 1)), **_NUMPY))
    with pytest.raises(PackError, match="the shapes of its layers do not match"):
        network.convert()


def test_a_network_must_have_one_result() -> None:
    network = _Network()
    with pytest.raises(PackError, match="has no result"):
        network.convert()
    network.add("Result", network.image)
    network.add("Result", network.image)
    with pytest.raises(PackError, match="more than one result"):
        network.convert()


def _small() -> tuple[bytes, bytes]:
    network = _Network()
    network.add("Result", network.add("Multiply", network.image, network.constant(_halves(1, 4, 1, 1)), **_NUMPY))
    return network.xml(), network.weights


def test_the_undamaged_file_is_converted() -> None:
    assert openvino.convert(*_small()) == openvino.convert(*_small())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"</net>", b"", "not valid XML"),
        (b"<net", b"\xff<net", "not valid XML"),
        (b"<net", b"<!DOCTYPE net [<!ENTITY a 'b'>]><net", "a document type"),
        (b'version="11"', b'version="7"', "not an OpenVINO network"),
        (b"net", b"graph", "not an OpenVINO network"),
        (b'"1,4,6,6"', b'"4,6"', "does not have exactly one image"),
        (b'offset="0"', b'offset="2"', "position or size of weights is invalid"),
        (b'size="8"', b'size="6"', "position or size of weights is invalid"),
        (b'shape="1, 4, 1, 1"', b'shape="1, 5, 1, 1"', "position or size of weights is invalid"),
        (b'shape="1, 4, 1, 1" offset="0"', b'shape="1, 4, 1, 1" offset="-8"', "out of range"),
        (b'offset="0" ', b"", "has no offset"),
        (b'size="8"', b'size="8, 8"', "a value is not a number"),
    ],
)
def test_a_damaged_file_is_refused(old: bytes, new: bytes, message: str) -> None:
    xml, weights = _small()
    assert old in xml
    with pytest.raises(PackError, match=message):
        openvino.convert(xml.replace(old, new), weights)


def test_a_truncated_weight_file_is_refused() -> None:
    xml, weights = _small()
    with pytest.raises(PackError, match="position or size of weights is invalid"):
        openvino.convert(xml, weights[:-1])


_SHA256 = "8e46fe10da513fdf009243054eecfb17202eb95970df0a81b7307b846ee51dbd"
_SIDE, _DIMENSION = 128, 256
_TEMPLATE = [(40.3928, 59.0815), (87.3757, 59.0815), (64.0336, 81.9847), (44.7324, 105.5606), (83.6399, 105.5606)]
_PEOPLE = 6


@pytest.fixture(scope="module")
def source(shared: Path) -> tuple[bytes, bytes]:
    path = shared / "models/omz/face-reidentification-retail-0095/face-reidentification-retail-0095.xml"
    return path.read_bytes(), path.with_suffix(".bin").read_bytes()


@pytest.fixture(scope="module")
def embed(source: tuple[bytes, bytes]) -> Callable[[_Floats], _Floats]:
    """Function from crops (N x 3 x 128 x 128, BGR, 0 to 255) to N embeddings."""
    model = openvino.convert(*source)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("image", ["batch", 3, _SIDE, _SIDE])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("embedding", ["batch", _DIMENSION])]
    return lambda images: np.asarray(session.run(None, {"image": images})[0], np.float32)


@pytest.fixture(scope="module")
def faces(shared: Path, pipelines: Pipelines, pack: Pack) -> _Floats:
    """Crops of two images per person, in pairs."""
    folders = [folder for folder in sorted((shared / "data/lfw").iterdir()) if len(list(folder.iterdir())) > 1]
    paths = [path for folder in folders[:_PEOPLE] for path in sorted(folder.iterdir())[:2]]
    crops = []
    for path in paths:
        image, faces = detect_all(pipelines.detection, path.read_bytes())
        face = select_target(faces, image, MatchingStrategy.LARGEST, pack.detector.selection_confidence)
        crops.append(align(image, face.landmarks, np.array(_TEMPLATE, np.float32), _SIDE))
    return np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32)


@pytest.mark.shared
def test_conversion_is_deterministic_and_gives_the_recorded_digest(source: tuple[bytes, bytes]) -> None:
    models = [openvino.convert(*source) for _ in range(2)]
    assert [hashlib.sha256(model).hexdigest() for model in models] == [_SHA256] * 2


@pytest.mark.shared
def test_half_of_the_real_weight_file_is_refused(source: tuple[bytes, bytes]) -> None:
    xml, weights = source
    with pytest.raises(PackError, match="position or size of weights is invalid"):
        openvino.convert(xml, weights[: len(weights) // 2])


@pytest.mark.shared
def test_an_embedding_equals_that_of_openvino(embed: Callable[[_Floats], _Floats]) -> None:
    """The expected values were computed by OpenVINO 2026.4.1 (float32, CPU)."""
    y, x = np.indices((_SIDE, _SIDE))
    image = np.stack([(3 * x + 5 * y + 40 * channel) % 256 for channel in range(3)]).astype(np.float32)
    output = embed(image[None])[0].astype(np.float64)
    expected = [-0.001885, 0.046294, -0.11583, -0.066959, 0.11194, -0.004207, 0.020737, -0.040239]
    np.testing.assert_allclose((output / np.linalg.norm(output))[: len(expected)], expected, rtol=0, atol=3e-6)


@pytest.mark.shared
def test_an_embedding_does_not_depend_on_the_rest_of_the_batch(
    embed: Callable[[_Floats], _Floats], faces: _Floats
) -> None:
    single = np.concatenate([embed(face[None]) for face in faces[:3]])
    np.testing.assert_allclose(embed(faces[:3]), single, rtol=0, atol=2e-5)


@pytest.mark.shared
def test_genuine_pairs_have_higher_cosines_than_impostor_pairs(
    embed: Callable[[_Floats], _Floats], faces: _Floats
) -> None:
    units = (outputs := embed(faces)) / np.linalg.norm(outputs, axis=1, keepdims=True)
    cosines = units @ units.T
    pairs = list(itertools.combinations(range(len(faces)), 2))
    genuine = [cosines[a, b] for a, b in pairs if a // 2 == b // 2]
    impostor = [cosines[a, b] for a, b in pairs if a // 2 != b // 2]
    assert len(genuine) == _PEOPLE
    assert min(genuine) > max(impostor)


@pytest.mark.shared
def test_the_network_loads_and_runs_without_a_warning(
    source: tuple[bytes, bytes], faces: _Floats, capfd: pytest.CaptureFixture[str]
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    model = openvino.convert(*source)
    fresh = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fresh.run(None, {"image": faces[:2]})
    assert capfd.readouterr().err == ""
