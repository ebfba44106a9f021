"""The OpenAPI 3.1 document, generated from the actions' models and the error catalogue.

OpenAPI has one operation per path and method, so all actions and versions share one, with alternatives for bodies and
replies. The document covers TC3. Its description explains signature v1.
"""

from collections.abc import Iterable, Mapping, Sequence
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
A self-hosted implementation of Tencent Cloud's face recognition API (`iai`). Use the vendor's SDK with the address of
this service as endpoint. `compareface sign A B` prints a signed `curl` command.

This document describes requests signed with `TC3-HMAC-SHA256`, which send the common parameters as headers. The older
signatures `HmacSHA1` and `HmacSHA256` are supported, too. They send `Action`, `Version`, `Timestamp`, `Nonce`,
`SecretId`, `Signature` and the optional `SignatureMethod`, `Token` and `Language` as parameters of the query (GET) or
of a body of type `application/x-www-form-urlencoded` (POST). `X-TC-Region` and `X-TC-RequestClient` have no effect.

Parameter names and JSON types are strict. An unknown name returns `UnknownParameter`, a wrong type
`InvalidParameter`. Null counts as absent. With `COMPAREFACE_WIRE__PARAMETERS=lenient`, unknown names are ignored and
types are converted.

The status of a reply is 200, also for an error. GET and HEAD without an action (`X-TC-Action`, `Action`) and without a
credential (`Authorization`, `SecretId`) call no action: `/` describes the service, and unknown paths get status 404.
"""
_AUTHORIZATION = (
    "`TC3-HMAC-SHA256 Credential=<SecretId>/<date>/iai/tc3_request, SignedHeaders=content-type;host, "
    "Signature=<64 hexadecimal digits>`. Not required if the operator turned authentication off."
)
_CONTENT_TYPES = ("application/json", FORM, "multipart/form-data")
_STRING: Schema = {"type": "string"}
_TRACE_ID: Schema = {"type": "string", "pattern": "^[!-~]{1,128}$", "examples": ["6f1c-a"]}
_REQUEST_ID: Schema = {"type": "string", "format": "uuid", "description": "Identifies the request in the access log."}
_OPTIONAL_HEADERS: dict[str, tuple[str, Schema]] = {
    "X-TC-Token": ("The token of temporary credentials. Only these need it.", _STRING),
    "X-TC-Language": ("Language of error messages. Default: en-US.", {"type": "string", "enum": ["en-US", "zh-CN"]}),
    "X-TC-TraceId": ("An identifier that the reply returns as a header.", _TRACE_ID),
    "X-TC-Content-SHA256": (
        "UNSIGNED-PAYLOAD: the signature does not cover the body.",
        {"type": "string", "enum": ["UNSIGNED-PAYLOAD"]},
    ),
}
_OPERATOR_PATHS: Mapping[str, tuple[str, Schema]] = {
    "healthz": ("Whether the process is alive", {"alive": {"const": True}}),
    "readyz": ("Whether the service accepts requests", {"ready": {"const": True}}),
    "version": (
        "Version, number of server processes, model pack and device",
        {
            "name": _STRING,
            "version": _STRING,
            "server_processes": {"type": "integer", "minimum": 1},
            "engine": {"type": "object"},
        },
    ),
}


def document(actions: Sequence[Action] = ACTIONS) -> Schema:
    """Return the document as a JSON object."""
    requests = _request_models(actions)
    schemas = _schemas(requests)
    headers = _headers(actions)
    body = {"schema": {"anyOf": [_ref(model.__name__) for model in requests]}}
    reply = _json_response(_ref("Reply"), "Always status 200; errors are in the body.")
    reply["headers"] = {"X-TC-TraceId": {"schema": _TRACE_ID}}
    post = {
        "operationId": "post",
        "summary": "Call an action. Every other path works, too.",
        "parameters": headers,
        "requestBody": {"required": True, "content": dict.fromkeys(_CONTENT_TYPES, body)},
        "security": [{"TC3": []}],
        "responses": {"200": reply},
    }
    get = {
        "operationId": "get",
        "summary": "Call an action with its parameters in the query, by default up to 32 KB: enough for image URLs.",
        "parameters": [*headers, *_query(schemas, requests)],
        "security": [{"TC3": []}],
        "responses": {"200": reply},
    }
    signature = {"type": "apiKey", "in": "header", "name": "Authorization", "description": _AUTHORIZATION}
    operators = {f"/{name}": {"get": _operator_operation(name, *path)} for name, path in _OPERATOR_PATHS.items()}
    return {
        "openapi": "3.1.0",
        "info": {"title": "compareface", "version": app.__version__, "description": _DESCRIPTION},
        "servers": [{"url": "/"}],
        "paths": {"/": {"post": post, "get": get}, **operators},
        "components": {"schemas": schemas, "securitySchemes": {"TC3": signature}},
    }


def _request_models(actions: Sequence[Action]) -> dict[type[RequestModel], str]:
    """Return each request model with its title: the actions and versions that use it."""
    uses: dict[type[RequestModel], list[str]] = {}
    for action in actions:
        for version, model in action.models.items():
            uses.setdefault(model, []).append(f"{action.name} {version}")
    return {model: ", ".join(names) for model, names in uses.items()}


def _schemas(requests: Mapping[type[RequestModel], str]) -> Schema:
    """Return all schemas by name."""
    responses = list(dict.fromkeys(get_type_hints(model.perform)["return"] for model in requests))
    _, definitions = models_json_schema(
        [*((model, "validation") for model in requests), *((model, "serialization") for model in responses)],
        ref_template="#/components/schemas/{model}",
        schema_generator=_JsonSchema,
    )
    schemas: Schema = definitions["$defs"]
    for request, title in requests.items():
        schemas[request.__name__]["title"] = title
    for response in responses:
        properties = {**schemas[response.__name__]["properties"], "RequestId": _REQUEST_ID}
        schemas[response.__name__] |= _object_schema(properties)
    error = _object_schema({"Code": _ref("ErrorCode"), "Message": _STRING})
    replies = [*(model.__name__ for model in responses), "Failure"]
    return {
        **schemas,
        "Failure": _object_schema({"Error": error, "RequestId": _REQUEST_ID}),
        "Reply": _object_schema({"Response": {"oneOf": [_ref(name) for name in replies]}}),
        "ErrorCode": {
            "type": "string",
            "description": "Clients may rely on the code. The message may differ from the texts below.",
            "enum": [code.value for code in ErrorCode],
            "x-enumDescriptions": {code.value: code.text.en for code in ErrorCode},
            "x-unsupported": UNSUPPORTED_ERROR_CODES,
        },
    }


class _JsonSchema(GenerateJsonSchema):
    """JSON schemas without titles of fields and without null in requests, where null counts as absent."""

    def field_title_should_be_set(self, schema: object) -> bool:
        return False

    def nullable_schema(self, schema: core_schema.NullableSchema) -> JsonSchemaValue:
        return self.generate_inner(schema["schema"]) if self.mode == "validation" else super().nullable_schema(schema)

    def default_schema(self, schema: core_schema.WithDefaultSchema) -> JsonSchemaValue:
        described = super().default_schema(schema)
        return {name: value for name, value in described.items() if name != "default" or value not in (None, "")}


def _headers(actions: Sequence[Action]) -> list[Schema]:
    names = [action.name for action in actions]
    versions = list(dict.fromkeys(version for action in actions for version in action.models))
    required: dict[str, tuple[str, Schema]] = {
        "X-TC-Action": ("The action to call.", {"type": "string", "enum": names}),
        "X-TC-Version": ("The version of the action's parameters.", {"type": "string", "enum": versions}),
        "X-TC-Timestamp": (
            "Unix time in seconds. By default it may differ from the server's clock by five minutes.",
            {"type": "integer"},
        ),
    }
    return [
        {"name": name, "in": "header", "required": name in required, "description": description, "schema": schema}
        for name, (description, schema) in (required | _OPTIONAL_HEADERS).items()
    ]


def _query(schemas: Schema, requests: Mapping[type[RequestModel], str]) -> list[Schema]:
    """Return the query parameters of all request models. The description lists the models that have the parameter."""
    uses: dict[str, dict[str, Schema]] = {}
    for request, title in requests.items():
        for name, schema in schemas[request.__name__]["properties"].items():
            uses.setdefault(name, {})[title] = schema
    return [
        {"name": name, "in": "query", "description": f"For {', '.join(users)}.", "schema": _any_of(users.values())}
        for name, users in uses.items()
    ]


def _any_of(schemas: Iterable[Schema]) -> Schema:
    first, *others = (distinct := {str(schema): schema for schema in schemas}.values())
    return {"anyOf": [*distinct]} if others else first


def _operator_operation(name: str, summary: str, properties: Schema) -> Schema:
    response = _json_response(_object_schema(properties), "OK")
    return {"operationId": name, "summary": summary, "responses": {"200": response}}


def _json_response(schema: Schema, description: str) -> Schema:
    return {"description": description, "content": {"application/json": {"schema": schema}}}


def _object_schema(properties: Schema) -> Schema:
    return {"type": "object", "properties": properties, "required": list(properties), "additionalProperties": False}


def _ref(name: str) -> Schema:
    return {"$ref": f"#/components/schemas/{name}"}
