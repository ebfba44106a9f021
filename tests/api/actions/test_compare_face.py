"""CompareFace: checks of parameter values, their order, and the options passed to the service."""

import re
from typing import Any

import pytest

from app.api.actions.compare_face import CompareFaceResponse
from app.api.docs import translations
from app.domain import CompareOptions, FaceModelVersion, ImageRef, MatchingStrategy
from app.scoring.scale import SCORE_THRESHOLDS
from app.tools.evaluation.percent import percent
from tests.support.fakes import COMMON, OPEN, FakeEngine, client_of, response_of

_V2018 = {**COMMON, "X-TC-Version": "2018-03-01"}
_IMAGES = '"UrlA":"u","ImageB":"i"'


async def _response(body: str, headers: dict[str, str] = COMMON) -> dict[str, Any]:
    async with client_of() as client:
        return response_of(await client.post("/", content=body.encode(), headers=headers))


@pytest.mark.parametrize(
    ("members", "code"),
    [
        ('"FaceModelVersion":"4.0","QualityControl":9', "InvalidParameterValue.FaceModelVersionIllegal"),
        ('"FaceModelVersion":" "', "InvalidParameterValue.FaceModelVersionIllegal"),
        ('"FaceModelVersion":"null"', "InvalidParameterValue.FaceModelVersionIllegal"),
        ('"FaceModelVersion":""', "InvalidParameterValue.ImageEmpty"),
        ('"ImageA":"","UrlA":""', "InvalidParameterValue.ImageEmpty"),
        ('"QualityControl":""', "InvalidParameter"),
        ('"Foo":""', "UnknownParameter"),
        ('"QualityControl":5,"NeedRotateDetection":2', "InvalidParameterValue.QualityControlIllegal"),
        ('"QualityControl":-1', "InvalidParameterValue.QualityControlIllegal"),
        ('"QualityControl":9007199254740991', "InvalidParameterValue.QualityControlIllegal"),
        ('"QualityControl":99999999999999999999999', "InvalidParameterValue.QualityControlIllegal"),
        ('"NeedRotateDetection":2,"FaceMatchingStrategy":2', "InvalidParameter.InvalidParameter"),
        ('"FaceMatchingStrategy":-1', "InvalidParameter.InvalidParameter"),
        ('"QualityControl":1,"FaceMatchingStrategy":2', "InvalidParameter.InvalidParameter"),
        ('"QualityControl":4', "InvalidParameterValue.ImageEmpty"),
        ('"QualityControl":0', "InvalidParameterValue.ImageEmpty"),
        ('"ImageA":null', "InvalidParameterValue.ImageEmpty"),
        ('"Foo":null', "InvalidParameterValue.ImageEmpty"),
        ('"QualityControl":9,"QualityControl":0', "InvalidParameterValue.ImageEmpty"),
        (_IMAGES, "OK"),
    ],
)
async def test_values_are_checked_in_order_and_before_the_images(members: str, code: str) -> None:
    response = await _response(f"{{{members}}}")
    assert response.get("Error", {"Code": "OK"})["Code"] == code


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en-US", "Invalid parameter: `NeedRotateDetection` must be 0 or 1."),
        ("zh-CN", "参数不合法：`NeedRotateDetection` 的取值应为 0 或 1。"),
    ],
)
async def test_an_illegal_parameter_is_named_in_the_message(language: str, message: str) -> None:
    response = await _response('{"NeedRotateDetection":2}', {**COMMON, "X-TC-Language": language})
    assert response["Error"]["Message"] == message


@pytest.mark.parametrize(
    ("headers", "members", "options"),
    [
        (COMMON, "", CompareOptions()),
        (COMMON, ',"FaceModelVersion":"2.0"', CompareOptions(FaceModelVersion.V2)),
        (COMMON, ',"NeedRotateDetection":1', CompareOptions(rotate=True)),
        (COMMON, ',"QualityControl":4', CompareOptions(quality_control=4)),
        (COMMON, ',"FaceMatchingStrategy":0', CompareOptions(matching_strategy=MatchingStrategy.MOST_CONFIDENT)),
        (COMMON, ',"FaceMatchingStrategy":1', CompareOptions(matching_strategy=MatchingStrategy.LARGEST)),
        (COMMON, ',"FaceMatchingStrategy":null,"QualityControl":null', CompareOptions()),
        (COMMON, ',"FaceModelVersion":"","ImageA":"","UrlB":""', CompareOptions()),
        (_V2018, ',"FaceModelVersion":"","ImageA":"","UrlB":""', CompareOptions()),
        (_V2018, "", CompareOptions()),
        (_V2018, ',"QualityControl":1', CompareOptions(quality_control=1)),
        (_V2018, ',"FaceModelVersion":"2.0","NeedRotateDetection":1', CompareOptions(FaceModelVersion.V2, rotate=True)),
    ],
)
async def test_the_service_receives_images_and_options(
    headers: dict[str, str], members: str, options: CompareOptions
) -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        response = response_of(await client.post("/", content=f"{{{_IMAGES}{members}}}", headers=headers))
    assert engine.service.calls == [(ImageRef(url="u"), ImageRef(base64="i"), options)]
    assert response["FaceModelVersion"] == options.face_model_version.value


async def test_version_2018_has_no_matching_strategy() -> None:
    response = await _response('{"FaceMatchingStrategy":0}', _V2018)
    assert response["Error"]["Code"] == "UnknownParameter"


def test_the_description_of_the_score_states_the_thresholds_of_the_scale_and_no_others() -> None:
    description = CompareFaceResponse.model_fields["score"].description
    assert description is not None
    *_, rates = description.split("\n\n")
    versions = FaceModelVersion.V3, FaceModelVersion.V2
    thresholds = [f"{threshold:g}" for version in versions for threshold in SCORE_THRESHOLDS[version]]
    fars = [percent(far) for far in SCORE_THRESHOLDS[FaceModelVersion.V3].values()]
    for text in rates, translations()[rates].replace("2.0 版", ""):
        numbers = re.findall(r"[\d.]*\d(?: %)?", text)
        assert numbers == [*thresholds, *fars, thresholds[2], thresholds[5]]
