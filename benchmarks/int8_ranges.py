"""Print the data of ``app/packs/convert/openvino_int8.py``, measured on drawn and bundled faces.

The faces: seven from insightface's and scikit-image's sample images, altered versions of them, and the drawn face of
``int8_check``; all with their mirror images.
"""

from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import cv2
import numpy as np
import onnx
import onnxruntime
from numpy.typing import NDArray
from onnx import ModelProto

from app.domain import Crop
from app.engine import open_pipelines, open_shared_resources
from app.environment import load_settings
from app.ops.stage_timer import StageTimer
from app.packs.convert.equalise import equalise
from app.packs.manifest import Pack
from app.packs.store import Store
from app.service.face_pipeline import TargetFace
from app.vision.align import align
from app.vision.embed import blob
from app.vision.int8_check import synthetic_face
from tests.support.images import astronaut, cast
from tests.support.pipelines import detect_all

_FACES, _BATCH = 70, 10
_FIRST_FLOAT32_NODE = 150
"""The last stage is sensitive and cheap, so it stays float32."""
_MIN_SHARE = 1e-3


def main() -> None:
    store = Store.from_settings(load_settings().models)
    pack = store.pack("omz")
    crops = [*altered(list(bundled_faces(store, pack))), synthetic_face(pack.embedder.input_size)]
    images = np.concatenate([blob(crop, pack.embedder) for crop in crops])
    model = onnx.load(store.resolve(pack)[pack.embedder.file])
    exponents = measured_exponents(model, images)
    for name, values in exponents.items():
        print(f'    "{name}": "{"".join(map(str, values))}",')
    equalise(model, exponents)
    for name, (low, high) in measured_ranges(model, images).items():
        print(f'    "{name}": ({low:.3g}, {high:.3g}),')


def bundled_faces(store: Store, pack: Pack) -> Iterator[Crop]:
    """Yield the aligned faces of insightface's and scikit-image's sample images."""
    settings = load_settings()
    detection = open_pipelines(settings, store, pack, open_shared_resources(settings)).detection
    spec = pack.embedder
    for photo in (cast(), astronaut()):
        image, faces = detect_all(detection, cv2.imencode(".png", photo)[1].tobytes())
        for face in faces:
            if face.confidence >= pack.detector.selection_confidence:
                target = TargetFace(image, face, 1)
                landmarks = detection.refine_landmarks(target, StageTimer.after(60), rotate=False).landmarks
                yield align(image, landmarks, np.array(spec.template, np.float32), spec.input_size)


def altered(faces: list[Crop]) -> list[Crop]:
    """Return ``faces`` and versions of them: moved, blurred, noisy, grey, of other brightness and contrast."""
    random, result = np.random.default_rng(0), list(faces)
    while len(result) < _FACES:
        face = faces[len(result) % len(faces)]
        side = len(face)
        matrix: NDArray[Any] = cv2.getRotationMatrix2D(
            (side / 2, side / 2), random.uniform(-8, 8), random.uniform(0.92, 1.1)
        )
        matrix[:, 2] += random.uniform(-4, 4, 2)
        moved = cv2.warpAffine(face, matrix, (side, side), borderMode=cv2.BORDER_REPLICATE)
        pixels: NDArray[Any] = moved.astype(np.float32)
        match random.integers(4):
            case 0:
                pixels = cv2.GaussianBlur(pixels, (0, 0), random.uniform(0.5, 2.2))
            case 1:
                pixels = pixels + random.normal(0, random.uniform(2, 10), pixels.shape)
            case 2:
                pixels[:] = pixels.mean(axis=2, keepdims=True)
        pixels = (pixels - 110) * random.uniform(0.45, 1.5) + 110 + random.uniform(-35, 40)
        result.append(pixels.clip(0, 255).astype(np.uint8))
    return result


def measured_exponents(model: ModelProto, images: NDArray[np.float32]) -> dict[str, NDArray[np.int_]]:
    """Return the exponents for ``equalise`` per output of a convolution.

    The largest value of a channel, relative to that of its tensor, becomes 1 if a depthwise convolution reads the
    tensor, else its square root, because the factors also spread the weights of the next convolution.
    """
    group_of, readers = _groups(model)
    shares = {name: values / values.max() for name, values in _channel_maxima(model, images).items()}
    exponents: dict[str, NDArray[np.int_]] = {}
    for group in dict.fromkeys(group_of.values()):
        members = [shares[name] for name, root in group_of.items() if root == group and name in shares]
        if _number(group) >= _FIRST_FLOAT32_NODE or not members:
            continue
        power = 1 if all(readers[group]) else 0.5
        values = np.rint(-power * np.log2(np.max(members, axis=0).clip(_MIN_SHARE))).astype(int)
        if values.any():
            names = (name for name, root in group_of.items() if root == group and name.startswith("conv_"))
            exponents |= dict.fromkeys(names, values)
    return dict(sorted(exponents.items(), key=lambda item: _number(item[0])))


def _groups(model: ModelProto) -> tuple[dict[str, str], dict[str, list[bool]]]:
    """Return the group of each tensor: the output of the first convolution of the tensors with equal exponents.

    Also return, for each group, whether each of the convolutions that read it is depthwise.
    """
    filters = {tensor.name: tensor.dims for tensor in model.graph.initializer}
    group_of: dict[str, str] = {}
    readers: dict[str, list[bool]] = defaultdict(list)
    for node in model.graph.node:
        source, output = node.input[0], node.output[0]
        if node.op_type == "Conv":
            if source in group_of:
                readers[group_of[source]].append(filters[node.input[1]][1] == 1)
            group_of[output] = output
        elif node.op_type in {"LeakyRelu", "AveragePool", "Mul"} and source in group_of:
            group_of[output] = group_of[source]
        elif node.op_type == "Add" and source in group_of:
            first, second = group_of[source], group_of[node.input[1]]
            readers[first] += readers.pop(second, [])
            group_of = {name: first if group == second else group for name, group in group_of.items()}
            group_of[output] = first
    return group_of, readers


def measured_ranges(model: ModelProto, images: NDArray[np.float32]) -> Mapping[str, tuple[float, float]]:
    """Return the lowest and the highest value of each tensor of the int8 part; 0 lies between them."""
    values = _outputs(model, images, lambda value: (min(value.min(), 0.0), max(value.max(), 0.0)))
    return {name: (min(low for low, _ in pairs), max(high for _, high in pairs)) for name, pairs in values.items()}


def _channel_maxima(model: ModelProto, images: NDArray[np.float32]) -> dict[str, NDArray[np.float32]]:
    maxima = _outputs(model, images, lambda value: np.abs(value).max(axis=(0, 2, 3)) if value.shape[2] > 1 else None)
    return {name: np.max(values, axis=0) for name, values in maxima.items() if values[0] is not None}


def _outputs(
    model: ModelProto, images: NDArray[np.float32], reduce: Callable[[NDArray[np.float32]], Any]
) -> dict[str, list[Any]]:
    """Return ``reduce`` of every tensor before the last stage, for each batch."""
    names = [node.output[0] for node in model.graph.node if 1 <= _number(node.output[0]) < _FIRST_FLOAT32_NODE]
    probed = ModelProto()
    probed.CopyFrom(model)
    probed.graph.output.extend(onnx.helper.make_tensor_value_info(name, onnx.TensorProto.FLOAT, None) for name in names)
    session = onnxruntime.InferenceSession(probed.SerializeToString(), providers=["CPUExecutionProvider"])
    reduced: dict[str, list[Any]] = defaultdict(list)
    for start in range(0, len(images), _BATCH):
        for name, value in zip(names, session.run(names, {"image": images[start : start + _BATCH]}), strict=True):
            reduced[name].append(reduce(value))
    return reduced


def _number(tensor: str) -> int:
    return int(tensor.rpartition("_")[2]) if "_" in tensor else _FIRST_FLOAT32_NODE


if __name__ == "__main__":
    main()
