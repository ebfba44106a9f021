import cv2
import numpy as np
import pytest

from app.vision.align import align, similarity_transform

_TEMPLATE = np.array([[48.4, 47.7], [103.2, 47.2], [75.8, 78.9], [52.4, 104.1], [97.9, 103.9]], dtype=np.float32)


def _transformed(points: np.ndarray, degrees: float, scale: float, shift: tuple[float, float]) -> np.ndarray:
    angle = np.deg2rad(degrees)
    rotation = scale * np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
    return np.asarray(points @ rotation.T + np.array(shift), dtype=np.float32)


@pytest.mark.parametrize("degrees", [0, 10, 90, 180, -135])
@pytest.mark.parametrize("scale", [0.25, 1.0, 7.5])
def test_an_exact_similarity_is_recovered(degrees: float, scale: float) -> None:
    source = _transformed(_TEMPLATE, degrees, scale, (31.0, -12.5))
    matrix = similarity_transform(source, _TEMPLATE)
    mapped = source @ matrix[:, :2].T + matrix[:, 2]
    np.testing.assert_allclose(mapped, _TEMPLATE, atol=1e-3)


def test_a_mirror_image_is_not_matched_by_a_reflection() -> None:
    mirrored = _TEMPLATE * np.array([-1, 1], dtype=np.float32)
    assert np.linalg.det(similarity_transform(mirrored, _TEMPLATE)[:, :2]) > 0


def test_noisy_landmarks_are_fitted_with_least_squares() -> None:
    noisy = _TEMPLATE + np.random.default_rng(0).normal(0, 3, _TEMPLATE.shape).astype(np.float32)
    matrix = similarity_transform(noisy, _TEMPLATE)

    def error(candidate: np.ndarray) -> float:
        return float(((noisy @ candidate[:, :2].T + candidate[:, 2] - _TEMPLATE) ** 2).sum())

    a, b, x, y = matrix[0, 0], matrix[1, 0], matrix[0, 2], matrix[1, 2]
    for step in np.vstack([np.eye(4), -np.eye(4)]) * 1e-3:
        da, db, dx, dy = step
        nearby = np.array([[a + da, -b - db, x + dx], [b + db, a + da, y + dy]])
        assert error(nearby) > error(matrix)


@pytest.mark.parametrize("scale", [0.7, 1.0, 2.5, 4.0, 8.0])
@pytest.mark.parametrize("degrees", [0, 25])
def test_the_crop_does_not_depend_on_the_size_of_the_image(scale: float, degrees: float) -> None:
    grid = np.indices((150, 150)).sum(axis=0)
    pattern = np.repeat((127 + 100 * np.sin(grid / 15.0))[..., None], 3, axis=2).astype(np.uint8)
    landmarks = _transformed(_TEMPLATE, degrees, scale, (700.0, 150.0))
    matrix = similarity_transform(_TEMPLATE, landmarks)
    image = cv2.warpAffine(pattern, matrix, (2000, 1900), flags=cv2.INTER_CUBIC, borderMode=cv2.BORDER_REPLICATE)
    crop = align(np.asarray(image, dtype=np.uint8), landmarks, _TEMPLATE, 150)
    difference = np.abs(crop.astype(int) - pattern)[10:-10, 10:-10]
    assert difference.mean() < 2.0


def test_pixels_outside_the_image_are_black() -> None:
    image = np.full((300, 300, 3), 255, dtype=np.uint8)
    crop = align(image, _TEMPLATE - 60, _TEMPLATE, 150)
    assert crop[:50, :50].max() == 0
    assert crop[100:, 100:].min() == 255


def test_coinciding_landmarks_are_no_error() -> None:
    crop = align(np.zeros((100, 100, 3), dtype=np.uint8), np.full((5, 2), 50, dtype=np.float32), _TEMPLATE, 150)
    assert crop.shape == (150, 150, 3)
