"""CompareFace's parameters: names, types, values, their order, and what reaches the service."""

from __future__ import annotations

from typing import Any

import pytest

from app.domain import CompareOptions, FaceModelVersion, ImageRef, MatchingStrategy
from tests.support.fakes import COMMON, OPEN, FakeEngine, client_of, code_of, response_of

_OLD = {**COMMON, "X-TC-Version": "2018-03-01"}
_SIDES = '"UrlA":"u","ImageB":"i"'

NOT_JSON = "The request body is not a valid JSON object, as content-type=application/json requires."


async def ask(body: bytes | str, headers: dict[str, str] = COMMON) -> dict[str, Any]:
    async with client_of() as client:
        content = body.encode() if isinstance(body, str) else body
        return response_of(await client.post("/", content=content, headers=headers))


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'""',
        b"[]",
        b"null",
        b"1",
        b"{",
        b'{"UrlA":"a"}x',
        b"UrlA=a",
        b'{"UrlA":"\xff"}',
        b'{"QualityControl":NaN}',
        b'{"QualityControl":Infinity}',
        b'{"QualityControl":' + b"1" * 5000 + b"}",
        b"\xef\xbb\xbf{}",
        b'{"UrlA":"\\ud800"}',
        b'{"\\ud800":1}',
        '{"UrlA":"a"}'.encode("utf-16"),
        b'{"UrlA":' * 100_000,
        b"[" * 100_000,
    ],
)
async def test_what_is_not_a_json_object_is_refused(body: bytes) -> None:
    assert (await ask(body))["Error"] == {"Code": "InvalidParameter", "Message": NOT_JSON}


async def test_too_many_values_are_refused() -> None:
    error = (await ask(b'{"UrlA":[' + b"[]," * 1000 + b"[]]}"))["Error"]
    assert error == {"Code": "InvalidParameter", "Message": "The request has too many values."}


@pytest.mark.parametrize(
    ("member", "code", "message"),
    [
        ('"Foo":1', "UnknownParameter", "The parameter `Foo` is not recognized."),
        ('"urlA":"x"', "UnknownParameter", "The parameter `urlA` is not recognized."),
        ('"image_a":"x"', "UnknownParameter", "The parameter `image_a` is not recognized."),
        ('"\\n\\u0001":1', "UnknownParameter", "The parameter `??` is not recognized."),
        ('"Foo":1,"QualityControl":"1"', "UnknownParameter", "The parameter `Foo` is not recognized."),
        ('"ImageA":1', "InvalidParameter", "The value type of parameter `ImageA` is not valid."),
        ('"ImageA":["x"]', "InvalidParameter", "The value type of parameter `ImageA` is not valid."),
        ('"FaceModelVersion":3.0', "InvalidParameter", "The value type of parameter `FaceModelVersion` is not valid."),
        ('"QualityControl":"1"', "InvalidParameter", "The value type of parameter `QualityControl` is not valid."),
        ('"QualityControl":true', "InvalidParameter", "The value type of parameter `QualityControl` is not valid."),
        ('"QualityControl":1.0', "InvalidParameter", "The value type of parameter `QualityControl` is not valid."),
        ('"QualityControl":1e999', "InvalidParameter", "The value type of parameter `QualityControl` is not valid."),
        (
            '"NeedRotateDetection":false',
            "InvalidParameter",
            "The value type of parameter `NeedRotateDetection` is not valid.",
        ),
        (
            '"FaceMatchingStrategy":"0"',
            "InvalidParameter",
            "The value type of parameter `FaceMatchingStrategy` is not valid.",
        ),
    ],
)
async def test_names_and_types_are_judged(member: str, code: str, message: str) -> None:
    assert (await ask(f"{{{member}}}"))["Error"] == {"Code": code, "Message": message}


@pytest.mark.parametrize(
    ("member", "code"),
    [
        ('"FaceModelVersion":"4.0","QualityControl":9', "InvalidParameterValue.FaceModelVersionIllegal"),
        ('"FaceModelVersion":""', "InvalidParameterValue.FaceModelVersionIllegal"),
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
        (_SIDES, "OK"),
    ],
)
async def test_values_are_judged_in_order_and_before_the_pictures(member: str, code: str) -> None:
    response = await ask(f"{{{member}}}")
    assert response.get("Error", {"Code": "OK"})["Code"] == code


@pytest.mark.parametrize(
    ("language", "message"),
    [
        ("en-US", "Invalid parameter: `NeedRotateDetection` is 0 or 1."),
        ("zh-CN", "参数不合法：`NeedRotateDetection` 的取值应为 0 或 1。"),
    ],
)
async def test_illegal_parameter_is_named(language: str, message: str) -> None:
    response = await ask('{"NeedRotateDetection":2}', {**COMMON, "X-TC-Language": language})
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
        (_OLD, "", CompareOptions()),
        (_OLD, ',"QualityControl":1', CompareOptions(quality_control=1)),
        (_OLD, ',"FaceModelVersion":"2.0","NeedRotateDetection":1', CompareOptions(FaceModelVersion.V2, rotate=True)),
    ],
)
async def test_service_is_told_what_was_asked(headers: dict[str, str], members: str, options: CompareOptions) -> None:
    engine = FakeEngine()
    async with client_of(OPEN, engine) as client:
        response = response_of(await client.post("/", content=f"{{{_SIDES}{members}}}", headers=headers))
    assert engine.service.calls == [(ImageRef(url="u"), ImageRef(base64="i"), options)]
    assert response["FaceModelVersion"] == options.face_model_version.value


async def test_old_version_has_no_matching_strategy() -> None:
    response = await ask('{"FaceMatchingStrategy":0}', _OLD)
    assert response["Error"]["Code"] == "UnknownParameter"


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?UrlA=u&UrlB=u&QualityControl=0", "OK"),
        ("?UrlA=u&UrlB=u&QualityControl=9", "InvalidParameterValue.QualityControlIllegal"),
        ("?UrlA=u&UrlB=u&QualityControl=no", "InvalidParameter"),
        ("?UrlA=u&UrlB=u&QualityControl=", "InvalidParameter"),
        ("?UrlA=u&UrlB=u&QualityControl=-1", "InvalidParameterValue.QualityControlIllegal"),
        ("?UrlA=u&UrlA=u", "InvalidParameter"),
        ("?UrlA=%FF", "InvalidParameter"),
        ("?UrlA", "InvalidParameterValue.ImageEmpty"),
        ("?=u", "UnknownParameter"),
        ("?{}", "InvalidParameter"),
        ("?UrlA=u&UrlB=u&QualityControl=+0", "InvalidParameter"),
        ("?UrlA=u&UrlB=u&QualityControl=%200", "InvalidParameter"),
        ("?UrlA=u&UrlB=u&QualityControl=0.0", "InvalidParameter"),
        ("?A.0=x", "UnknownParameter"),
        ("?UrlA=&UrlB=u", "InvalidParameterValue.ImageEmpty"),
        ("", "InvalidParameterValue.ImageEmpty"),
    ],
)
async def test_query_is_judged_like_json(query: str, code: str) -> None:
    async with client_of() as client:
        assert code_of(await client.get(f"/{query}", headers=COMMON)) == code


async def test_fault_of_a_picture_names_it() -> None:
    assert (await ask('{"UrlA":"u"}'))["Error"] == {
        "Code": "InvalidParameterValue.ImageEmpty",
        "Message": "Empty image. (image B)",
    }
