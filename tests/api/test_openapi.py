"""The OpenAPI document is valid and complete. tests/contract compares it with a running service."""

from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from app.api.actions import ACTIONS
from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.docs import page
from app.api.openapi import document
from app.errors import ErrorCode

_DOCUMENT = document()


def test_the_document_is_valid() -> None:
    validate(_DOCUMENT)


def test_the_schema_rejects_other_responses() -> None:
    request_id = "a8eb4545-a154-4f86-9510-57a8be9cae0c"
    valid = {"Score": 50.0, "FaceModelVersion": "3.0", "RequestId": request_id}
    error = {"Code": "MissingParameter", "Message": ""}
    schema = {"$ref": "#/components/schemas/Reply", "components": _DOCUMENT["components"]}
    validator = Draft202012Validator(schema, format_checker=FormatChecker())
    for response in (
        {**valid, "RequestId": "1"},
        {**valid, "Error": error},
        {**valid, "Score": "50"},
        {"Error": {**error, "Code": "InternalError"}, "RequestId": request_id},
    ):
        assert list(validator.iter_errors({"Response": response})) != []
    assert list(validator.iter_errors({"Response": valid})) == []


def test_the_error_codes_are_complete() -> None:
    schema = _DOCUMENT["components"]["schemas"]["ErrorCode"]
    assert schema["enum"] == [code.value for code in ErrorCode]
    assert schema["x-enumDescriptions"] == {code.value: code.text.en for code in ErrorCode}


class _Cats(ResponseModel):
    """The cats in an image."""

    faces: list[int] | None


class _DetectCats(RequestModel):
    """An image."""

    image: str = ""
    url_a: int = 0

    async def perform(self, *_: object) -> _Cats:
        return _Cats(faces=None)


def test_a_new_action_is_documented_without_further_code() -> None:
    detect_cats = Action("DetectCats", {"2020-03-03": _DetectCats, "2018-03-01": _DetectCats})
    extended = document([*ACTIONS, detect_cats])
    validate(extended)
    post, get = (extended["paths"]["/"][method] for method in ("post", "get"))
    headers = {header["name"]: header["schema"] for header in post["parameters"]}
    assert headers["X-TC-Action"]["enum"] == ["CompareFace", "DetectFace", "DetectCats"]
    query = {item["name"]: item for item in get["parameters"]}
    assert query["Image"]["description"].endswith(", DetectCats 2020-03-03, DetectCats 2018-03-01.")
    assert [variant["type"] for variant in query["UrlA"]["schema"]["anyOf"]] == ["string", "integer"]
    cats = extended["components"]["schemas"]["_Cats"]
    assert cats["required"] == ["Faces", "RequestId"]
    assert {"type": "null"} in cats["properties"]["Faces"]["anyOf"]
    assert "list of integer" in page(extended)
