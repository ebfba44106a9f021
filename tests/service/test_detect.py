"""What is seen in a picture of six people, and what is not even looked at."""

from __future__ import annotations

import numpy as np
import pytest

from app.domain import DetectionResult, DetectOptions, Image, ImageRef
from app.engine import Engine, Pipelines
from app.environment import Settings
from app.errors import ApiError, ErrorCode
from app.ops.stage_timer import StageTimer
from app.service.detect import FaceAnalyzer
from app.vision.quality.assess import QualityAssessor
from tests.service.test_quality_gate import Spy
from tests.support.images import astronaut, cast, jpeg, shrunk


def _examine(pipelines: Pipelines, image: Image, options: DetectOptions) -> DetectionResult:
    return pipelines.analyzer.analyze(jpeg(image), options, StageTimer.after(30))


@pytest.mark.parametrize(("most", "found"), [(1, 1), (3, 3), (6, 6), (120, 6)])
def test_the_largest_faces_come_first_and_no_more_than_asked_for(pipelines: Pipelines, most: int, found: int) -> None:
    sight = _examine(pipelines, cast(), DetectOptions(max_faces=most))
    areas = [face.box.area for face in sight.faces]
    assert (sight.width, sight.height, len(areas)) == (1280, 886, found)
    assert areas == sorted(areas, reverse=True)
    everybody = _examine(pipelines, cast(), DetectOptions(max_faces=120)).faces
    assert [face.box for face in sight.faces] == [face.box for face in everybody[:found]]


@pytest.mark.parametrize(
    ("attributes", "quality", "looks"), [(False, False, 0), (True, False, 5), (False, True, 6), (True, True, 6)]
)
def test_only_what_is_asked_for_is_measured(
    pipelines: Pipelines, assessor: QualityAssessor, attributes: bool, quality: bool, looks: int
) -> None:
    spy = Spy(assessor)
    subject = FaceAnalyzer(pipelines.detection, spy, 0)
    options = DetectOptions(max_faces=10, attributes=attributes, quality=quality)
    faces = subject.analyze(jpeg(cast()), options, StageTimer.after(30)).faces
    assert spy.looks == looks
    assert [face.attributes is not None for face in faces] == [attributes] * 5 + [False]
    assert [face.quality is not None for face in faces] == [quality] * 6


def test_faces_of_a_turned_picture_are_told_in_its_own_pixels(pipelines: Pipelines) -> None:
    turned = np.ascontiguousarray(np.rot90(cast()))
    sight = _examine(pipelines, turned, DetectOptions(max_faces=10, rotate=True))
    assert (sight.width, sight.height) == (886, 1280)
    assert all(-50 < face.box.left < face.box.right < 936 for face in sight.faces)
    for face in sight.faces:  # the tops of their heads are to the left
        eyes, mouth = face.landmarks[:2].mean(axis=0), face.landmarks[3:].mean(axis=0)
        assert face.box.left < eyes[0] < mouth[0] < face.box.right
        assert face.box.top < face.landmarks[1, 1] < face.landmarks[0, 1] < face.box.bottom


@pytest.mark.parametrize(("smallest", "code"), [(20, None), (34, ErrorCode.FACE_SIZE_TOO_SMALL)])
def test_faces_that_are_too_small_are_left_out(pipelines: Pipelines, smallest: int, code: ErrorCode | None) -> None:
    small, options = shrunk(astronaut(), 128), DetectOptions(min_size=smallest)
    if code is None:
        assert len(_examine(pipelines, small, options).faces) == 1
        return
    with pytest.raises(ApiError) as caught:
        _examine(pipelines, small, options)
    assert caught.value.code is code


def test_a_picture_without_a_face_is_told_so(pipelines: Pipelines) -> None:
    with pytest.raises(ApiError) as caught:
        _examine(pipelines, np.full((100, 100, 3), 90, np.uint8), DetectOptions())
    assert caught.value.code is ErrorCode.NO_FACE_IN_PHOTO


def test_a_face_cut_off_at_the_nose_wears_no_mask(pipelines: Pipelines) -> None:
    for rows in (108, 116, 124):
        cut = np.ascontiguousarray(astronaut()[:rows])
        (face,) = _examine(pipelines, cut, DetectOptions(attributes=True, quality=True)).faces
        assert face.quality is not None
        assert face.quality.completeness.mouth <= 50
        assert face.attributes is not None
        assert not face.attributes.mask


async def test_errors_of_the_only_picture_name_none(settings: Settings) -> None:
    async with Engine.open(settings) as engine:
        for ref, code in (
            (ImageRef(), ErrorCode.IMAGE_EMPTY),
            (ImageRef(base64="R0lGODlh"), ErrorCode.IMAGE_DECODE_FAILED),
        ):
            with pytest.raises(ApiError) as caught:
                await engine.services.detect(ref, DetectOptions(), StageTimer.after(30))
            assert (caught.value.code, caught.value.image) == (code, "")
