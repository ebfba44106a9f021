"""DetectFace: checks of parameter values, their order, and the options passed to the service."""

import pytest

from app.domain import DetectOptions, FaceModelVersion, ImageRef
from tests.support.fakes import OPEN, FakeEngine, client_of, code_of, response_of

_V2020 = {"X-TC-Action": "DetectFace", "X-TC-Version": "2020-03-03"}
_V2018 = {**_V2020, "X-TC-Version": "2018-03-01"}


@pytest.mark.parametrize(
    ("headers", "members", "options"),
    [
        (_V2020, "", DetectOptions()),
        (_V2020, ',"MaxFaceNum":120,"MinFaceSize":20', DetectOptions(max_faces=120, min_size=20)),
        (_V2020, ',"NeedFaceAttributes":1,"NeedQualityDetection":1', DetectOptions(attributes=True, quality=True)),
        (_V2020, ',"NeedFaceAttributes":2,"NeedQualityDetection":-1', DetectOptions()),
        (_V2020, ',"FaceModelVersion":"2.0","NeedRotateDetection":1', DetectOptions(FaceModelVersion.V2, rotate=True)),
        (_V2018, ',"MinFaceSize":100', DetectOptions(min_size=100)),
        (_V2020, ',"FaceModelVersion":"","Image":""', DetectOptions()),
        (_V2018, ',"FaceModelVersion":"","Image":""', DetectOptions()),
    ],
)
async def test_the_service_receives_image_and_options(
    headers: dict[str, str], members: str, options: DetectOptions
) -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        reply = await client.post("/", content=f'{{"Url":"u"{members}}}', headers=headers)
    assert response_of(reply)["FaceModelVersion"] == options.face_model_version.value
    assert engine.service.detect_calls == [(ImageRef(url="u"), options)]


@pytest.mark.parametrize(
    ("headers", "members", "code"),
    [
        (_V2020, '"FaceModelVersion":"4.0","MaxFaceNum":0', "InvalidParameterValue.FaceModelVersionIllegal"),
        (_V2020, '"MaxFaceNum":121', "LimitExceeded.ErrorFaceNumExceed"),
        (_V2020, '"MaxFaceNum":0', "InvalidParameter.InvalidParameter"),
        (_V2020, '"MinFaceSize":33', "InvalidParameter.InvalidParameter"),
        (_V2018, '"MinFaceSize":0', "InvalidParameter.InvalidParameter"),
        (_V2020, '"NeedRotateDetection":2', "InvalidParameter.InvalidParameter"),
        (_V2020, '"MaxFaceNum":"1"', "InvalidParameter"),
        (_V2020, '"ImageA":"x"', "UnknownParameter"),
        (_V2020, '"QualityControl":1', "UnknownParameter"),
        (_V2020, '"MaxFaceNum":1', "InvalidParameterValue.ImageEmpty"),
        (_V2020, '"Image":"","Url":""', "InvalidParameterValue.ImageEmpty"),
        (_V2020, '"MaxFaceNum":""', "InvalidParameter"),
    ],
)
async def test_values_are_checked_in_order(headers: dict[str, str], members: str, code: str) -> None:
    async with client_of() as client:
        assert code_of(await client.post("/", content=f"{{{members}}}", headers=headers)) == code
