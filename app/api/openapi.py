"""The OpenAPI 3.1 document: what the actions' models and the error catalogue say, and how a request carries it.

In: the actions. Out: a JSON object. A new action is in it without a line here. OpenAPI knows one operation per address
and method, so all actions and versions share one, with alternatives for bodies and replies. It describes the newer
dialect; the older one, whose common parameters are among the action's, is told in words.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeAlias, get_type_hints

from pydantic.json_schema import GenerateJsonSchema, JsonSchemaValue, models_json_schema
from pydantic_core import core_schema

import app
from app.api.actions import ACTIONS
from app.api.actions.base import Action, RequestModel
from app.api.request import FORM
from app.api.unsupported import UNSUPPORTED_ERROR_CODES
from app.errors import ErrorCode

Schema: TypeAlias = dict[str, Any]

_DESCRIPTION = """\
Answers the requests of Tencent Cloud's face recognition (`iai`). Use the vendor's SDK with this service as its
endpoint; `compareface sign A B` prints a signed `curl` command.

What is described here has a signature `TC3-HMAC-SHA256` and its common parameters in headers. The older `HmacSHA1` and
`HmacSHA256` work, too: `Action`, `Version`, `Timestamp`, `Nonce`, `SecretId`, `Signature` and, where wanted,
`SignatureMethod`, `Token` and `Language` are then among the parameters of the query (GET) or of a body of the type
`application/x-www-form-urlencoded` (POST). `X-TC-Region` and `X-TC-RequestClient` are not read.

Names and JSON types are strict: another name is `UnknownParameter`, another type `InvalidParameter`; null counts as
absent. With `COMPAREFACE_WIRE__PARAMETERS=lenient` other names are ignored and types converted.
"""
_SIGNATURE = (
    "`TC3-HMAC-SHA256 Credential=<SecretId>/<date>/iai/tc3_request, SignedHeaders=content-type;host, "
    "Signature=<64 hexadecimal digits>`. Not asked for where the operator lets everybody in."
)
_TEXT: Schema = {"type": "string"}
_TRACE_ID: Schema = {"type": "string", "pattern": "^[!-~]{1,128}$", "examples": ["6f1c-a"]}
_REQUEST_ID: Schema = {"type": "string", "format": "uuid", "description": "Names the request in the log."}
_HEADERS: Mapping[str, tuple[str, Schema]] = {
    "X-TC-Timestamp": (
        "Unix time in seconds; five minutes off is too much, unless set otherwise.",
        {"type": "integer"},
    ),
    "X-TC-Token": ("What belongs to temporary credentials; needed with these only.", _TEXT),
    "X-TC-Language": ("Of error messages; English where absent.", {"type": "string", "enum": ["en-US", "zh-CN"]}),
    "X-TC-TraceId": ("Comes back as a header of the reply.", _TRACE_ID),
    "X-TC-Content-SHA256": ("The signature leaves the body out.", {"type": "string", "enum": ["UNSIGNED-PAYLOAD"]}),
}
_OPERATORS: Mapping[str, tuple[str, Schema]] = {
    "healthz": ("The process is alive", {"alive": {"const": True}}),
    "readyz": ("It takes requests", {"ready": {"const": True}}),
    "version": ("What is running", {"name": _TEXT, "version": _TEXT, "engine": {"type": "object"}}),
}


class _JsonSchema(GenerateJsonSchema):
    """Parameters are never null, for that counts as absent; names of fields need no titles."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"]) if self.mode == "validation" else super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {name: value for name, value in described.items() if name != "default" or value not in (None, "")}


def document(actions: Iterable[Action] = ACTIONS) -> Schema:
    """Return the document."""
    actions = tuple(actions)
    schemas, calls = _schemas(actions)
    headers = _headers(actions)
    body = {"schema": {"anyOf": [_ref(call) for call in calls]}}
    cloud: Schema = {"security": [{"TC3": []}], "responses": {"200": _replied(_ref("Reply"), "Status 200, always.")}}
    cloud["responses"]["200"]["headers"] = {"X-TC-TraceId": {"schema": _TRACE_ID}}
    post: Schema = {
        "operationId": "post",
        "summary": "Ask for an action; any other path will do, too",
        "parameters": headers,
        "requestBody": {
            "required": True,
            "content": dict.fromkeys(("application/json", FORM, "multipart/form-data"), body),
        },
        **cloud,
    }
    get: Schema = {
        "operationId": "get",
        "summary": "The same with the parameters in the query: 32 KB, enough for URLs",
        "parameters": [*headers, *_query(schemas, calls)],
        **cloud,
    }
    signature = {"type": "apiKey", "in": "header", "name": "Authorization", "description": _SIGNATURE}
    return {
        "openapi": "3.1.0",
        "info": {"title": "compareface", "version": app.__version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {"/": {"post": post, "get": get}, **{f"/{name}": {"get": _operators(name)} for name in _OPERATORS}},
        "components": {"schemas": schemas, "securitySchemes": {"TC3": signature}},
    }


def _schemas(actions: tuple[Action, ...]) -> tuple[Schema, list[str]]:
    """Return all schemas by name, and the names of those that are an action's parameters."""
    titles: dict[type[RequestModel], list[str]] = {}
    for action in actions:
        for version, model in action.models.items():
            titles.setdefault(model, []).append(f"{action.name} {version}")
    answers = dict.fromkeys(get_type_hints(model.perform)["return"] for model in titles)
    _, definitions = models_json_schema(
        [*((model, "validation") for model in titles), *((answer, "serialization") for answer in answers)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_JsonSchema,
    )
    schemas: Schema = definitions["$defs"]
    for model, names in titles.items():
        schemas[model.__name__]["title"] = ", ".join(names)
    for answer in answers:
        described = schemas[answer.__name__]
        schemas[answer.__name__] = described | _closed({**described["properties"], "RequestId": _REQUEST_ID})
    error = _closed({"Code": _ref("ErrorCode"), "Message": _TEXT})
    replies = [*(answer.__name__ for answer in answers), "Failure"]
    return {
        **schemas,
        "Failure": _closed({"Error": error, "RequestId": _REQUEST_ID}),
        "Reply": _closed({"Response": {"oneOf": [_ref(name) for name in replies]}}),
        "ErrorCode": {
            "type": "string",
            "description": "The code is contract, its text is not: it may say more.",
            "enum": [code.value for code in ErrorCode],
            "x-enumDescriptions": {code.value: f"{code.text.en} {code.text.zh}" for code in ErrorCode},
            "x-unanswered": {code: group.reason for group in UNSUPPORTED_ERROR_CODES for code in group.codes},
        },
    }, [model.__name__ for model in titles]


def _headers(actions: tuple[Action, ...]) -> list[Schema]:
    names = [action.name for action in actions]
    versions = list(dict.fromkeys(version for action in actions for version in action.models))
    headers = {
        "X-TC-Action": ("What is asked for.", {"type": "string", "enum": names}),
        "X-TC-Version": ("Of the action's parameters.", {"type": "string", "enum": versions}),
        **_HEADERS,
    }
    required = {"X-TC-Action", "X-TC-Version", "X-TC-Timestamp"}
    return [
        {"name": name, "in": "header", "required": name in required, "description": text, "schema": schema}
        for name, (text, schema) in headers.items()
    ]


def _query(schemas: Schema, calls: Iterable[str]) -> list[Schema]:
    """Return the parameters of all calls, each with the calls that have it."""
    owners: dict[str, dict[str, Schema]] = {}
    for call in calls:
        for name, schema in schemas[call]["properties"].items():
            owners.setdefault(name, {})[schemas[call]["title"]] = schema
    return [
        {"name": name, "in": "query", "description": f"Of {', '.join(of)}.", "schema": _any_of(of.values())}
        for name, of in owners.items()
    ]


def _any_of(schemas: Iterable[Schema]) -> Schema:
    first, *others = (different := {str(schema): schema for schema in schemas}.values())
    return {"anyOf": [*different]} if others else first


def _operators(name: str) -> Schema:
    summary, properties = _OPERATORS[name]
    return {"operationId": name, "summary": summary, "responses": {"200": _replied(_closed(properties), "Yes.")}}


def _replied(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _closed(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
