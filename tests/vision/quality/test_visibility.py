"""The visibility network on real faces, and completeness on constructed visibility maps."""

import hashlib
import json
from contextlib import suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from app.domain import MatchingStrategy
from app.engine import Pipelines
from app.errors import ApiError
from app.packs.store import visibility_path
from app.vision.quality.assessment import QualityAssessor
from app.vision.quality.crop import MAP_SIDE, REGIONS, SIDE, QualityCrop, cell_shares, quality_crop
from app.vision.quality.visibility import measure_completeness
from app.vision.selection import NoFaceError, select_target
from tests.support.images import cast, jpeg
from tests.support.pipelines import detect_all
from tests.vision.quality.occlusions import (
    Change,
    full_crop,
    with_gamma,
    with_mask,
    with_polygon,
    with_spectacles,
    with_sunglasses,
)

_ALL_VISIBLE = np.ones((MAP_SIDE, MAP_SIDE), np.float32)


def _bar(top: int, bottom: int) -> Change:
    return lambda image: with_polygon(image, [(20, top), (204, top), (204, bottom), (20, bottom)], (60, 140, 60))


@pytest.mark.parametrize(
    ("change", "covered", "visible"),
    [
        (lambda image: image, (), ("eye", "eyebrow", "nose", "cheek", "mouth", "chin")),
        (with_mask, ("mouth", "nose", "chin"), ("eye", "eyebrow")),
        (with_sunglasses, ("eye",), ("nose", "mouth", "chin", "cheek")),
        (with_spectacles, (), ("eye", "eyebrow", "nose", "cheek", "mouth", "chin")),
        (_bar(140, 224), ("mouth", "chin"), ("eye", "eyebrow")),
        (_bar(72, 102), ("eye",), ("mouth", "chin")),
        (lambda image: with_gamma(image, 2.2), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: with_gamma(image, 0.5), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 4), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2), (), ("eye", "mouth")),
    ],
    ids=["unchanged", "mask", "sunglasses", "spectacles", "scarf", "bar", "darker", "lighter", "blurred", "grey"],
)
def test_occluders_cover_their_regions(
    assessor: QualityAssessor, crop: QualityCrop, change: Change, covered: tuple[str, ...], visible: tuple[str, ...]
) -> None:
    changed = full_crop(np.asarray(change(crop.image), np.uint8))
    completeness = assessor.assess_crop(changed).quality.completeness
    edges = {"eyebrow": 80, "eye": 80, "nose": 60, "cheek": 70, "mouth": 50, "chin": 70}
    assert [region for region in covered if getattr(completeness, region) > edges[region]] == [], completeness
    assert [region for region in visible if getattr(completeness, region) <= edges[region]] == [], completeness


def test_a_mirrored_face_has_a_mirrored_map(assessor: QualityAssessor, crop: QualityCrop) -> None:
    masked = with_mask(crop.image)
    visibility = assessor.assess_crop(full_crop(masked)).visibility
    mirrored = assessor.assess_crop(full_crop(np.ascontiguousarray(masked[:, ::-1]))).visibility
    assert np.abs(visibility - mirrored[:, ::-1]).mean() < 0.05


def test_cells_outside_the_image_are_not_visible(assessor: QualityAssessor, crop: QualityCrop) -> None:
    inside = np.ones((SIDE, SIDE), np.bool_)
    inside[160:] = False
    image = crop.image * inside[..., None].astype(np.uint8)
    assessment = assessor.assess_crop(QualityCrop(image, inside))
    assert assessment.visibility.shape == (MAP_SIDE, MAP_SIDE)
    assert (assessment.visibility[40:] == 0).all()
    assert assessment.quality.completeness.chin == 0
    assert assessment.quality.completeness.eye > 80


def test_the_faces_of_six_people_are_uncovered(assessor: QualityAssessor, pipelines: Pipelines) -> None:
    image, faces = detect_all(pipelines.detection, jpeg(cast()))
    assert len(faces) == 6
    for face in faces:
        completeness = assessor.assess(image, face.landmarks).quality.completeness
        assert min(completeness.eye, completeness.nose, completeness.mouth, completeness.chin) > 80, completeness


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "lowest", "highest"), [("with_mask", 0.93, 1.0), ("without_mask", 0.0, 0.04)])
def test_worn_masks_cover_nose_or_mouth(
    assessor: QualityAssessor, pipelines: Pipelines, shared: Path, folder: str, lowest: float, highest: float
) -> None:
    """Every third of 200 images; the training data contains none of them."""
    paths = sorted((shared / "data/masks" / folder).iterdir())[::3]
    assert len(paths) == 67
    is_covered = []
    for path in paths:
        with suppress(ApiError, NoFaceError):  # some images are smaller than the service accepts
            image, faces = detect_all(pipelines.detection, path.read_bytes())
            face = select_target(faces, image, MatchingStrategy.LARGEST, 0.8)
            completeness = assessor.assess_crop(quality_crop(image, face.landmarks)).quality.completeness
            is_covered.append(completeness.mouth <= 50 or completeness.nose <= 60)
    assert len(is_covered) > 50
    assert lowest <= np.mean(is_covered) <= highest


def test_the_network_is_small_and_declares_its_shapes() -> None:
    assert visibility_path().stat().st_size <= 2_000_000
    model = onnx.load(visibility_path())
    shapes = {value.name: _shape(value) for value in (*model.graph.input, *model.graph.output)}
    assert shapes == {"image": ["batch", 3, 112, 112], "visible": ["batch", 1, 56, 56]}


def _shape(value: Any) -> list[object]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


def test_the_training_record_belongs_to_the_network() -> None:
    record = json.loads(visibility_path().with_suffix(".json").read_text(encoding="utf-8"))
    assert record["sha256"] == hashlib.sha256(visibility_path().read_bytes()).hexdigest()
    assert record["samples"] > 100_000


def test_an_uncovered_face_is_complete_and_a_covered_face_is_not() -> None:
    assert set(asdict(measure_completeness(_ALL_VISIBLE)).values()) == {100}
    assert set(asdict(measure_completeness(_ALL_VISIBLE * 0)).values()) == {0}


@pytest.mark.parametrize("region", REGIONS)
def test_a_covered_region_does_not_lower_the_others(region: str) -> None:
    percents = asdict(measure_completeness(_ALL_VISIBLE * (cell_shares(REGIONS[region]) == 0)))
    assert percents.pop(region) == 0
    assert min(percents.values()) > 70


def test_one_visible_eye_is_half_of_the_region() -> None:
    visibility = _ALL_VISIBLE.copy()
    visibility[:, : MAP_SIDE // 2] = 0
    completeness = measure_completeness(visibility)
    assert (completeness.eye, completeness.eyebrow, completeness.cheek) == pytest.approx((50, 50, 50), abs=1)


@pytest.mark.parametrize(
    ("yaw", "eye", "nose"), [(0, 50, 50), (39, 50, 50), (-39, 50, 50), (50, 0, 50), (-50, 100, 50)]
)
def test_at_large_yaw_only_the_near_side_counts(yaw: float, eye: int, nose: int) -> None:
    """The viewer's left half is covered; it is the near side of a face that looks to the right."""
    visibility = _ALL_VISIBLE.copy()
    visibility[:, : MAP_SIDE // 2] = 0
    percents = measure_completeness(visibility, yaw)
    assert (percents.eye, percents.eyebrow, percents.cheek, percents.nose) == pytest.approx(
        (eye, eye, eye, nose), abs=2
    )


def test_a_cell_is_visible_above_a_probability_of_one_half() -> None:
    assert measure_completeness(_ALL_VISIBLE * np.float32(0.51)).mouth == 100
    assert measure_completeness(_ALL_VISIBLE * np.float32(0.49)).mouth == 0
