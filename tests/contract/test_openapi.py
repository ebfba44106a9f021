"""The OpenAPI document describes the behaviour of a running service."""

import json
import time
from typing import Any

import httpx
import pytest
from jsonschema import Draft202012Validator, FormatChecker

from app.api.actions import ACTIONS
from app.api.openapi import Schema, document
from app.errors import ErrorCode
from tests.contract.catalogue import CASES, VALID_COMPARE, VALID_DETECT, Case, send
from tests.support.fakes import authorization, code_of
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


def test_the_document_is_served(live_server: Server) -> None:
    response = _get(live_server, "/openapi.json")
    assert response.headers["content-type"] == "application/json"
    assert response.json() == _DOCUMENT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.cause)
def test_error_responses_match_the_schema(live_server: Server, case: Case) -> None:
    assert _response_errors(send(live_server, case)) == []


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
    others: list[object] = ["null", "1.0", "4.0"] if schema["type"] == "string" else [-1, max(schema["enum"]) + 1]
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
