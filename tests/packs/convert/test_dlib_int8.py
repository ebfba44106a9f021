import hashlib
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
from numpy.typing import NDArray
from onnx import numpy_helper

from app.engine import Pipelines
from app.environment import Settings
from app.packs.convert import dlib_int8
from app.packs.manifest import Pack
from app.packs.store import Store
from app.vision.align import align
from app.vision.embed import blob
from app.vision.search import refine_landmarks
from tests.packs.convert.optimised import op_counts
from tests.support.images import astronaut, blurred
from tests.support.int8_ranges import blobs, measured_ranges


@pytest.fixture(scope="module")
def quantised(dlib_source: bytes) -> bytes:
    return dlib_int8.convert(dlib_source)


class _Session:
    """An onnxruntime session of a network in memory."""

    def __init__(self, content: bytes) -> None:
        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._session.run(None, {"image": batch})
        return outputs


def test_conversion_is_deterministic_and_gives_the_recorded_digest(
    dlib_source: bytes, quantised: bytes, pack: Pack
) -> None:
    assert dlib_int8.convert(dlib_source) == quantised
    file = pack.files[2]
    assert (file.name, file.sha256, file.size) == (
        pack.embedder.int8_file,
        hashlib.sha256(quantised).hexdigest(),
        len(quantised),
    )


def test_the_recorded_ranges_are_those_measured_on_six_faces(settings: Settings, store: Store, pack: Pack) -> None:
    measured = measured_ranges(settings, store, pack)
    assert set(measured) == set(dlib_int8.RANGES)
    for name, bounds in dlib_int8.RANGES.items():
        # other builds of onnxruntime or OpenCV shift landmarks, and so the crops, slightly
        assert bounds == pytest.approx(measured[name], rel=0.02, abs=0.02), name


def test_convolution_weights_do_not_overflow_on_any_cpu(quantised: bytes) -> None:
    weights = [numpy_helper.to_array(tensor) for tensor in onnx.load_from_string(quantised).graph.initializer]
    filters = [values for values in weights if values.dtype == np.int8 and values.ndim == 4]
    assert len(filters) == 29
    assert max(2 * 255 * int(np.abs(values.astype(int)).max()) for values in filters) < 2**15


def test_every_layer_except_the_capped_addition_runs_in_integers(quantised: bytes, tmp_path: Path) -> None:
    counts = op_counts(quantised, tmp_path)
    assert (counts["QLinearConv"], counts["QLinearAdd"], counts["Conv"], counts["Add"]) == (29, 13, 0, 1)


def test_int8_and_float32_embeddings_of_real_faces_agree(
    dlib_resnet: bytes, quantised: bytes, pack: Pack, pipelines: Pipelines
) -> None:
    crops = np.concatenate([*blobs(pipelines.detection, pack), *_astronaut_blobs(pipelines, pack)])
    exact, int8 = (_Session(content).run(crops)[0] for content in (dlib_resnet, quantised))
    assert len(crops) == 2 * (6 + 2)
    cosines = (exact * int8).sum(axis=1) / np.linalg.norm(exact, axis=1) / np.linalg.norm(int8, axis=1)
    assert cosines.min() > 0.999


def test_cosines_between_faces_do_not_change(
    dlib_resnet: bytes, quantised: bytes, pack: Pack, pipelines: Pipelines
) -> None:
    """The pairs are different people, and one person in a sharp and a blurred image."""
    faces = [*blobs(pipelines.detection, pack), *_astronaut_blobs(pipelines, pack)]
    cosines = []
    for content in (dlib_resnet, quantised):
        network = _Session(content)
        embeddings = np.stack([network.run(face)[0].sum(axis=0) for face in faces])
        embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
        cosines.append((embeddings @ embeddings.T)[np.triu_indices(len(embeddings), 1)])
    assert np.ptp(cosines[0]) > 0.1
    assert np.abs(cosines[0] - cosines[1]).max() < 0.005


def _astronaut_blobs(pipelines: Pipelines, pack: Pack) -> list[NDArray[np.float32]]:
    spec, detector = pack.embedder, pipelines.detection._detector
    template = np.array(spec.template, np.float32)
    results = []
    for image in (astronaut(), blurred(astronaut(), 2)):
        face = refine_landmarks(detector, image, detector.detect(image)[0], pack.detector.landmark_crop)
        results.append(blob(align(image, face.landmarks, template, spec.input_size), spec))
    return results
