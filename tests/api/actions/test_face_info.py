"""The faces in the response of DetectFace."""

from dataclasses import replace

import pytest

from app.domain import Attributes, Box, Completeness, DetectedFace, Pose, Quality
from tests.support.fakes import DETECTION_RESULT, LANDMARKS, FakeEngine, FakeService, client_of, response_of

_V2020 = {"X-TC-Action": "DetectFace", "X-TC-Version": "2020-03-03"}
_V2018 = {**_V2020, "X-TC-Version": "2018-03-01"}
_NO_ATTRIBUTES = {
    "Gender": 0,
    "Age": 0,
    "Expression": 0,
    "Glass": False,
    "Pitch": 0,
    "Yaw": 0,
    "Roll": 0,
    "Beauty": 0,
    "Hat": False,
    "Mask": False,
    "Hair": {"Length": 0, "Bang": 0, "Color": 0},
    "EyeOpen": False,
}
_NO_QUALITY = {
    "Score": 0,
    "Sharpness": 0,
    "Brightness": 0,
    "Completeness": dict.fromkeys(("Eyebrow", "Eye", "Nose", "Cheek", "Mouth", "Chin"), 0),
}


@pytest.mark.parametrize("headers", [_V2020, _V2018])
async def test_values_not_requested_are_zero_and_a_box_may_begin_outside_the_image(headers: dict[str, str]) -> None:
    async with client_of() as client:
        response = response_of(await client.post("/", content='{"Image":"i"}', headers=headers))
    face = {
        "X": -11,
        "Y": 20,
        "Width": 101,
        "Height": 120,
        "FaceAttributesInfo": _NO_ATTRIBUTES,
        "FaceQualityInfo": _NO_QUALITY,
    }
    assert list(response) == ["ImageWidth", "ImageHeight", "FaceInfos", "FaceModelVersion", "RequestId"]
    assert (response["ImageWidth"], response["ImageHeight"], response["FaceInfos"]) == (640, 480, [face])
    assert list(response["FaceInfos"][0]) == list(face)
    assert list(response["FaceInfos"][0]["FaceAttributesInfo"]) == list(_NO_ATTRIBUTES)


@pytest.mark.parametrize("headers", [_V2020, _V2018])
@pytest.mark.parametrize(("need_landmarks", "has_landmarks"), [(0, False), (1, True), (2, False)])
async def test_landmarks_are_returned_on_request(
    headers: dict[str, str], need_landmarks: int, has_landmarks: bool
) -> None:
    async with client_of() as client:
        reply = await client.post("/", json={"Image": "i", "NeedLandmarks": need_landmarks}, headers=headers)
    (face,) = response_of(reply)["FaceInfos"]
    landmarks = {
        "LeftEye": {"X": 11, "Y": 61},
        "RightEye": {"X": 61, "Y": 61},
        "Nose": {"X": 40, "Y": 88},
        "LeftMouthCorner": {"X": -1, "Y": 110},
        "RightMouthCorner": {"X": 60, "Y": 111},
    }
    assert (face["X"], face.get("Landmarks")) == (-11, landmarks if has_landmarks else None)


async def test_measured_attributes_and_quality_are_returned() -> None:
    quality = Quality(63, 73, 47, Completeness(99, 98, 97, 52, 95, 47))
    detected = DetectedFace(Box(1, 2, 41, 52), LANDMARKS, Attributes(Pose(-3.6, 12.5, 179.7), has_mask=True), quality)
    service = FakeService(detection=replace(DETECTION_RESULT, faces=(detected,)))
    async with client_of(engine=FakeEngine(service)) as client:
        response = response_of(await client.post("/", content='{"Image":"i"}', headers=_V2020))
    (face,) = response["FaceInfos"]
    unmeasured = {"Hat": None, "Hair": None, "EyeOpen": None}
    measured = {"Pitch": -4, "Yaw": 12, "Roll": 180, "Mask": True}
    assert face["FaceAttributesInfo"] == {**_NO_ATTRIBUTES, **measured, **unmeasured}
    assert face["FaceQualityInfo"] == {
        "Score": 63,
        "Sharpness": 73,
        "Brightness": 47,
        "Completeness": {"Eyebrow": 99, "Eye": 98, "Nose": 97, "Cheek": 52, "Mouth": 95, "Chin": 47},
    }
