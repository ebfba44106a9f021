"""Artifacts on a real face: text, lines and strong compression, and changes that leave none."""

from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest

from app.domain import Artifact, Crop
from app.engine import Pipelines
from app.vision.quality.artifacts import measure_artifact
from app.vision.quality.assessment import QualityAssessor, grade
from app.vision.quality.crop import SIDE, QualityCrop
from benchmarks.degraded import grey, watermarked
from tests.support.degradations import exposure, focus, gamma, jpeg, motion_blur, noisy, shrink
from tests.support.pipelines import detect_all
from tests.vision.quality.occlusions import full_crop, with_mask, with_spectacles, with_sunglasses

Change = Callable[[Crop], Crop]


def _waves(image: Crop, width: int, colour: tuple[int, int, int]) -> Crop:
    drawn, x = image.copy(), np.arange(SIDE)
    for y in range(0, SIDE + 14, 14):
        line = np.stack([x, y + 4 * np.sin(x / 12)], axis=1).round().astype(np.int32)
        cv2.polylines(drawn, [line], False, colour, width)
    return drawn


@pytest.mark.parametrize(
    "change",
    [
        lambda image: image,
        grey,
        lambda image: image[:, ::-1],
        lambda image: exposure(image, -4),
        lambda image: exposure(image, 1),
        lambda image: gamma(image, 0.4),
        lambda image: focus(image, 5),
        lambda image: motion_blur(image, 25),
        lambda image: noisy(image, 12),
        lambda image: shrink(image, 15),
        lambda image: jpeg(image, 40),
        with_mask,
        with_spectacles,
        with_sunglasses,
    ],
)
def test_light_blur_noise_and_covered_parts_are_no_artifact(
    assessor: QualityAssessor, crop: QualityCrop, change: Change
) -> None:
    assert _artifact(assessor, change(crop.image)) is Artifact.NONE


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (watermarked, Artifact.OVERLAY),
        (lambda image: jpeg(watermarked(image), 60), Artifact.OVERLAY),
        (lambda image: _waves(image, 2, (0, 0, 0)), Artifact.OVERLAY),
        (lambda image: _waves(image, 2, (255, 255, 255)), Artifact.OVERLAY),
        *[(lambda image, quality=quality: jpeg(image, quality), Artifact.COMPRESSION) for quality in (3, 5, 7)],
    ],
)
def test_text_lines_and_strong_compression_are_refused_from_level_2(
    assessor: QualityAssessor, crop: QualityCrop, change: Change, expected: Artifact
) -> None:
    quality = assessor.assess_crop(full_crop(change(crop.image))).quality
    assert quality.artifact is expected
    assert grade(quality) < 2


def test_thin_lines_that_hide_the_skin_are_refused_as_a_covered_face(
    assessor: QualityAssessor, crop: QualityCrop
) -> None:
    quality = assessor.assess_crop(full_crop(_waves(crop.image, 1, (0, 0, 0)))).quality
    assert grade(quality) < 2


def test_a_face_outside_the_image_has_no_artifact(crop: QualityCrop) -> None:
    assert measure_artifact(watermarked(crop.image), np.zeros((SIDE, SIDE), np.bool_)) is Artifact.NONE


def test_the_edge_of_the_image_is_no_line(assessor: QualityAssessor, crop: QualityCrop) -> None:
    for column in range(70, 120, 10):
        inside = np.ones((SIDE, SIDE), np.bool_)
        inside[:, :column] = False
        cut_off = QualityCrop(crop.image * inside[..., None].astype(np.uint8), inside)
        assert assessor.assess_crop(cut_off).quality.artifact is Artifact.NONE


@pytest.mark.shared
def test_studio_photos_have_no_artifact(assessor: QualityAssessor, pipelines: Pipelines, shared: Path) -> None:
    for path in sorted((shared / "data/london").glob("*/*.jpg")):
        image, (face, *_) = detect_all(pipelines.detection, path.read_bytes())
        assert assessor.assess(image, face.landmarks).quality.artifact is Artifact.NONE, path


def _artifact(assessor: QualityAssessor, image: Crop) -> Artifact:
    return assessor.assess_crop(full_crop(np.ascontiguousarray(image))).quality.artifact
