"""The OpenAPI document, compared with the behaviour of the service."""

from __future__ import annotations

import json
import re
import time
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker
from openapi_spec_validator import validate

from app.api.actions import ACTIONS
from app.api.actions.base import Action, RequestModel, ResponseModel
from app.api.docs import page
from app.api.openapi import Schema, document
from app.errors import ErrorCode
from tests.contract.catalogue import CASES, VALID_COMPARE, VALID_DETECT, Case, send
from tests.support.fakes import COMMON, OPEN, authorization, client_of, code_of
from tests.support.server import Server

_DOCUMENT = document()
_SCHEMAS: Schema = _DOCUMENT["components"]["schemas"]
_POST: Schema = _DOCUMENT["paths"]["/"]["post"]
_GET: Schema = _DOCUMENT["paths"]["/"]["get"]
_HEADERS: dict[str, Schema] = {header["name"]: header for header in _POST["parameters"]}
_CALLS = {
    (action.name, version): _SCHEMAS[model.__name__] for action in ACTIONS for version, model in action.models.items()
}
_VALID_PARAMETERS = {"CompareFace": VALID_COMPARE, "DetectFace": VALID_DETECT}
_PARAMETERS = [(*call, name) for call, schema in _CALLS.items() for name in schema["properties"]]
_VALUES_OF_OTHER_TYPES = {"string": [1, 1.5, True, [], {}], "integer": ["1", 1.5, True, [], {}]}


def _schema(action: str, version: str, name: str) -> Schema:
    schema: Schema = _CALLS[action, version]["properties"][name]
    return schema


def _schema_errors(schema: Schema, value: object) -> list[str]:
    resolvable = {**schema, "components": _DOCUMENT["components"]}
    return [
        error.message for error in Draft202012Validator(resolvable, format_checker=FormatChecker()).iter_errors(value)
    ]


def _response_errors(response: httpx.Response) -> list[str]:
    assert response.status_code == 200
    content = _POST["responses"]["200"]["content"]
    return _schema_errors(content[response.headers["content-type"]]["schema"], response.json())


def _example(name: str, schema: Schema, images_url: str) -> Any:
    """Return a valid value of the schema that this service can process."""
    if name.startswith("Image"):
        return VALID_COMPARE["ImageA"]
    if name.startswith("Url"):
        return f"{images_url}/astronaut.jpg"
    return [*schema.get("examples", ()), *schema.get("enum", ())][0]


def _call(server: Server, action: str, version: str, **parameters: Any) -> str:
    case = Case(
        ErrorCode.SERVER_ERROR,
        "",
        {**_VALID_PARAMETERS[action], **parameters},
        {"X-TC-Action": action, "X-TC-Version": version},
    )
    response = send(server, case)
    assert _response_errors(response) == []
    return code_of(response)


def _get(server: Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"http://{server.endpoint}{path}", headers=headers, timeout=30, trust_env=False)


def test_the_document_is_valid() -> None:
    validate(_DOCUMENT)


def test_the_document_is_what_is_served(live_server: Server) -> None:
    response = _get(live_server, "/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == _DOCUMENT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cause)
def test_error_responses_match_the_schema(live_server: Server, case: Case) -> None:
    assert _response_errors(send(live_server, case)) == []


def test_the_schema_rejects_other_responses() -> None:
    request_id = "a8eb4545-a154-4f86-9510-57a8be9cae0c"
    valid = {"Score": 50.0, "FaceModelVersion": "3.0", "RequestId": request_id}
    error = {"Code": "MissingParameter", "Message": ""}
    for response in (
        {**valid, "RequestId": "1"},
        {**valid, "Error": error},
        {**valid, "Score": "50"},
        {"Error": {**error, "Code": "InternalError"}, "RequestId": request_id},
    ):
        assert _schema_errors({"$ref": "#/components/schemas/Reply"}, {"Response": response}) != []
    assert _schema_errors({"$ref": "#/components/schemas/Reply"}, {"Response": valid}) == []


def test_the_error_codes_are_complete() -> None:
    schema = _SCHEMAS["ErrorCode"]
    assert schema["enum"] == [code.value for code in ErrorCode]
    texts = {code.value: f"{code.text.en} {code.text.zh}" for code in ErrorCode}
    assert schema["x-enumDescriptions"] == texts


@pytest.mark.parametrize(("action", "version", "name"), _PARAMETERS)
def test_documented_parameters_are_accepted(
    live_server: Server, images_url: str, action: str, version: str, name: str
) -> None:
    schema = _schema(action, version, name)
    value = _example(name, schema, images_url)
    assert schema["description"]
    assert _schema_errors(schema, value) == []
    assert _call(live_server, action, version, **{name: value}) == "OK"
    assert _call(live_server, action, version, **{name: None}) in {"OK", ErrorCode.IMAGE_EMPTY}


@pytest.mark.parametrize(("action", "version", "name"), _PARAMETERS)
def test_documented_types_are_enforced(live_server: Server, action: str, version: str, name: str) -> None:
    schema = _schema(action, version, name)
    for value in _VALUES_OF_OTHER_TYPES[schema["type"]]:
        assert _schema_errors(schema, value) != []
        assert _call(live_server, action, version, **{name: value}) == ErrorCode.INVALID_PARAMETER


@pytest.mark.parametrize(("action", "version"), _CALLS)
def test_undocumented_parameters_are_rejected(live_server: Server, action: str, version: str) -> None:
    documented = _CALLS[action, version]["properties"]
    others = {name for _, _, name in _PARAMETERS} | {"Region", "Action", "imageA", "$schema"}
    for name in others - set(documented):
        assert _call(live_server, action, version, **{name: 1}) == ErrorCode.UNKNOWN_PARAMETER


@pytest.mark.parametrize(
    ("action", "version", "name"), [parameter for parameter in _PARAMETERS if "enum" in _schema(*parameter)]
)
def test_undocumented_values_are_rejected(live_server: Server, action: str, version: str, name: str) -> None:
    schema = _schema(action, version, name)
    others: list[object] = ["", "1.0", "4.0"] if schema["type"] == "string" else [-1, max(schema["enum"]) + 1]
    for value in others:
        assert _schema_errors(schema, value) != []
        assert _call(live_server, action, version, **{name: value}).startswith("InvalidParameter")


@pytest.mark.parametrize("media_type", _POST["requestBody"]["content"])
def test_documented_media_types_are_accepted(live_server: Server, media_type: str) -> None:
    if media_type == "application/json":
        body, content_type = json.dumps(VALID_COMPARE).encode(), media_type
    elif media_type == "multipart/form-data":
        multipart = httpx.Request(
            "POST", "http://x", files={name: text.encode() for name, text in VALID_COMPARE.items()}
        )
        body, content_type = multipart.read(), multipart.headers["content-type"]
    else:
        body, content_type = httpx.Request("POST", "http://x", data=VALID_COMPARE).read(), media_type
    assert code_of(send(live_server, Case(ErrorCode.SERVER_ERROR, "", body, {"Content-Type": content_type}))) == "OK"


@pytest.mark.parametrize("header", [*_HEADERS, "Authorization"])
def test_required_headers_are_enforced(live_server: Server, header: str) -> None:
    required = header == "Authorization" or _HEADERS[header]["required"]
    code = code_of(send(live_server, Case(ErrorCode.SERVER_ERROR, "", headers={header: ""})))
    assert code == (ErrorCode.MISSING_PARAMETER if required else "OK")


@pytest.mark.parametrize("header", [name for name, header in _HEADERS.items() if not header["required"]])
def test_optional_headers_have_an_effect(live_server: Server, header: str) -> None:
    schema = _HEADERS[header]["schema"]
    value = "x" if schema == {"type": "string"} else _example(header, schema, "")
    assert _schema_errors(schema, value) == []
    response = send(live_server, Case(ErrorCode.SERVER_ERROR, "", headers={header: value}))
    expected = {
        "X-TC-Token": ErrorCode.TOKEN_FAILURE,  # a permanent key has no token
        "X-TC-Content-SHA256": ErrorCode.SIGNATURE_FAILURE,  # the signature covers the body
    }
    assert code_of(response) == expected.get(header, "OK")
    if header in _POST["responses"]["200"]["headers"]:
        assert response.headers[header] == value


@pytest.mark.parametrize(("action", "version"), _CALLS)
def test_the_query_parameters_are_complete_and_work(
    live_server: Server, images_url: str, action: str, version: str
) -> None:
    query = {item["name"]: item["schema"] for item in _GET["parameters"] if item["in"] == "query"}
    assert query.keys() == {name for _, _, name in _PARAMETERS}
    schemas = _CALLS[action, version]["properties"].items()
    values = {name: _example(name, schema, images_url) for name, schema in schemas if not name.startswith("Image")}
    query_string = str(httpx.QueryParams(values))
    timestamp = int(time.time())
    signed = authorization(
        method="GET",
        query=query_string,
        host=live_server.endpoint,
        timestamp=timestamp,
        content_type="application/x-www-form-urlencoded",
        secret_id=live_server.secret_id,
        secret_key=live_server.secret_key,
    )
    action_headers = {"X-TC-Action": action, "X-TC-Version": version}
    common = {**action_headers, "X-TC-Timestamp": str(timestamp), "Authorization": signed}
    response = _get(live_server, f"/?{query_string}", **common, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (code_of(response), _response_errors(response)) == ("OK", [])


@pytest.mark.parametrize("path", [path for path in _DOCUMENT["paths"] if path != "/"])
def test_operational_endpoints_match_the_schema(live_server: Server, path: str) -> None:
    schema = _DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert _schema_errors(schema, _get(live_server, path).json()) == []


def test_the_page_names_all_headers_codes_parameters_and_paths(live_server: Server) -> None:
    response = _get(live_server, "/docs")
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    names = {*_HEADERS, "Authorization", *ErrorCode, *(name for _, _, name in _PARAMETERS), "Score", "RequestId"}
    assert [name for name in sorted(names) if f">{name}<" not in response.text] == []
    assert [path for path in _DOCUMENT["paths"] if path not in response.text] == []


def test_the_page_loads_and_runs_nothing(live_server: Server) -> None:
    response = _get(live_server, "/docs")
    targets = re.findall(r"(?:src|href|action|content)\s*=\s*[\"']?([^\"'\s>]+)", response.text)
    anchors = {f"#{name}" for name in re.findall(r'id="(\w+)"', response.text)}
    assert set(targets) <= {"openapi.json", "width=device-width", *anchors}
    assert re.search(r"<script|<link|<iframe|@import|url\(|\son\w+=|style=|https?:", response.text) is None
    assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_page_escapes_its_content() -> None:
    changed = json.loads(json.dumps(_DOCUMENT).replace("Score", "<script>"))
    assert "<script>" not in page(changed)
    assert "&lt;script&gt;" in page(changed)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_every_method_but_get_is_a_cloud_request(path: str) -> None:
    async with client_of(OPEN) as client:
        assert code_of(await client.post(path, json=VALID_COMPARE, headers=COMMON)) == "OK"
        assert code_of(await client.put(path)) == ErrorCode.UNSUPPORTED_PROTOCOL


class _Cats(ResponseModel):
    """The cats in an image."""

    faces: list[int] | None


class _DetectCats(RequestModel):
    """An image."""

    image: str = ""
    url_a: int = 0

    async def perform(self, *_: object) -> _Cats:
        raise NotImplementedError


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
