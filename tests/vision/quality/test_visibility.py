"""The network on the astronaut, on six people, and on masks that real people wear."""

from __future__ import annotations

import hashlib
import json
from contextlib import suppress
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import onnx
import pytest

from app.domain import Completeness, Image, MatchingStrategy
from app.engine import Pipelines
from app.errors import ApiError
from app.packs.store import visibility_path
from app.vision.quality.assess import QualityAssessor
from app.vision.quality.crop import SIDE, QualityCrop, quality_crop
from app.vision.quality.regions import MAP_SIDE
from app.vision.selection import NoFaceError, select
from tests.support.images import cast, jpeg
from tests.support.pipelines import detect_all
from tests.vision.quality.faces import Change, drawn, in_spectacles, in_sunglasses, masked, whole, with_gamma


def _visible(assessor: QualityAssessor, image: Image) -> Completeness:
    return assessor.assess_crop(whole(image)).quality.completeness


def _bar(top: int, bottom: int) -> Change:
    return lambda image: drawn(image, [(20, top), (204, top), (204, bottom), (20, bottom)], (60, 140, 60))


@pytest.mark.parametrize(
    ("change", "covered", "shown"),
    [
        (lambda image: image, (), ("eye", "eyebrow", "nose", "cheek", "mouth", "chin")),
        (masked, ("mouth", "nose", "chin"), ("eye", "eyebrow")),
        (in_sunglasses, ("eye",), ("nose", "mouth", "chin", "cheek")),
        (in_spectacles, (), ("eye", "eyebrow", "nose", "cheek", "mouth", "chin")),
        (_bar(140, 224), ("mouth", "chin"), ("eye", "eyebrow")),
        (_bar(72, 102), ("eye",), ("mouth", "chin")),
        (lambda image: with_gamma(image, 2.2), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: with_gamma(image, 0.5), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: cv2.GaussianBlur(image, (0, 0), 4), (), ("eye", "nose", "mouth", "chin")),
        (lambda image: np.repeat(image.mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2), (), ("eye", "mouth")),
    ],
    ids=["as she is", "mask", "sunglasses", "spectacles", "scarf", "bar", "darker", "lighter", "blurred", "grey"],
)
def test_what_covers_the_face_is_seen(
    assessor: QualityAssessor, crop: QualityCrop, change: Change, covered: tuple[str, ...], shown: tuple[str, ...]
) -> None:
    found = _visible(assessor, np.asarray(change(crop.image), np.uint8))
    edges = {"eyebrow": 80, "eye": 80, "nose": 60, "cheek": 70, "mouth": 50, "chin": 70}
    assert [name for name in covered if getattr(found, name) > edges[name]] == [], found
    assert [name for name in shown if getattr(found, name) <= edges[name]] == [], found


def test_a_mirrored_face_has_the_mirrored_map(assessor: QualityAssessor, crop: QualityCrop) -> None:
    there = assessor.assess_crop(whole(masked(crop.image))).visible
    back = assessor.assess_crop(whole(np.ascontiguousarray(masked(crop.image)[:, ::-1]))).visible
    assert np.abs(there - back[:, ::-1]).mean() < 0.05


def test_what_lies_outside_the_picture_is_not_visible(assessor: QualityAssessor, crop: QualityCrop) -> None:
    inside = np.ones((SIDE, SIDE), np.bool_)
    inside[160:] = False
    image = crop.image * inside[..., None].astype(np.uint8)
    found = assessor.assess_crop(QualityCrop(image, inside))
    assert found.visible.shape == (MAP_SIDE, MAP_SIDE)
    assert (found.visible[40:] == 0).all()
    assert found.quality.completeness.chin == 0
    assert found.quality.completeness.eye > 80


def test_six_people_have_nothing_before_their_faces(assessor: QualityAssessor, pipelines: Pipelines) -> None:
    image, faces = detect_all(pipelines.detection, jpeg(cast()))
    assert len(faces) == 6
    for face in faces:
        found = assessor.assess(image, face.landmarks).quality.completeness
        assert min(found.eye, found.nose, found.mouth, found.chin) > 80, found


def test_the_network_is_small_and_says_what_it_takes() -> None:
    assert visibility_path().stat().st_size <= 2_000_000
    model = onnx.load(visibility_path())
    shapes = {value.name: _shape(value) for value in (*model.graph.input, *model.graph.output)}
    assert shapes == {"image": ["batch", 3, 112, 112], "visible": ["batch", 1, 56, 56]}


def test_the_training_record_is_that_of_the_network() -> None:
    record = json.loads(visibility_path().with_suffix(".json").read_text(encoding="utf-8"))
    assert record["sha256"] == hashlib.sha256(visibility_path().read_bytes()).hexdigest()
    assert record["samples"] > 100_000


def _shape(value: Any) -> list[object]:
    return [dim.dim_param or dim.dim_value for dim in value.type.tensor_type.shape.dim]


@pytest.mark.shared
@pytest.mark.parametrize(("folder", "least", "most"), [("with_mask", 0.93, 1.0), ("without_mask", 0.0, 0.04)])
def test_masks_that_people_wear_are_seen(
    assessor: QualityAssessor, pipelines: Pipelines, shared: Path, folder: str, least: float, most: float
) -> None:
    """Every third of 200; the network has seen none of these pictures."""
    paths = sorted((shared / "data/masks" / folder).iterdir())[::3]
    assert len(paths) == 67
    covered = []
    for path in paths:
        with suppress(ApiError, NoFaceError):  # some are smaller than the service accepts
            image, faces = detect_all(pipelines.detection, path.read_bytes())
            face = select(faces, image, MatchingStrategy.LARGEST, 0.8)
            found = assessor.assess_crop(quality_crop(image, face.landmarks)).quality.completeness
            covered.append(found.mouth <= 50 or found.nose <= 60)
    assert len(covered) > 50
    assert least <= np.mean(covered) <= most
