"""Finding an action, and converting parameters to its model."""

from typing import Any

import pytest

from app.api.actions import ACTIONS
from app.domain import ActionName, CompareOptions, FaceModelVersion, ImageRef
from app.settings import WireSettings
from tests.support.fakes import COMMON, OPEN, FakeEngine, client_of, code_of, response_of

_LENIENT = OPEN.model_copy(update={"wire": WireSettings(parameters="lenient")})


async def _response(body: str, headers: dict[str, str] = COMMON) -> dict[str, Any]:
    async with client_of() as client:
        return response_of(await client.post("/", content=body.encode(), headers=headers))


def test_the_key_file_may_name_each_action() -> None:
    assert [action.name for action in ACTIONS] == list(ActionName)


async def test_an_unknown_version_is_named_in_the_message_up_to_64_characters() -> None:
    response = await _response("", {**COMMON, "X-TC-Version": "x" * 1000})
    assert response["Error"]["Message"] == (f"The specified api version=`{'x' * 64}` does not exist in service=`iai`.")


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
async def test_names_and_types_are_checked(member: str, code: str, message: str) -> None:
    assert (await _response(f"{{{member}}}"))["Error"] == {"Code": code, "Message": message}


@pytest.mark.parametrize(
    ("members", "strict", "options"),
    [
        ('"Foo":1', "UnknownParameter", CompareOptions()),
        ('"NeedRotateDetection":"1"', "InvalidParameter", CompareOptions(rotate=True)),
        ('"FaceModelVersion":2.0', "InvalidParameter", CompareOptions(FaceModelVersion.V2)),
        ('"NeedRotateDetection":"one"', "InvalidParameter", None),
        ('"NeedRotateDetection":true', "InvalidParameter", None),
        ('"UrlA":["x"]', "InvalidParameter", None),
    ],
)
async def test_lenient_parameters_are_converted_and_unknown_names_ignored(
    members: str, strict: str, options: CompareOptions | None
) -> None:
    body, engine = f'{{"UrlA":"a","UrlB":"b",{members}}}', FakeEngine()
    async with client_of(OPEN) as client:
        assert code_of(await client.post("/", content=body, headers=COMMON)) == strict
    async with client_of(_LENIENT, engine) as client:
        code = code_of(await client.post("/", content=body, headers=COMMON))
    assert code == ("OK" if options else "InvalidParameter")
    assert [call[2] for call in engine.service.calls] == ([options] if options else [])


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("?UrlA=u&UrlB=u&QualityControl=0", "OK"),
        ("?UrlA=u&UrlB=u&QualityControl=9", "InvalidParameterValue.QualityControlIllegal"),
        ("?UrlA=u&UrlB=u&QualityControl=no", "InvalidParameter"),
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
async def test_query_parameters_are_converted_and_checked_like_json(query: str, code: str) -> None:
    async with client_of() as client:
        assert code_of(await client.get(f"/{query}", headers=COMMON)) == code


_ABSENT_TEXTS = ["", " ", "undefined", "null", "NULL", "None", "nil"]


@pytest.mark.parametrize("text", _ABSENT_TEXTS)
@pytest.mark.parametrize("encoding", ["query", "form", "multipart"])
async def test_an_absent_value_in_text_selects_the_default(encoding: str, text: str) -> None:
    names = ("ImageA", "UrlB", "FaceModelVersion", "QualityControl", "NeedRotateDetection", "FaceMatchingStrategy")
    values, engine = {"UrlA": "u", "ImageB": "i", **dict.fromkeys(names, text)}, FakeEngine()
    async with client_of(OPEN, engine) as client:
        if encoding == "query":
            reply = await client.get("/", params=values, headers=COMMON)
        elif encoding == "form":
            reply = await client.post("/", data=values, headers=COMMON)
        else:
            parts = {name: (None, value) for name, value in values.items()}
            reply = await client.post("/", files=parts, headers=COMMON)
    assert code_of(reply) == "OK"
    assert engine.service.calls == [(ImageRef(url="u"), ImageRef(base64="i"), CompareOptions())]


@pytest.mark.parametrize("text", ["undefined0", "nul", "N/A", "none none"])
async def test_another_text_is_a_value(text: str) -> None:
    async with client_of() as client:
        reply = await client.get("/", params={"UrlA": "u", "UrlB": "u", "QualityControl": text}, headers=COMMON)
    assert code_of(reply) == "InvalidParameter"


@pytest.mark.parametrize("name", ["UrlA", "ImageA"])
async def test_an_absent_text_is_no_image(name: str) -> None:
    async with client_of() as client:
        reply = await client.get("/", params={name: "undefined", "UrlB": "u"}, headers=COMMON)
    assert code_of(reply) == "InvalidParameterValue.ImageEmpty"
