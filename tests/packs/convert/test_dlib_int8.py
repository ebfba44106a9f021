from __future__ import annotations

import hashlib
from collections import Counter
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
from benchmarks.int8 import blobs, measured_ranges
from tests.support.images import astronaut, blurred


@pytest.fixture(scope="module")
def quantised(dlib_source: bytes) -> bytes:
    return dlib_int8.convert(dlib_source)


class Opened:
    """A session as :class:`Embedder` wants it."""

    def __init__(self, content: bytes) -> None:
        self._session = onnxruntime.InferenceSession(content, providers=["CPUExecutionProvider"])

    def run(self, batch: NDArray[np.float32]) -> list[NDArray[np.float32]]:
        outputs: list[NDArray[np.float32]] = self._session.run(None, {"image": batch})
        return outputs


def test_converting_gives_the_recorded_bytes_every_time(dlib_source: bytes, quantised: bytes, pack: Pack) -> None:
    assert dlib_int8.convert(dlib_source) == quantised
    file = pack.files[2]
    assert (file.name, file.sha256, file.size) == (
        pack.embedder.int8_file,
        hashlib.sha256(quantised).hexdigest(),
        len(quantised),
    )


def test_the_recorded_ranges_are_those_of_six_faces(settings: Settings, store: Store, pack: Pack) -> None:
    measured = measured_ranges(settings, store, pack)
    assert set(measured) == set(dlib_int8.RANGES)
    for name, bounds in dlib_int8.RANGES.items():
        # another build of onnxruntime or OpenCV moves landmarks, and so the crops, a little
        assert bounds == pytest.approx(measured[name], rel=0.02, abs=0.02), name


def test_every_convolution_has_weights_that_no_processor_cuts_off(quantised: bytes) -> None:
    weights = [numpy_helper.to_array(each) for each in onnx.load_from_string(quantised).graph.initializer]
    filters = [each for each in weights if each.dtype == np.int8 and each.ndim == 4]
    assert len(filters) == 29
    assert max(2 * 255 * int(np.abs(each.astype(int)).max()) for each in filters) < 2**15


def test_all_but_the_sum_before_the_cap_runs_in_integers(quantised: bytes, tmp_path: Path) -> None:
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(quantised, options, providers=["CPUExecutionProvider"])
    kinds = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (kinds["QLinearConv"], kinds["QLinearAdd"], kinds["Conv"], kinds["Add"]) == (29, 13, 0, 1)


def test_real_faces_have_nearly_the_same_embedding(
    dlib_resnet: bytes, quantised: bytes, pack: Pack, pipelines: Pipelines
) -> None:
    views = np.concatenate([*blobs(pipelines.detection, pack), *_astronaut(pipelines, pack)])
    one, other = (Opened(content).run(views)[0] for content in (dlib_resnet, quantised))
    assert len(views) == 2 * (6 + 2)
    cosines = (one * other).sum(axis=1) / np.linalg.norm(one, axis=1) / np.linalg.norm(other, axis=1)
    assert cosines.min() > 0.999


def test_people_stay_apart_as_far_as_they_were(
    dlib_resnet: bytes, quantised: bytes, pack: Pack, pipelines: Pipelines
) -> None:
    """All cosines of different people, and of one person in two states: what scores are made of."""
    views = [*blobs(pipelines.detection, pack), *_astronaut(pipelines, pack)]
    between = []
    for content in (dlib_resnet, quantised):
        network = Opened(content)
        rows = np.stack([network.run(view)[0].sum(axis=0) for view in views])
        rows /= np.linalg.norm(rows, axis=1, keepdims=True)
        between.append((rows @ rows.T)[np.triu_indices(len(rows), 1)])
    assert np.ptp(between[0]) > 0.1
    assert np.abs(between[0] - between[1]).max() < 0.005


def _astronaut(pipelines: Pipelines, pack: Pack) -> list[NDArray[np.float32]]:
    spec = pack.embedder
    shots = []
    for picture in (astronaut(), blurred(astronaut(), 2)):
        face = pipelines.detection._detector.detect(picture)[0]
        landmarks = refine_landmarks(
            pipelines.detection._detector, picture, face, pack.detector.landmark_crop
        ).landmarks
        shots.append(blob(align(picture, landmarks, np.array(spec.template, np.float32), spec.input_size), spec))
    return shots
