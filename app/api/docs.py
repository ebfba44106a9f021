"""``/openapi.json``, and ``/docs``: the same document as one HTML page without scripts or external resources."""

import base64
import hashlib
import json
import re
from collections.abc import Iterable
from functools import cache
from html import escape

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api.openapi import Schema, document

_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
table { border-collapse: collapse; display: block; overflow-x: auto; }
td:first-child { white-space: nowrap; }
td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; vertical-align: top; }
td p { margin: 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
"""
_SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_TYPE_KEYWORDS = ("type", "contentEncoding", "format")
_LIMIT_LABELS = {"minimum": "at least", "maximum": "at most", "maxLength": "maximum length", "default": "default"}


async def openapi(_: Request) -> Response:
    return JSONResponse(_cached_document(), headers=_SECURITY_HEADERS)


async def docs(_: Request) -> Response:
    return HTMLResponse(page(_cached_document()), headers=_SECURITY_HEADERS)


_cached_document = cache(document)


def page(openapi_document: Schema) -> str:
    """Return the HTML page of an OpenAPI document."""
    info, components = openapi_document["info"], openapi_document["components"]
    operations = [
        (f"{method.upper()} {path}", operation)
        for path, methods in openapi_document["paths"].items()
        for method, operation in methods.items()
    ]
    schemes = components["securitySchemes"].values()
    sections = [
        *(_operation_section(title, operation) for title, operation in operations),
        *(f"<h2>{escape(scheme['name'])}</h2>\n{_paragraphs(scheme['description'])}" for scheme in schemes),
        *(_schema_section(name, schema) for name, schema in components["schemas"].items()),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>\n'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>\n{_paragraphs(info['description'])}"
        f'<p><a href="openapi.json">openapi.json</a></p>\n{"".join(sections)}</html>\n'
    )


def _operation_section(title: str, operation: Schema) -> str:
    rows = []
    for parameter in operation.get("parameters", ()):
        location = f"{parameter['in']}, required" if parameter.get("required") else parameter["in"]
        cells = _values(parameter["schema"]), _paragraphs(parameter["description"])
        rows.append((_code(parameter["name"]), location, *cells))
    bodies = {"body": operation.get("requestBody", {"content": {}}), "reply": operation["responses"]["200"]}
    for label, body in bodies.items():
        rows += [(label, "", _values(media["schema"]), name) for name, media in body["content"].items()]
    return f"<h2>{escape(title)}</h2>\n{_paragraphs(operation['summary'])}{_table(rows)}"


def _schema_section(name: str, schema: Schema) -> str:
    properties = schema.get("properties", {}).items()
    rows = [(_code(key), _values(value), _paragraphs(value.get("description", ""))) for key, value in properties]
    rows += [(_code(key), _paragraphs(text), "") for key, text in schema.get("x-enumDescriptions", {}).items()]
    title = escape(schema.get("title", name))
    return f'<h2 id="{escape(name)}">{title}</h2>\n{_paragraphs(schema.get("description", ""))}{_table(rows)}'


def _values(schema: Schema) -> str:
    """Return a short description of the values that a schema allows."""
    if "$ref" in schema:
        name = escape(schema["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if alternatives := schema.get("anyOf", schema.get("oneOf")):
        return " or ".join(map(_values, alternatives))
    if "items" in schema:
        return f"list of {_values(schema['items'])}"
    if "properties" in schema:
        return ", ".join(f"{_code(name)}: {_values(value)}" for name, value in schema["properties"].items())
    words = [schema[keyword] for keyword in _TYPE_KEYWORDS if keyword in schema]
    words += map(json.dumps, schema.get("enum", [schema["const"]] if "const" in schema else ()))
    words += [f"{label} {schema[keyword]}" for keyword, label in _LIMIT_LABELS.items() if keyword in schema]
    return escape(", ".join(words))


def _table(rows: Iterable[Iterable[str]]) -> str:
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table>\n{''.join(lines)}</table>\n"


def _code(name: str) -> str:
    return f"<code>{escape(name)}</code>"


def _paragraphs(text: str) -> str:
    """Return text as HTML paragraphs. Code spans are the only Markdown that the document uses."""
    html = re.sub("`(.+?)`", r"<code>\1</code>", escape(text, quote=False), flags=re.DOTALL)
    return "".join(f"<p>{paragraph}</p>\n" for paragraph in html.split("\n\n") if paragraph)
