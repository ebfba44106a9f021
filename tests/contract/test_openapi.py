"""The OpenAPI document, checked against the service that serves it."""

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
from tests.contract.catalogue import CASES, GOOD, ONE, Case, send
from tests.support.fakes import COMMON, OPEN, authorization, client_of, code_of
from tests.support.server import Server

_DOCUMENT = document()
_SCHEMAS: Schema = _DOCUMENT["components"]["schemas"]
_POST: Schema = _DOCUMENT["paths"]["/"]["post"]
_GET: Schema = _DOCUMENT["paths"]["/"]["get"]
_HEADERS: dict[str, Schema] = {each["name"]: each for each in _POST["parameters"]}
_CALLS = {
    (action.name, version): _SCHEMAS[model.__name__] for action in ACTIONS for version, model in action.models.items()
}
_GOOD = {"CompareFace": GOOD, "DetectFace": ONE}
_PARAMETERS = [(*call, name) for call, schema in _CALLS.items() for name in schema["properties"]]
_OF_ANOTHER_TYPE = {"string": [1, 1.5, True, [], {}], "integer": ["1", 1.5, True, [], {}]}


def _schema(action: str, version: str, name: str) -> Schema:
    described: Schema = _CALLS[action, version]["properties"][name]
    return described


def _complaints(schema: Schema, value: object) -> list[str]:
    whole = {**schema, "components": _DOCUMENT["components"]}
    return [error.message for error in Draft202012Validator(whole, format_checker=FormatChecker()).iter_errors(value)]


def _reply_complaints(reply: httpx.Response) -> list[str]:
    assert reply.status_code == 200
    described = _POST["responses"]["200"]["content"]
    return _complaints(described[reply.headers["content-type"]]["schema"], reply.json())


def _example(name: str, schema: Schema, pictures: str) -> Any:
    """Return a value of the schema: its own, or one that this service can use."""
    if name.startswith("Image"):
        return GOOD["ImageA"]
    if name.startswith("Url"):
        return f"{pictures}/astronaut.jpg"
    return [*schema.get("examples", ()), *schema.get("enum", ())][0]


def _call(server: Server, action: str, version: str, **parameters: Any) -> str:
    case = Case(
        ErrorCode.SERVER_ERROR, "", {**_GOOD[action], **parameters}, {"X-TC-Action": action, "X-TC-Version": version}
    )
    reply = send(server, case)
    assert _reply_complaints(reply) == []
    return code_of(reply)


def _get(server: Server, path: str, **headers: str) -> httpx.Response:
    return httpx.get(f"http://{server.endpoint}{path}", headers=headers, timeout=30, trust_env=False)


def test_the_document_is_valid() -> None:
    validate(_DOCUMENT)


def test_the_document_is_what_is_served(live: Server) -> None:
    reply = _get(live, "/openapi.json")
    assert reply.headers["content-type"] == "application/json"
    assert reply.json() == _DOCUMENT


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.words)
def test_errors_are_as_described(live: Server, case: Case) -> None:
    assert _reply_complaints(send(live, case)) == []


def test_anything_else_is_not_as_described() -> None:
    request_id = "a8eb4545-a154-4f86-9510-57a8be9cae0c"
    good = {"Score": 50.0, "FaceModelVersion": "3.0", "RequestId": request_id}
    error = {"Code": "MissingParameter", "Message": ""}
    for response in (
        {**good, "RequestId": "1"},
        {**good, "Error": error},
        {**good, "Score": "50"},
        {"Error": {**error, "Code": "InternalError"}, "RequestId": request_id},
    ):
        assert _complaints({"$ref": "#/components/schemas/Reply"}, {"Response": response}) != []
    assert _complaints({"$ref": "#/components/schemas/Reply"}, {"Response": good}) == []


def test_the_codes_are_those_of_the_catalogue() -> None:
    described = _SCHEMAS["ErrorCode"]
    assert described["enum"] == [code.value for code in ErrorCode]
    texts = {code.value: f"{code.text.en} {code.text.zh}" for code in ErrorCode}
    assert described["x-enumDescriptions"] == texts


@pytest.mark.parametrize(("action", "version", "name"), _PARAMETERS)
def test_described_parameters_are_accepted(live: Server, pictures: str, action: str, version: str, name: str) -> None:
    schema = _schema(action, version, name)
    value = _example(name, schema, pictures)
    assert schema["description"]
    assert _complaints(schema, value) == []
    assert _call(live, action, version, **{name: value}) == "OK"
    assert _call(live, action, version, **{name: None}) in {"OK", ErrorCode.IMAGE_EMPTY}


@pytest.mark.parametrize(("action", "version", "name"), _PARAMETERS)
def test_described_types_are_enforced(live: Server, action: str, version: str, name: str) -> None:
    schema = _schema(action, version, name)
    for value in _OF_ANOTHER_TYPE[schema["type"]]:
        assert _complaints(schema, value) != []
        assert _call(live, action, version, **{name: value}) == ErrorCode.INVALID_PARAMETER


@pytest.mark.parametrize(("action", "version"), _CALLS)
def test_parameters_that_are_not_described_are_unknown(live: Server, action: str, version: str) -> None:
    described = _CALLS[action, version]["properties"]
    others = {name for _, _, name in _PARAMETERS} | {"Region", "Action", "imageA", "$schema"}
    for name in others - set(described):
        assert _call(live, action, version, **{name: 1}) == ErrorCode.UNKNOWN_PARAMETER


@pytest.mark.parametrize(("action", "version", "name"), [each for each in _PARAMETERS if "enum" in _schema(*each)])
def test_values_that_are_not_described_are_refused(live: Server, action: str, version: str, name: str) -> None:
    schema = _schema(action, version, name)
    others: list[object] = ["", "1.0", "4.0"] if schema["type"] == "string" else [-1, max(schema["enum"]) + 1]
    for value in others:
        assert _complaints(schema, value) != []
        assert _call(live, action, version, **{name: value}).startswith("InvalidParameter")


@pytest.mark.parametrize("media_type", _POST["requestBody"]["content"])
def test_described_bodies_are_accepted(live: Server, media_type: str) -> None:
    if media_type == "application/json":
        body, sent = json.dumps(GOOD).encode(), media_type
    elif media_type == "multipart/form-data":
        made = httpx.Request("POST", "http://x", files={name: text.encode() for name, text in GOOD.items()})
        body, sent = made.read(), made.headers["content-type"]
    else:
        body, sent = httpx.Request("POST", "http://x", data=GOOD).read(), media_type
    assert code_of(send(live, Case(ErrorCode.SERVER_ERROR, "", body, {"Content-Type": sent}))) == "OK"


@pytest.mark.parametrize("header", [*_HEADERS, "Authorization"])
def test_headers_are_required_as_described(live: Server, header: str) -> None:
    required = header == "Authorization" or _HEADERS[header]["required"]
    code = code_of(send(live, Case(ErrorCode.SERVER_ERROR, "", headers={header: ""})))
    assert code == (ErrorCode.MISSING_PARAMETER if required else "OK")


@pytest.mark.parametrize("header", [name for name, each in _HEADERS.items() if not each["required"]])
def test_described_headers_have_their_effect(live: Server, header: str) -> None:
    schema = _HEADERS[header]["schema"]
    value = "x" if schema == {"type": "string"} else _example(header, schema, "")
    assert _complaints(schema, value) == []
    reply = send(live, Case(ErrorCode.SERVER_ERROR, "", headers={header: value}))
    wanted = {
        "X-TC-Token": ErrorCode.TOKEN_FAILURE,  # a permanent key has none
        "X-TC-Content-SHA256": ErrorCode.SIGNATURE_FAILURE,  # the body was signed
    }
    assert code_of(reply) == wanted.get(header, "OK")
    if header in _POST["responses"]["200"]["headers"]:
        assert reply.headers[header] == value


@pytest.mark.parametrize(("action", "version"), _CALLS)
def test_the_query_is_as_described(live: Server, pictures: str, action: str, version: str) -> None:
    query = {each["name"]: each["schema"] for each in _GET["parameters"] if each["in"] == "query"}
    assert query.keys() == {name for _, _, name in _PARAMETERS}
    own = _CALLS[action, version]["properties"].items()
    sent = {name: _example(name, schema, pictures) for name, schema in own if not name.startswith("Image")}
    text = str(httpx.QueryParams(sent))
    timestamp = int(time.time())
    signed = authorization(
        method="GET",
        query=text,
        host=live.endpoint,
        timestamp=timestamp,
        content_type="application/x-www-form-urlencoded",
        secret_id=live.secret_id,
        secret_key=live.secret_key,
    )
    named = {"X-TC-Action": action, "X-TC-Version": version}
    common = {**named, "X-TC-Timestamp": str(timestamp), "Authorization": signed}
    reply = _get(live, f"/?{text}", **common, **{"Content-Type": "application/x-www-form-urlencoded"})
    assert (code_of(reply), _reply_complaints(reply)) == ("OK", [])


@pytest.mark.parametrize("path", [path for path in _DOCUMENT["paths"] if path != "/"])
def test_operators_addresses_are_as_described(live: Server, path: str) -> None:
    described = _DOCUMENT["paths"][path]["get"]["responses"]["200"]["content"]["application/json"]["schema"]
    assert _complaints(described, _get(live, path).json()) == []


def test_the_page_names_everything(live: Server) -> None:
    reply = _get(live, "/docs")
    assert reply.headers["content-type"] == "text/html; charset=utf-8"
    names = {*_HEADERS, "Authorization", *ErrorCode, *(name for _, _, name in _PARAMETERS), "Score", "RequestId"}
    assert [name for name in sorted(names) if f">{name}<" not in reply.text] == []
    assert [path for path in _DOCUMENT["paths"] if path not in reply.text] == []


def test_the_page_loads_nothing_and_runs_nothing(live: Server) -> None:
    reply = _get(live, "/docs")
    targets = re.findall(r"(?:src|href|action|content)\s*=\s*[\"']?([^\"'\s>]+)", reply.text)
    anchors = {f"#{name}" for name in re.findall(r'id="(\w+)"', reply.text)}
    assert set(targets) <= {"openapi.json", "width=device-width", *anchors}
    assert re.search(r"<script|<link|<iframe|@import|url\(|\son\w+=|style=|https?:", reply.text) is None
    assert reply.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert reply.headers["x-content-type-options"] == "nosniff"


def test_the_page_escapes_what_it_shows() -> None:
    described = json.loads(json.dumps(_DOCUMENT).replace("Score", "<script>"))
    assert "<script>" not in page(described)
    assert "&lt;script&gt;" in page(described)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_every_method_but_get_is_a_cloud_request(path: str) -> None:
    async with client_of(OPEN) as client:
        assert code_of(await client.post(path, json=GOOD, headers=COMMON)) == "OK"
        assert code_of(await client.put(path)) == ErrorCode.UNSUPPORTED_PROTOCOL


class _Sight(ResponseModel):
    """What was seen."""

    faces: list[int] | None


class _DetectCats(RequestModel):
    """One picture."""

    image: str = ""
    url_a: int = 0

    async def perform(self, *_: object) -> _Sight:
        raise NotImplementedError


def test_a_new_action_is_described_without_a_word() -> None:
    cats = Action("DetectCats", {"2020-03-03": _DetectCats, "2018-03-01": _DetectCats})
    described = document([*ACTIONS, cats])
    validate(described)
    post, get = (described["paths"]["/"][method] for method in ("post", "get"))
    headers = {each["name"]: each["schema"] for each in post["parameters"]}
    assert headers["X-TC-Action"]["enum"] == ["CompareFace", "DetectFace", "DetectCats"]
    query = {each["name"]: each for each in get["parameters"]}
    assert query["Image"]["description"].endswith(", DetectCats 2020-03-03, DetectCats 2018-03-01.")
    assert [each["type"] for each in query["UrlA"]["schema"]["anyOf"]] == ["string", "integer"]
    sight = described["components"]["schemas"]["_Sight"]
    assert sight["required"] == ["Faces", "RequestId"]
    assert {"type": "null"} in sight["properties"]["Faces"]["anyOf"]
    assert "list of integer" in page(described)
