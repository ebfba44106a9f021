"""Faces, attributes and quality of an image of six people."""

from base64 import b64encode

import numpy as np
import pytest

from app.domain import DetectionResult, DetectOptions, Image, ImageRef
from app.engine import Engine, Pipelines
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.service.detect import FaceAnalyzer
from app.vision.quality.assessment import QualityAssessor
from tests.service.test_quality_gate import CountingAssessor
from tests.support.images import astronaut, cast, jpeg, shrunk


def _analyze(pipelines: Pipelines, image: Image, options: DetectOptions) -> DetectionResult:
    return pipelines.analyzer.analyze(jpeg(image), options, StageTimer.after(30))


@pytest.mark.parametrize(("max_faces", "expected_count"), [(1, 1), (3, 3), (6, 6), (120, 6)])
def test_at_most_max_faces_are_returned_largest_first(
    pipelines: Pipelines, max_faces: int, expected_count: int
) -> None:
    result = _analyze(pipelines, cast(), DetectOptions(max_faces=max_faces))
    areas = [face.box.area for face in result.faces]
    assert (result.width, result.height, len(areas)) == (1280, 886, expected_count)
    assert areas == sorted(areas, reverse=True)
    all_faces = _analyze(pipelines, cast(), DetectOptions(max_faces=120)).faces
    assert [face.box for face in result.faces] == [face.box for face in all_faces[:expected_count]]


@pytest.mark.parametrize(
    ("attributes", "quality", "calls"), [(False, False, 0), (True, False, 5), (False, True, 6), (True, True, 6)]
)
def test_only_requested_values_are_measured(
    pipelines: Pipelines, assessor: QualityAssessor, attributes: bool, quality: bool, calls: int
) -> None:
    counting_assessor = CountingAssessor(assessor)
    analyzer = FaceAnalyzer(pipelines.detection, counting_assessor, 0)
    options = DetectOptions(max_faces=10, attributes=attributes, quality=quality)
    faces = analyzer.analyze(jpeg(cast()), options, StageTimer.after(30)).faces
    assert counting_assessor.calls == calls
    assert [face.attributes is not None for face in faces] == [attributes] * 5 + [False]
    assert [face.quality is not None for face in faces] == [quality] * 6


def test_faces_of_a_rotated_image_are_in_its_pixel_coordinates(pipelines: Pipelines) -> None:
    rotated = np.ascontiguousarray(np.rot90(cast()))
    result = _analyze(pipelines, rotated, DetectOptions(max_faces=10, rotate=True))
    assert (result.width, result.height) == (886, 1280)
    assert all(-50 < face.box.left < face.box.right < 936 for face in result.faces)
    for face in result.faces:  # the heads point to the left
        eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
        assert face.box.left < eyes[0] < mouth[0] < face.box.right
        assert face.box.top < face.landmarks[1, 1] < face.landmarks[0, 1] < face.box.bottom


@pytest.mark.parametrize(("min_size", "code"), [(20, None), (34, ErrorCode.FACE_SIZE_TOO_SMALL)])
def test_faces_below_the_minimum_size_are_excluded(pipelines: Pipelines, min_size: int, code: ErrorCode | None) -> None:
    small, options = shrunk(astronaut(), 128), DetectOptions(min_size=min_size)
    if code is None:
        assert len(_analyze(pipelines, small, options).faces) == 1
        return
    with pytest.raises(ApiError) as caught:
        _analyze(pipelines, small, options)
    assert caught.value.code is code


def test_a_face_cropped_at_the_nose_has_no_mask(pipelines: Pipelines) -> None:
    for rows in (108, 116, 124):
        cropped = np.ascontiguousarray(astronaut()[:rows])
        (face,) = _analyze(pipelines, cropped, DetectOptions(attributes=True, quality=True)).faces
        assert face.quality is not None
        assert face.quality.completeness.mouth <= 50
        assert face.attributes is not None
        assert not face.attributes.has_mask


async def test_errors_name_no_image(settings: Settings) -> None:
    faceless = b64encode(jpeg(np.full((100, 100, 3), 90, np.uint8))).decode()
    async with Engine.open(settings) as engine:
        for ref, code in (
            (ImageRef(), ErrorCode.IMAGE_EMPTY),
            (ImageRef(base64="R0lGODlh"), ErrorCode.IMAGE_DECODE_FAILED),
            (ImageRef(base64=faceless), ErrorCode.NO_FACE_IN_PHOTO),
        ):
            with pytest.raises(ApiError) as caught:
                await engine.services.detect(ref, DetectOptions(), StageTimer.after(30))
            assert (caught.value.code, caught.value.image) == (code, "")
