"""DetectFace's parameters, what reaches the service, and the exact shape of the answer."""

from __future__ import annotations

from dataclasses import replace

import pytest

from app.domain import (
    Attributes,
    Box,
    Completeness,
    DetectedFace,
    DetectOptions,
    FaceModelVersion,
    ImageRef,
    Pose,
    Quality,
)
from tests.support.fakes import (
    DETECTION_RESULT,
    LANDMARKS,
    OPEN,
    FakeEngine,
    FakeService,
    client_of,
    code_of,
    response_of,
)

_NEW = {"X-TC-Action": "DetectFace", "X-TC-Version": "2020-03-03"}
_OLD = {**_NEW, "X-TC-Version": "2018-03-01"}
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


@pytest.mark.parametrize(
    ("headers", "members", "options"),
    [
        (_NEW, "", DetectOptions()),
        (_NEW, ',"MaxFaceNum":120,"MinFaceSize":20', DetectOptions(max_faces=120, min_size=20)),
        (_NEW, ',"NeedFaceAttributes":1,"NeedQualityDetection":1', DetectOptions(attributes=True, quality=True)),
        (_NEW, ',"NeedFaceAttributes":2,"NeedQualityDetection":-1', DetectOptions()),
        (_NEW, ',"FaceModelVersion":"2.0","NeedRotateDetection":1', DetectOptions(FaceModelVersion.V2, rotate=True)),
        (_OLD, ',"MinFaceSize":100', DetectOptions(min_size=100)),
    ],
)
async def test_service_is_told_what_was_asked(headers: dict[str, str], members: str, options: DetectOptions) -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        reply = await client.post("/", content=f'{{"Url":"u"{members}}}', headers=headers)
    assert response_of(reply)["FaceModelVersion"] == options.face_model_version.value
    assert engine.service.looks == [(ImageRef(url="u"), options)]


@pytest.mark.parametrize(
    ("headers", "members", "code"),
    [
        (_NEW, '"FaceModelVersion":"4.0","MaxFaceNum":0', "InvalidParameterValue.FaceModelVersionIllegal"),
        (_NEW, '"MaxFaceNum":121', "LimitExceeded.ErrorFaceNumExceed"),
        (_NEW, '"MaxFaceNum":0', "InvalidParameter.InvalidParameter"),
        (_NEW, '"MinFaceSize":33', "InvalidParameter.InvalidParameter"),
        (_OLD, '"MinFaceSize":0', "InvalidParameter.InvalidParameter"),
        (_NEW, '"NeedRotateDetection":2', "InvalidParameter.InvalidParameter"),
        (_NEW, '"MaxFaceNum":"1"', "InvalidParameter"),
        (_NEW, '"ImageA":"x"', "UnknownParameter"),
        (_NEW, '"QualityControl":1', "UnknownParameter"),
        (_NEW, '"MaxFaceNum":1', "InvalidParameterValue.ImageEmpty"),
    ],
)
async def test_values_are_judged_in_order(headers: dict[str, str], members: str, code: str) -> None:
    async with client_of() as client:
        assert code_of(await client.post("/", content=f"{{{members}}}", headers=headers)) == code


@pytest.mark.parametrize("headers", [_NEW, _OLD])
async def test_what_was_not_asked_for_is_zero_and_a_box_may_begin_outside(headers: dict[str, str]) -> None:
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


@pytest.mark.parametrize("headers", [_NEW, _OLD])
@pytest.mark.parametrize(("asked", "is_told"), [(0, False), (1, True), (2, False)])
async def test_landmarks_are_told_to_who_asks_for_them(headers: dict[str, str], asked: int, is_told: bool) -> None:
    async with client_of() as client:
        reply = await client.post("/", json={"Image": "i", "NeedLandmarks": asked}, headers=headers)
    (face,) = response_of(reply)["FaceInfos"]
    told = {
        "LeftEye": {"X": 11, "Y": 61},
        "RightEye": {"X": 61, "Y": 61},
        "Nose": {"X": 40, "Y": 88},
        "LeftMouthCorner": {"X": -1, "Y": 110},
        "RightMouthCorner": {"X": 60, "Y": 111},
    }
    assert (face["X"], face.get("Landmarks")) == (-11, told if is_told else None)


async def test_what_was_measured_is_told() -> None:
    quality = Quality(63, 73, 47, Completeness(99, 98, 97, 52, 95, 47))
    seen = DetectedFace(Box(1, 2, 41, 52), LANDMARKS, Attributes(Pose(-3.6, 12.5, 179.7), mask=True), quality)
    service = FakeService(sight=replace(DETECTION_RESULT, faces=(seen,)))
    async with client_of(engine=FakeEngine(service)) as client:
        response = response_of(await client.post("/", content='{"Image":"i"}', headers=_NEW))
    (face,) = response["FaceInfos"]
    unknown = {"Hat": None, "Hair": None, "EyeOpen": None}
    told = {"Pitch": -4, "Yaw": 12, "Roll": 180, "Mask": True}
    assert face["FaceAttributesInfo"] == {**_NO_ATTRIBUTES, **told, **unknown}
    assert face["FaceQualityInfo"] == {
        "Score": 63,
        "Sharpness": 73,
        "Brightness": 47,
        "Completeness": {"Eyebrow": 99, "Eye": 98, "Nose": 97, "Cheek": 52, "Mouth": 95, "Chin": 47},
    }
