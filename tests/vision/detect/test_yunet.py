from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Image
from app.packs.manifest import LandmarkCrop
from app.runtime.session import Tensor
from app.vision.detect.base import Detector, resize_and_pad
from app.vision.detect.yunet import YuNet, decode
from tests.support.detectors import detector_spec
from tests.support.images import astronaut, cast
from tests.vision.detect.reference_faces import (
    ASTRONAUT_LANDMARKS,
    ReferenceFace,
    edges,
    match_faces,
    open_published,
    people,
)

_FILE = "models/yunet/face_detection_yunet_2023mar.onnx"
_SPEC = detector_spec("yunet", 0.6, 0.8, LandmarkCrop(side=96, face=60.0))


def _outputs(height: int, width: int) -> list[Tensor]:
    counts = [(height // stride) * (width // stride) for stride in (8, 16, 32)]
    return [np.zeros((count, size), np.float32) for size in (1, 1, 4, 10) for count in counts]


def _plant(outputs: list[Tensor], level: int, cell: int, score: float) -> None:
    """Plant a face of 40 x 60 pixels with its centre half a stride right of, and a quarter below the cell's corner."""
    stride = (8, 16, 32)[level]
    outputs[level][cell] = score
    outputs[3 + level][cell] = score
    outputs[6 + level][cell] = [0.5, 0.25, np.log(40 / stride), np.log(60 / stride)]
    outputs[9 + level][cell] = [-0.5, -1, 1.5, -1, 0.5, 0.25, 0, 1, 1, 1]


@pytest.mark.parametrize("level", [0, 1, 2])
def test_a_planted_box_is_decoded_at_its_position(level: int) -> None:
    outputs, stride = _outputs(96, 160), (8, 16, 32)[level]
    columns = 160 // stride
    _plant(outputs, level, 2 * columns + 3, 0.9)
    candidates = decode(outputs, 96, 160, 0.6)
    x, y = (3 + 0.5) * stride, (2 + 0.25) * stride
    np.testing.assert_allclose(candidates.boxes, [[x - 20, y - 30, x + 20, y + 30]], rtol=1e-5)
    np.testing.assert_allclose(candidates.landmarks[0, 2], (x, y), rtol=1e-6)
    np.testing.assert_allclose(candidates.landmarks[0, 0], (2.5 * stride, 1 * stride), rtol=1e-6)
    np.testing.assert_allclose(candidates.scores, [0.9], rtol=1e-6)


@pytest.mark.parametrize(
    ("class_score", "objectness", "score"),
    [(0.64, 1.0, 0.8), (1.0, 0.64, 0.8), (0.0, 1.0, None), (0.35, 1.0, None)],
)
def test_the_score_is_the_geometric_mean_of_class_and_objectness(
    class_score: float, objectness: float, score: float | None
) -> None:
    outputs = _outputs(32, 32)
    outputs[0][5], outputs[3][5] = class_score, objectness
    assert decode(outputs, 32, 32, 0.6).scores.tolist() == ([] if score is None else [pytest.approx(score)])


def test_scores_below_the_threshold_are_no_faces() -> None:
    assert YuNet(_PlantedSession((7, 0.59)), _SPEC).detect(np.zeros((32, 32, 3), np.uint8)) == []


def test_the_last_cell_of_every_grid_is_in_the_bottom_right_corner() -> None:
    outputs = _outputs(64, 96)
    for level in range(3):
        _plant(outputs, level, -1, 0.9 - 0.1 * level)
    noses = decode(outputs, 64, 96, 0.6).landmarks[:, 2]
    np.testing.assert_allclose(noses, [(96 - s / 2, 64 - s * 0.75) for s in (8, 16, 32)], rtol=1e-6)


class _PlantedSession:
    """A session that returns the same faces for every input and records its last input."""

    def __init__(self, *cells: tuple[int, float]) -> None:
        self._cells = cells
        self.last_batch: Tensor = np.zeros(0, np.float32)

    def run(self, batch: Tensor) -> list[Tensor]:
        self.last_batch = batch
        outputs = _outputs(*batch.shape[2:])
        for cell, score in self._cells:
            _plant(outputs, 0, cell, score)
        return [output[None] for output in outputs]


def test_the_input_is_bgr_without_scaling() -> None:
    session = _PlantedSession()
    image = np.zeros((100, 70, 3), np.uint8)
    image[..., :] = (10, 20, 30)
    assert YuNet(session, _SPEC).detect(image) == []
    assert session.last_batch.shape == (1, 3, 128, 96)
    assert session.last_batch.dtype == np.float32
    assert session.last_batch[0, :, 50, 50].tolist() == [10, 20, 30]
    assert session.last_batch[0, :, 110, 80].tolist() == [0, 0, 0]


def test_faces_are_sorted_by_confidence_without_duplicates_in_pixels_of_the_image() -> None:
    session = _PlantedSession((10 * 40 + 10, 0.7), (10 * 40 + 11, 0.8), (10 * 40 + 30, 0.9), (0, 0.65))
    faces = YuNet(session, _SPEC).detect(np.zeros((1280, 640, 3), np.uint8))  # halved: 640 x 320, forty cells a row
    assert [round(face.confidence, 2) for face in faces] == [0.9, 0.8, 0.65]
    # outside the image, as for a face at its edge
    np.testing.assert_allclose(edges(faces[2]), (-32, -56, 48, 64), atol=1e-3)


@pytest.fixture(scope="module")
def detector(shared: Path, tmp_path_factory: pytest.TempPathFactory) -> Detector:
    return open_published(shared / _FILE, _SPEC, tmp_path_factory.mktemp("yunet"))


def _detect_with_opencv(path: Path, image: Image) -> list[ReferenceFace]:
    size = (image.shape[1], image.shape[0])
    _, rows = cv2.FaceDetectorYN.create(str(path), "", size, _SPEC.confidence, 0.3, 5000).detect(image)
    if rows is None:
        return []
    return [ReferenceFace(np.append(r[:2], r[:2] + r[2:4]), r[4:14].reshape(5, 2), float(r[14])) for r in rows]


@pytest.mark.shared
def test_the_faces_are_those_that_opencv_detects(detector: Detector, shared: Path) -> None:
    count = unmatched = 0
    for original in people(shared):
        image, _ = resize_and_pad(original, _SPEC.max_side)
        matched = match_faces(detector.detect(image), _detect_with_opencv(shared / _FILE, image))
        for face, reference in matched.pairs:
            np.testing.assert_allclose(edges(face), reference.box, atol=0.01)
            np.testing.assert_allclose(face.landmarks, reference.landmarks, atol=0.01)
            assert face.confidence == pytest.approx(reference.score, abs=1e-5)
        count += len(matched.pairs)
        unmatched += matched.unmatched
    assert count >= 100
    assert unmatched <= 1  # two boxes have an IoU of 0.290, and of more than 0.3 after OpenCV rounds them


@pytest.mark.shared
def test_the_astronaut_has_one_face_with_accurate_landmarks(detector: Detector) -> None:
    (face,) = detector.detect(astronaut())
    assert np.linalg.norm(face.landmarks - ASTRONAUT_LANDMARKS, axis=1).max() < 7


@pytest.mark.shared
def test_six_people_have_six_faces(detector: Detector) -> None:
    assert len(detector.detect(cast())) == 6
