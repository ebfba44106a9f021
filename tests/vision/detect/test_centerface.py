import cv2
import numpy as np
import pytest
import skimage.data

from app.domain import Image
from app.vision.detect.base import Detector
from app.vision.detect.centerface import decode
from tests.support.images import astronaut, cast
from tests.vision.detect.reference_faces import ASTRONAUT_LANDMARKS


def _maps(height: int, width: int) -> list[np.ndarray]:
    return [np.zeros((channels, height, width), dtype=np.float32) for channels in (1, 2, 2, 10)]


def test_a_planted_box_is_decoded_at_its_position() -> None:
    heat, sizes, offsets, points = _maps(20, 30)
    heat[:, 7, 12] = 0.9
    sizes[:, 7, 12] = np.log([10.0, 6.0])  # height 40, width 24 pixels
    offsets[:, 7, 12] = [0.25, -0.5]
    points[:, 7, 12] = [0.4, 0.3, 0.4, 0.7, 0.6, 0.5, 0.8, 0.35, 0.8, 0.65]
    candidates = decode((heat, sizes, offsets, points), 0.5).unscaled(0.5)
    centre_y, centre_x = (7 + 0.25 + 0.5) * 4, (12 - 0.5 + 0.5) * 4
    expected = np.array([centre_x - 12, centre_y - 20, centre_x + 12, centre_y + 20]) / 0.5
    np.testing.assert_allclose(candidates.boxes, [expected], rtol=1e-5)
    np.testing.assert_allclose(candidates.landmarks[0, 0], (expected[0] + 0.3 * 48, expected[1] + 0.4 * 80), rtol=1e-5)
    assert candidates.scores.tolist() == [pytest.approx(0.9)]


def test_a_heat_map_of_zeros_has_no_candidates() -> None:
    assert decode(_maps(8, 8), 0.5).scores.tolist() == []


def test_the_astronaut_has_one_face_with_accurate_landmarks(detector: Detector) -> None:
    (face,) = detector.detect(astronaut())
    assert face.confidence > 0.5
    assert np.linalg.norm(face.landmarks - ASTRONAUT_LANDMARKS, axis=1).max() < 4


def test_six_people_have_six_faces(detector: Detector) -> None:
    assert len(detector.detect(cast())) == 6


@pytest.mark.parametrize("scale", [0.5, 2.0, 3.5])
def test_landmarks_scale_with_the_image(detector: Detector, scale: float) -> None:
    (face,) = detector.detect(astronaut())
    resized = np.asarray(cv2.resize(astronaut(), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA), np.uint8)
    (resized_face,) = detector.detect(resized)
    eye_distance = float(np.linalg.norm(face.landmarks[1] - face.landmarks[0]))
    assert np.abs(resized_face.landmarks / scale - face.landmarks).max() < 0.15 * eye_distance


def _images_without_faces() -> list[tuple[str, Image]]:
    images = []
    for name in ("coffee", "chelsea", "rocket", "coins", "text", "moon"):
        image = getattr(skimage.data, name)()
        if image.ndim == 2:
            image = np.repeat(image[..., None], 3, axis=2)
        images.append((name, np.ascontiguousarray(image[..., ::-1])))
    return images


@pytest.mark.parametrize(
    ("name", "image"), _images_without_faces(), ids=lambda value: value if isinstance(value, str) else ""
)
def test_no_face_is_detected_in_images_without_faces(detector: Detector, name: str, image: Image) -> None:
    assert detector.detect(image) == [], name
