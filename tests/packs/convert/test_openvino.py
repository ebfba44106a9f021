from __future__ import annotations

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
from app.vision.selection import select

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


from tests.support.pipelines import detect_all


class _Network:
    """An OpenVINO file in the making: a picture of 4 channels, 6 x 6."""

    def __init__(self, version: str = "11") -> None:
        self._version = version
        self._layers: list[str] = []
        self._edges: list[str] = []
        self.weights = b""
        self.picture = self.add("Parameter", shape="1,4,6,6", element_type="f32")

    def add(self, kind: str, *inputs: int, opset: str = "opset1", **attributes: str) -> int:
        number = len(self._layers)
        data = " ".join(f'{key}="{value}"' for key, value in attributes.items())
        self._layers.append(
            f'<layer id="{number}" name="l{number}" type="{kind}" version="{opset}"><data {data}/></layer>'
        )
        self._edges += [
            f'<edge from-layer="{source}" from-port="1" to-layer="{number}" to-port="{port}"/>'
            for port, source in reversed(list(enumerate(inputs)))
        ]
        return number

    def constant(self, values: _Floats, element_type: str = "f16") -> int:
        content = values.astype("<f2" if element_type == "f16" else "<f4").tobytes()
        place = {"offset": str(len(self.weights)), "size": str(len(content))}
        self.weights += content
        shape = ", ".join(map(str, values.shape))
        stored = self.add("Const", element_type=element_type, shape=shape, **place)
        return self.add("Convert", stored, destination_type="f32") if element_type == "f16" else stored

    def xml(self) -> bytes:
        layers, edges = "".join(self._layers), "".join(self._edges)
        text = f'<?xml version="1.0"?><net name="n" version="{self._version}"><layers>{layers}</layers>'
        return f"{text}<edges>{edges}</edges></net>".encode()

    def convert(self) -> bytes:
        return openvino.convert(self.xml(), self.weights)


def _halves(*shape: int) -> _Floats:
    """Numbers that half precision holds exactly, different everywhere in sign and size."""
    count = int(np.prod(shape))
    return ((np.arange(count) * 37 % 64 - 32) / 32).astype(np.float32).reshape(shape)


_PICTURES = np.random.default_rng(7).normal(size=(2, 4, 6, 6)).astype(np.float32)


def _convolve(x: _Floats, filters: _Floats, group: int, stride: int = 1) -> _Floats:
    """By definition: without padding, filters of all groups one after another."""
    count, channels, height, width = filters.shape
    windows = np.lib.stride_tricks.sliding_window_view(x, (height, width), axis=(2, 3))[:, :, ::stride, ::stride]
    each = count // group
    outputs = [
        np.einsum("nchwij,cij->nhw", windows[:, k // each * channels :][:, :channels], filters[k]) for k in range(count)
    ]
    return np.stack(outputs, axis=1)


def _check(network: _Network, result: int, expected: _Floats) -> list[str]:
    """Convert, run on two pictures, compare; return the operations of the graph without the closing Flatten."""
    network.add("Result", result)
    model = network.convert()
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    (output,) = session.run(None, {"image": _PICTURES})
    np.testing.assert_allclose(output, expected.reshape(len(_PICTURES), -1), rtol=1e-5, atol=1e-5)
    operations = [str(node.op_type) for node in onnx.load_model_from_string(model).graph.node]
    assert operations[-1] == "Flatten"
    return operations[:-1]


@pytest.mark.parametrize("element_type", ["f16", "f32"])
@pytest.mark.parametrize("version", ["10", "11"])
def test_adding_and_multiplying_constants(element_type: str, version: str) -> None:
    network, scale, shift = _Network(version), _halves(1, 4, 1, 1), _halves(1, 4, 6, 6)
    scaled = network.add("Multiply", network.picture, network.constant(scale, element_type), **_NUMPY)
    shifted = network.add("Add", scaled, network.constant(shift, element_type), **_NUMPY)
    assert _check(network, shifted, _PICTURES * scale + shift) == ["Mul", "Add"]


def test_adding_and_multiplying_tensors() -> None:
    network = _Network()
    sigmoid = network.add("Sigmoid", network.picture)
    product = network.add("Multiply", network.picture, sigmoid, **_NUMPY)
    total = network.add("Add", product, network.picture, **_NUMPY)
    expected = _PICTURES / (1 + np.exp(-_PICTURES)) + _PICTURES
    assert _check(network, total, expected) == ["Sigmoid", "Mul", "Add"]


def test_a_convolution_with_strides_paddings_and_dilations() -> None:
    network, filters = _Network(), _halves(5, 4, 2, 2)
    attributes = {"strides": "2, 2", "dilations": "2, 1", "pads_begin": "1, 0", "pads_end": "2, 1"} | _EXPLICIT
    result = network.add("Convolution", network.picture, network.constant(filters), **attributes)
    padded = np.pad(_PICTURES, ((0, 0), (0, 0), (1, 2), (0, 1)))
    spread = np.zeros((5, 4, 3, 2), np.float32)
    spread[:, :, ::2] = filters
    assert _check(network, result, _convolve(padded, spread, 1, stride=2)) == ["Conv"]


def test_a_convolution_in_groups() -> None:
    network, filters = _Network(), _halves(2, 3, 2, 3, 3)  # 2 groups, 3 of the outputs and 2 of the inputs each
    result = network.add("GroupConvolution", network.picture, network.constant(filters), **_CONVOLUTION)
    assert _check(network, result, _convolve(_PICTURES, filters.reshape(6, 2, 3, 3), 2)) == ["Conv"]


def test_an_addition_to_a_convolution_becomes_its_bias() -> None:
    network, filters, bias = _Network(), _halves(3, 4, 3, 3), _halves(1, 3, 1, 1)
    convolved = network.add("Convolution", network.picture, network.constant(filters), **_CONVOLUTION)
    biased = network.add("Add", convolved, network.constant(bias), **_NUMPY)
    twice = network.add("Add", biased, network.constant(bias), **_NUMPY)
    assert _check(network, twice, _convolve(_PICTURES, filters, 1) + 2 * bias) == ["Conv", "Add"]


def test_an_addition_is_kept_where_the_bare_convolution_is_used_too() -> None:
    network, filters, bias = _Network(), _halves(3, 4, 3, 3), _halves(1, 3, 1, 1)
    convolved = network.add("Convolution", network.picture, network.constant(filters), **_CONVOLUTION)
    biased = network.add("Add", convolved, network.constant(bias), **_NUMPY)
    product = network.add("Multiply", biased, convolved, **_NUMPY)
    bare = _convolve(_PICTURES, filters, 1)
    assert _check(network, product, (bare + bias) * bare) == ["Conv", "Add", "Mul"]


@pytest.mark.parametrize("shape", [(1, 1, 1, 1), (1, 3, 4, 4)])
def test_an_addition_of_another_shape_is_kept(shape: tuple[int, ...]) -> None:
    network, filters, addend = _Network(), _halves(3, 4, 3, 3), _halves(*shape)
    convolved = network.add("Convolution", network.picture, network.constant(filters), **_CONVOLUTION)
    shifted = network.add("Add", convolved, network.constant(addend), **_NUMPY)
    assert _check(network, shifted, _convolve(_PICTURES, filters, 1) + addend) == ["Conv", "Add"]


@pytest.mark.parametrize("slope", [0.25, -0.5, 1.5])
def test_a_rectifier_with_a_slope(slope: float) -> None:
    network = _Network()
    result = network.add("PReLU", network.picture, network.constant(np.array([slope], np.float32)))
    assert _check(network, result, np.where(_PICTURES < 0, _PICTURES * slope, _PICTURES)) == ["LeakyRelu"]


def test_an_average_leaves_out_the_padding() -> None:
    network = _Network()
    attributes = _AVERAGE | {"kernel": "3, 2", "pads_begin": "1, 0", "pads_end": "1, 1"}
    result = network.add("AvgPool", network.picture, **attributes)
    padded = np.pad(_PICTURES, ((0, 0), (0, 0), (1, 1), (0, 1)), constant_values=np.nan)
    windows = np.lib.stride_tricks.sliding_window_view(padded, (3, 2), axis=(2, 3))[:, :, ::2, ::2]
    assert _check(network, result, np.nanmean(windows, axis=(4, 5))) == ["AveragePool"]


_Build = Callable[[_Network], object]


@pytest.mark.parametrize(
    ("build", "message"),
    [
        (lambda n: n.add("Softmax", n.picture, opset="opset8"), r"operation Softmax \(opset8\)"),
        (lambda n: n.add("Sigmoid", n.picture, opset="opset99"), r"operation Sigmoid \(opset99\)"),
        (lambda n: n.add("AvgPool", n.picture, **_AVERAGE | {"rounding_type": "ceil"}), "rounding_type='ceil'"),
        (lambda n: n.add("AvgPool", n.picture, **_AVERAGE | {"exclude-pad": "false"}), "exclude-pad='false'"),
        (lambda n: n.add("AvgPool", n.picture, **_AVERAGE | {"auto_pad": "same_upper"}), "auto_pad='same_upper'"),
        (lambda n: n.add("AvgPool", n.picture, **_AVERAGE | {"kernel": "2, two"}), "a text in place of a number"),
        (lambda n: n.add("AvgPool", n.picture, **_AVERAGE | {"strides": "-2, 2"}), "a number out of range"),
        (lambda n: n.add("AvgPool", n.picture, **_EXPLICIT), "lacks rounding_type"),
        (lambda n: n.add("Add", n.picture, n.picture, auto_broadcast="pdpd"), "auto_broadcast='pdpd'"),
        (lambda n: n.add("Add", n.picture, **_NUMPY), "not given what it needs"),
        (lambda n: n.add("Sigmoid", 99), "not given what it needs"),
        (lambda n: n.add("Convert", n.picture, destination_type="f32"), "something else than weights"),
        (lambda n: n.add("Convolution", n.picture, n.picture, **_CONVOLUTION), "without weights of 4 dimensions"),
        (lambda n: n.add("PReLU", n.picture, n.constant(_halves(4))), "with several slopes"),
        (lambda n: n.add("Const", element_type="i64", shape="1", offset="0", size="8"), "weights of the type i64"),
        (lambda n: n.add("Parameter", shape="1,4,6,6", element_type="f32"), "another input than one picture"),
    ],
)
def test_what_is_not_understood_is_refused(build: _Build, message: str) -> None:
    network = _Network()
    build(network)
    network.add("Result", network.picture)
    with pytest.raises(PackError, match=message):
        network.convert()


def test_layers_that_do_not_fit_together_are_refused() -> None:
    network = _Network()
    network.add("Result", network.add("Add", network.picture, network.constant(_halves(1, 5, 1, 1)), **_NUMPY))
    with pytest.raises(PackError, match="do not fit together"):
        network.convert()


def test_there_must_be_one_result() -> None:
    network = _Network()
    with pytest.raises(PackError, match="has no result"):
        network.convert()
    network.add("Result", network.picture)
    network.add("Result", network.picture)
    with pytest.raises(PackError, match="more than one result"):
        network.convert()


def _small() -> tuple[bytes, bytes]:
    network = _Network()
    network.add("Result", network.add("Multiply", network.picture, network.constant(_halves(1, 4, 1, 1)), **_NUMPY))
    return network.xml(), network.weights


def test_the_small_network_of_the_next_tests_is_valid() -> None:
    assert openvino.convert(*_small()) == openvino.convert(*_small())


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        (b"</net>", b"", "not valid XML"),
        (b"<net", b"\xff<net", "not valid XML"),
        (b"<net", b"<!DOCTYPE net [<!ENTITY a 'b'>]><net", "a document type"),
        (b'version="11"', b'version="7"', "not an OpenVINO network"),
        (b"net", b"graph", "not an OpenVINO network"),
        (b'"1,4,6,6"', b'"4,6"', "another input"),
        (b'offset="0"', b'offset="2"', "not where they should be"),
        (b'size="8"', b'size="6"', "not where they should be"),
        (b'shape="1, 4, 1, 1"', b'shape="1, 5, 1, 1"', "not where they should be"),
        (b'shape="1, 4, 1, 1" offset="0"', b'shape="1, 4, 1, 1" offset="-8"', "out of range"),
        (b'offset="0" ', b"", "lacks offset"),
        (b'size="8"', b'size="8, 8"', "a text in place of a number"),
    ],
)
def test_a_damaged_file_is_refused(old: bytes, new: bytes, message: str) -> None:
    xml, weights = _small()
    assert old in xml
    with pytest.raises(PackError, match=message):
        openvino.convert(xml.replace(old, new), weights)


def test_a_truncated_weight_file_is_refused() -> None:
    xml, weights = _small()
    with pytest.raises(PackError, match="not where they should be"):
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
    """N x 3 x 128 x 128, BGR, 0 to 255 -> N embeddings."""
    model = openvino.convert(*source)
    session = onnxruntime.InferenceSession(model, providers=["CPUExecutionProvider"])
    assert [(value.name, value.shape) for value in session.get_inputs()] == [("image", ["batch", 3, _SIDE, _SIDE])]
    assert [(value.name, value.shape) for value in session.get_outputs()] == [("embedding", ["batch", _DIMENSION])]
    return lambda pictures: np.asarray(session.run(None, {"image": pictures})[0], np.float32)


@pytest.fixture(scope="module")
def faces(shared: Path, pipelines: Pipelines, pack: Pack) -> _Floats:
    """Two pictures of each person, one after the other."""
    folders = [folder for folder in sorted((shared / "data/lfw").iterdir()) if len(list(folder.iterdir())) > 1]
    paths = [path for folder in folders[:_PEOPLE] for path in sorted(folder.iterdir())[:2]]
    crops = []
    for path in paths:
        image, seen = detect_all(pipelines.detection, path.read_bytes())
        face = select(seen, image, MatchingStrategy.LARGEST, pack.detector.selection_confidence)
        crops.append(align(image, face.landmarks, np.array(_TEMPLATE, np.float32), _SIDE))
    return np.ascontiguousarray(np.stack(crops).transpose(0, 3, 1, 2), np.float32)


@pytest.mark.shared
def test_the_recogniser_converts_to_the_recorded_bytes_every_time(source: tuple[bytes, bytes]) -> None:
    models = [openvino.convert(*source) for _ in range(2)]
    assert [hashlib.sha256(model).hexdigest() for model in models] == [_SHA256] * 2


@pytest.mark.shared
def test_half_a_weight_file_is_refused(source: tuple[bytes, bytes]) -> None:
    xml, weights = source
    with pytest.raises(PackError, match="not where they should be"):
        openvino.convert(xml, weights[: len(weights) // 2])


@pytest.mark.shared
def test_an_embedding_is_that_of_openvino_itself(embed: Callable[[_Floats], _Floats]) -> None:
    """Its runtime 2026.4.1 (float32, CPU) gave these numbers for this picture."""
    y, x = np.indices((_SIDE, _SIDE))
    picture = np.stack([(3 * x + 5 * y + 40 * channel) % 256 for channel in range(3)]).astype(np.float32)
    output = embed(picture[None])[0].astype(np.float64)
    expected = [-0.001885, 0.046294, -0.11583, -0.066959, 0.11194, -0.004207, 0.020737, -0.040239]
    np.testing.assert_allclose((output / np.linalg.norm(output))[: len(expected)], expected, rtol=0, atol=3e-6)


@pytest.mark.shared
def test_a_face_of_a_batch_does_not_depend_on_the_others(embed: Callable[[_Floats], _Floats], faces: _Floats) -> None:
    alone = np.concatenate([embed(face[None]) for face in faces[:3]])
    np.testing.assert_allclose(embed(faces[:3]), alone, rtol=0, atol=2e-5)


@pytest.mark.shared
def test_pictures_of_one_person_are_closer_than_those_of_two(
    embed: Callable[[_Floats], _Floats], faces: _Floats
) -> None:
    units = (outputs := embed(faces)) / np.linalg.norm(outputs, axis=1, keepdims=True)
    cosines = units @ units.T
    pairs = list(itertools.combinations(range(len(faces)), 2))
    same = [cosines[a, b] for a, b in pairs if a // 2 == b // 2]
    other = [cosines[a, b] for a, b in pairs if a // 2 != b // 2]
    assert len(same) == _PEOPLE
    assert min(same) > max(other)


@pytest.mark.shared
def test_it_loads_and_runs_without_a_warning(
    source: tuple[bytes, bytes], faces: _Floats, capfd: pytest.CaptureFixture[str]
) -> None:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 2
    model = openvino.convert(*source)
    fresh = onnxruntime.InferenceSession(model, options, providers=["CPUExecutionProvider"])
    fresh.run(None, {"image": faces[:2]})
    assert capfd.readouterr().err == ""
