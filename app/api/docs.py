"""The OpenAPI document, and a page made of it for people: one file without scripts, which loads nothing."""

from __future__ import annotations

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
_SECURITY = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_FORMAT = ("type", "contentEncoding", "format")
_BOUNDS = {"minimum": "from", "maximum": "to", "maxLength": "characters at most:", "default": "default"}


async def openapi(_: Request) -> Response:
    return JSONResponse(_described(), headers=_SECURITY)


async def docs(_: Request) -> Response:
    return HTMLResponse(page(_described()), headers=_SECURITY)


_described = cache(document)


def page(described: Schema) -> str:
    """Return the page of an OpenAPI document."""
    info, parts = described["info"], described["components"]
    operations = (
        (f"{method.upper()} {path}", of) for path, at in described["paths"].items() for method, of in at.items()
    )
    sections = [
        *(_operation(title, of) for title, of in operations),
        *(f"<h2>{escape(of['name'])}</h2>\n{_text(of['description'])}" for of in parts["securitySchemes"].values()),
        *(_schema(name, of) for name, of in parts["schemas"].items()),
    ]
    return (
        f'<!doctype html>\n<html lang="en"><meta charset="utf-8"><title>{escape(info["title"])}</title>'
        f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>\n'
        f"<h1>{escape(info['title'])} {escape(info['version'])}</h1>\n{_text(info['description'])}"
        f'<p><a href="openapi.json">openapi.json</a></p>\n{"".join(sections)}</html>\n'
    )


def _operation(title: str, of: Schema) -> str:
    rows = []
    for each in of.get("parameters", ()):
        place = f"{each['in']}, required" if each.get("required") else each["in"]
        rows.append((_code(each["name"]), place, _values(each["schema"]), _text(each["description"])))
    for what, body in (("body", of.get("requestBody")), ("reply", of["responses"]["200"])):
        rows += [
            (what, "", _values(each["schema"]), name) for name, each in (body or {"content": {}})["content"].items()
        ]
    return f"<h2>{escape(title)}</h2>\n{_text(of['summary'])}{_table(rows)}"


def _schema(name: str, of: Schema) -> str:
    properties = of.get("properties", {}).items()
    rows = [(_code(key), _values(each), _text(each.get("description", ""))) for key, each in properties]
    rows += [(_code(key), _text(text), "") for key, text in of.get("x-enumDescriptions", {}).items()]
    title = escape(of.get("title", name))
    return f'<h2 id="{escape(name)}">{title}</h2>\n{_text(of.get("description", ""))}{_table(rows)}'


def _values(of: Schema) -> str:
    """Return the values that a schema allows, in a few words."""
    if "$ref" in of:
        name = escape(of["$ref"].rpartition("/")[2])
        return f'<a href="#{name}">{name}</a>'
    if alternatives := of.get("anyOf", of.get("oneOf")):
        return " or ".join(map(_values, alternatives))
    if "items" in of:
        return f"list of {_values(of['items'])}"
    if "properties" in of:
        return ", ".join(f"{_code(name)}: {_values(each)}" for name, each in of["properties"].items())
    words = [of[name] for name in _FORMAT if name in of]
    words += map(json.dumps, of.get("enum", [of["const"]] if "const" in of else ()))
    words += [f"{label} {of[name]}" for name, label in _BOUNDS.items() if name in of]
    return escape(", ".join(words))


def _table(rows: Iterable[Iterable[str]]) -> str:
    lines = (f"<tr>{''.join(f'<td>{cell}</td>' for cell in row)}</tr>\n" for row in rows)
    return f"<table>\n{''.join(lines)}</table>\n"


def _code(name: str) -> str:
    return f"<code>{escape(name)}</code>"


def _text(text: str) -> str:
    """Return paragraphs; of Markdown, code is all that the document uses."""
    html = re.sub("`(.+?)`", r"<code>\1</code>", escape(text, quote=False), flags=re.DOTALL)
    return "".join(f"<p>{paragraph}</p>\n" for paragraph in html.split("\n\n") if paragraph)
