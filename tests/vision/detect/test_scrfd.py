from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnxruntime
import pytest

from app.domain import Image
from app.packs.manifest import LandmarkCrop
from app.runtime.session import Tensor
from app.vision.detect.base import Candidates, resize_and_pad, to_faces
from app.vision.detect.scrfd import Scrfd, decode, merge
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

_FILES = ("det_2.5g.onnx", "det_500m.onnx")
_SPEC = detector_spec("scrfd", 0.5, 0.7, LandmarkCrop(side=96, face=60.0))


def _outputs(height: int, width: int) -> list[Tensor]:
    counts = [2 * (height // stride) * (width // stride) for stride in (8, 16, 32)]
    return [np.zeros((count, size), np.float32) for size in (1, 4, 10) for count in counts]


def _plant(outputs: list[Tensor], level: int, anchor: int, score: float) -> None:
    """Plant a face whose edges are 1, 2, 3 and 4 strides left of, above, right of and below the cell's corner."""
    outputs[level][anchor] = score
    outputs[3 + level][anchor] = [1, 2, 3, 4]
    outputs[6 + level][anchor] = [-0.5, -1, 1.5, -1, 0.5, 0.25, 0, 1, 1, 1]


@pytest.mark.parametrize("level", [0, 1, 2])
@pytest.mark.parametrize("anchor", [0, 1])
def test_a_planted_box_is_decoded_at_its_position(level: int, anchor: int) -> None:
    outputs, stride = _outputs(96, 160), (8, 16, 32)[level]
    columns = 160 // stride
    _plant(outputs, level, 2 * (2 * columns + 3) + anchor, 0.9)
    candidates = decode(outputs, 96, 160, 0.5)
    x, y = 3 * stride, 2 * stride
    assert candidates.boxes.tolist() == [[x - stride, y - 2 * stride, x + 3 * stride, y + 4 * stride]]
    assert candidates.landmarks[0, 0].tolist() == [x - 0.5 * stride, y - stride]
    assert candidates.landmarks[0, 2].tolist() == [x + 0.5 * stride, y + 0.25 * stride]
    assert candidates.scores.tolist() == [pytest.approx(0.9)]


def test_scores_below_the_threshold_are_no_faces() -> None:
    outputs = _outputs(32, 32)
    _plant(outputs, 0, 7, 0.49)
    assert decode(outputs, 32, 32, 0.5).scores.tolist() == []
    assert Scrfd(_PlantedSession((7, 0.49)), _SPEC).detect(np.zeros((32, 32, 3), np.uint8)) == []


def test_the_last_cell_of_every_grid_is_in_the_bottom_right_corner() -> None:
    outputs = _outputs(64, 96)
    for level in range(3):
        _plant(outputs, level, -1, 0.9 - 0.1 * level)
    noses = decode(outputs, 64, 96, 0.5).landmarks[:, 2]
    assert noses.tolist() == [[96 - s / 2, 64 - s * 0.75] for s in (8, 16, 32)]


def test_at_most_2000_candidates_are_decoded() -> None:
    outputs = _outputs(640, 640)
    outputs[0][:] = np.linspace(0.5, 1, len(outputs[0]), dtype=np.float32)[:, None]
    scores = decode(outputs, 640, 640, 0.5).scores
    assert len(scores) == 2000
    assert scores.tolist() == sorted(scores.tolist(), reverse=True)
    assert scores[0] == 1


class _PlantedSession:
    """A session that returns the same faces for every input and records its inputs."""

    def __init__(self, *anchors: tuple[int, float]) -> None:
        self._anchors = anchors
        self.last_batch: Tensor = np.zeros(0, np.float32)
        self.sizes: list[tuple[int, ...]] = []

    def run(self, batch: Tensor) -> list[Tensor]:
        self.last_batch = batch
        self.sizes.append(batch.shape[2:])
        outputs = _outputs(*batch.shape[2:])
        for anchor, score in self._anchors:
            _plant(outputs, 0, anchor, score)
        return outputs


def test_the_input_is_rgb_centred_at_zero() -> None:
    session = _PlantedSession()
    image = np.zeros((100, 70, 3), np.uint8)
    image[..., :] = (10, 20, 255)
    assert Scrfd(session, _SPEC).detect(image) == []
    assert session.last_batch.shape == (1, 3, 128, 96)
    assert session.last_batch.dtype == np.float32
    assert session.last_batch[0, :, 50, 50].tolist() == [127.5 / 128, -107.5 / 128, -117.5 / 128]
    assert session.last_batch[0, :, 110, 80].tolist() == [-127.5 / 128] * 3


def test_faces_are_sorted_by_confidence_without_duplicates_in_pixels_of_the_image() -> None:
    row = 2 * 40  # anchors
    session = _PlantedSession((10 * row + 10, 0.7), (10 * row + 11, 0.8), (10 * row + 60, 0.9), (0, 0.65))
    spec = _SPEC.model_copy(update={"max_side": 320})
    faces = Scrfd(session, spec).detect(np.zeros((640, 640, 3), np.uint8))  # halved: 320 x 320
    assert [round(face.confidence, 2) for face in faces] == [0.9, 0.8, 0.65]
    assert edges(faces[2]) == (-16, -32, 48, 64)  # outside the image, as for a face at its edge


def _candidates(*faces: tuple[float, float, float]) -> Candidates:
    """Return square candidates at the top of the image, each given by its score, left edge and side."""
    boxes = [(left, 0, left + side, side) for _, left, side in faces]
    return Candidates(
        np.array([score for score, _, _ in faces], np.float32),
        np.array(boxes, np.float32).reshape(-1, 4),
        np.zeros((len(faces), 5, 2), np.float32),
    )


@pytest.mark.parametrize(
    ("fine", "large", "merged"),
    [
        ([(0.9, 0, 50)], [], [(0.9, 0, 50)]),
        ([], [(0.6, 0, 400)], [(0.6, 0, 400)]),
        ([(0.9, 0, 50), (0.5, 9, 400)], [(0.7, 8, 410)], [(0.9, 0, 50), (0.7, 8, 410), (0.5, 9, 400)]),
        ([(0.5, 0, 50)], [(0.9, 0, 51), (0.8, 99, 351)], [(0.5, 0, 50)]),
    ],
)
def test_the_large_face_pass_adds_only_large_faces(
    fine: list[tuple[float, float, float]],
    large: list[tuple[float, float, float]],
    merged: list[tuple[float, float, float]],
) -> None:
    candidates, expected = merge(_candidates(*fine), _candidates(*large)), _candidates(*merged)
    np.testing.assert_array_equal(candidates.scores, expected.scores)
    np.testing.assert_array_equal(candidates.boxes, expected.boxes)


@pytest.mark.parametrize(
    ("height", "width", "sizes"),
    [(320, 320, [(320, 320)]), (250, 200, [(256, 224)]), (640, 321, [(640, 352), (192, 128)])],
)
def test_large_images_get_a_large_face_pass(height: int, width: int, sizes: list[tuple[int, int]]) -> None:
    session = _PlantedSession()
    Scrfd(session, _SPEC).detect(np.zeros((height, width, 3), np.uint8))
    assert session.sizes == sizes


@pytest.fixture(scope="module", params=_FILES)
def published(request: pytest.FixtureRequest, shared: Path) -> Path:
    path: Path = shared / "models/insightface" / request.param
    return path


@pytest.fixture(scope="module")
def detector(published: Path, tmp_path_factory: pytest.TempPathFactory) -> Scrfd:
    scrfd = open_published(published, _SPEC, tmp_path_factory.mktemp("scrfd"))
    assert isinstance(scrfd, Scrfd)
    return scrfd


@pytest.fixture(scope="module")
def insightface(published: Path) -> Any:
    from insightface.model_zoo.scrfd import SCRFD  # noqa: PLC0415 - takes a second

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = 1
    options.log_severity_level = 3  # one file declares outputs for 640 pixels and warns about other sizes
    session = onnxruntime.InferenceSession(str(published), options, providers=["CPUExecutionProvider"])
    return SCRFD(session=session)


def _detect_with_insightface(insightface: Any, image: Image) -> list[ReferenceFace]:
    size = (image.shape[1], image.shape[0])
    rows, landmarks = insightface.detect(image, input_size=size, det_thresh=_SPEC.confidence)
    return [ReferenceFace(row[:4], points, float(row[4])) for row, points in zip(rows, landmarks, strict=True)]


@pytest.mark.usefixtures("without_coverage")
@pytest.mark.shared
def test_a_pass_detects_the_faces_that_insightface_detects(detector: Scrfd, insightface: Any, shared: Path) -> None:
    count = 0
    for original in people(shared):
        image, _ = resize_and_pad(original, _SPEC.max_side)  # insightface neither scales nor pads this size
        faces = to_faces(detector._detect_once(image), detector.max_iou)
        matched = match_faces(faces, _detect_with_insightface(insightface, image))
        assert matched.unmatched == 0
        for face, reference in matched.pairs:
            np.testing.assert_allclose(edges(face), reference.box, atol=1e-3)
            np.testing.assert_allclose(face.landmarks, reference.landmarks, atol=1e-3)
            assert face.confidence == pytest.approx(reference.score, abs=1e-5)
        count += len(matched.pairs)
    assert count >= 100


@pytest.mark.shared
def test_the_astronaut_has_one_face_with_accurate_landmarks(detector: Scrfd) -> None:
    (face,) = detector.detect(astronaut())
    assert np.linalg.norm(face.landmarks - ASTRONAUT_LANDMARKS, axis=1).max() < 7


@pytest.mark.shared
def test_six_people_have_six_faces(detector: Scrfd) -> None:
    assert len(detector.detect(cast())) == 6


@pytest.mark.shared
def test_a_face_that_fills_a_large_image_is_detected(detector: Scrfd) -> None:
    portrait = cv2.resize(astronaut()[45:175, 165:285], None, fx=5, fy=5, interpolation=cv2.INTER_LINEAR)
    image = np.asarray(portrait, np.uint8)
    assert to_faces(detector._detect_once(image[:640, :576]), detector.max_iou) == []
    (face,) = detector.detect(image)
    assert np.linalg.norm(face.landmarks / 5 + (165, 45) - ASTRONAUT_LANDMARKS, axis=1).max() < 7
