"""``/openapi.json``, and ``/docs``: the same document as one HTML page without scripts or external resources.

The page exists in English and Chinese. ``docs.zh-CN.json`` translates each paragraph and label, ``app/errors.py`` each
error message.
"""

import base64
import hashlib
import json
import re
from collections.abc import Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path

from starlette.requests import Request
from starlette.responses import HTMLResponse, JSONResponse, Response

from app.api.openapi import Schema, document
from app.errors import ErrorCode

ENGLISH, CHINESE = LANGUAGES = ("en-US", "zh-CN")
_CHINESE_TEXTS = Path(__file__).with_name("docs.zh-CN.json")
_STYLE = """
:root { color-scheme: light dark; font: 1rem/1.5 system-ui, sans-serif; }
body { background: Canvas; color: CanvasText; overflow-wrap: break-word; }
body { max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
h2 { margin-top: 2.5rem; }
a { color: #1b57c2; }
@media (prefers-color-scheme: dark) { a { color: #8ab4ff; } }
nav ul { columns: 15rem; }
table { border-collapse: collapse; width: 100%; }
th, td { border-bottom: 1px solid #8886; padding: .3rem .8rem .3rem 0; vertical-align: top; text-align: left; }
td:first-child { white-space: nowrap; }
td p { margin: 0; }
code { font-size: .9em; overflow-wrap: anywhere; }
pre { padding: .8rem; border: 1px solid #8886; white-space: pre-wrap; overflow-wrap: anywhere; }
@media (max-width: 40rem) {
  table, tbody, tr, td { display: block; } thead { display: none; }
  tr { border-bottom: 1px solid #8886; padding: .4rem 0; }
  td { border: 0; padding: 0; } td:first-child { font-weight: 600; white-space: normal; }
}
"""
_SECURITY_HEADERS = {
    "content-security-policy": "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
    f"style-src 'sha256-{base64.b64encode(hashlib.sha256(_STYLE.encode()).digest()).decode()}'",
    "referrer-policy": "no-referrer",
    "x-content-type-options": "nosniff",
}
_PUNCTUATION = {ENGLISH: (", ", ", ", ": "), CHINESE: ("，", "、", "：")}
"""Comma between phrases, comma between items of a list, colon."""
_TYPE_KEYWORDS = ("type", "contentEncoding", "format")
_LIMIT_LABELS = {"minimum": "at least", "maximum": "at most", "maxLength": "maximum length", "default": "default"}
_EXAMPLE_ERROR = ErrorCode.QUALITY_CONTROL_ILLEGAL
_REQUEST_ID = "7c1f6f1e-6a0e-4f2b-9d53-0d7a3a9f6f10"
_URLS = {"UrlA": "https://images.example/a.jpg", "UrlB": "https://images.example/b.jpg"}
EXAMPLES: tuple[tuple[str, str, Schema, Schema], ...] = (
    ("A comparison", "CompareFace", _URLS, {"Score": 95.96, "FaceModelVersion": "3.0"}),
    (
        "An error",
        "CompareFace",
        {**_URLS, "QualityControl": 5},
        {"Error": {"Code": _EXAMPLE_ERROR.value, "Message": _EXAMPLE_ERROR.text.en}},
    ),
)
"""Title, action, body and response of each example; the page adds headers and RequestId."""


async def openapi(_: Request) -> Response:
    return JSONResponse(_cached_document(), headers=_SECURITY_HEADERS)


async def docs(request: Request) -> Response:
    """Return the page in the language of the query, else in that of the browser, else in English."""
    language = request.query_params.get("language") or request.headers.get("accept-language", "")
    is_chinese = language.lower().startswith("zh")
    headers = _SECURITY_HEADERS | {"vary": "accept-language"}
    return HTMLResponse(_cached_page(CHINESE if is_chinese else ENGLISH), headers=headers)


_cached_document = cache(document)


@cache
def _cached_page(language: str) -> str:
    return page(_cached_document(), language)


@cache
def translations() -> Mapping[str, str]:
    """Return the Chinese text of each English paragraph, label and error message."""
    texts: dict[str, str] = json.loads(_CHINESE_TEXTS.read_text(encoding="utf-8"))
    return texts | dict(code.text for code in ErrorCode)


def page(openapi_document: Schema, language: str = ENGLISH) -> str:
    """Return the HTML page of an OpenAPI document in one of :data:`LANGUAGES`."""
    return _Page(openapi_document, language).html()


class _Page:
    def __init__(self, openapi_document: Schema, language: str) -> None:
        self._document, self._language = openapi_document, language
        self._texts = translations() if language == CHINESE else {}
        self._comma, self._list_comma, self._colon = _PUNCTUATION[language]

    def html(self) -> str:
        info = self._document["info"]
        title = f"{escape(info['title'])} {escape(info['version'])}"
        sections = self._sections()
        contents = "".join(f'<li><a href="#{name}">{heading}</a>\n' for name, (heading, _) in sections.items())
        body = "".join(f'<h2 id="{name}">{heading}</h2>\n{html}' for name, (heading, html) in sections.items())
        other, label = (ENGLISH, "English") if self._language == CHINESE else (CHINESE, "中文")
        return (
            f'<!doctype html>\n<html lang="{self._language}"><meta charset="utf-8"><title>{title}</title>'
            f'<meta name="viewport" content="width=device-width"><style>{_STYLE}</style>\n'
            f'<main><h1>{title}</h1>\n<p><a href="openapi.json">openapi.json</a> · '
            f'<a href="docs?language={other}" lang="{other}">{label}</a></p>\n'
            f"{self._paragraphs(info['description'])}<nav><h2>{self._text('Contents')}</h2>\n<ul>{contents}</ul></nav>\n"
            f"{body}</main></html>\n"
        )

    def _sections(self) -> dict[str, tuple[str, str]]:
        """Return heading and content of all sections by their anchor; all are HTML."""
        sections = {"Examples": (self._text("Examples"), "".join(self._example(*example) for example in EXAMPLES))}
        for path, methods in self._document["paths"].items():
            for method, operation in methods.items():
                name = re.sub(r"\W", "_", f"{method}{path}")
                sections[name] = escape(f"{method.upper()} {path}"), self._operation(operation)
        components = self._document["components"]
        for name, scheme in components["securitySchemes"].items():
            sections[escape(name)] = escape(scheme["name"]), self._paragraphs(scheme["description"])
        for name, schema in components["schemas"].items():
            sections[escape(name)] = escape(schema.get("title", name)), self._schema(schema)
        return sections

    def _example(self, title: str, action: str, body: Schema, response: Schema) -> str:
        if error := response.get("Error"):
            response = {"Error": {**error, "Message": self._translated(error["Message"])}}
        reply = {"Response": {**response, "RequestId": _REQUEST_ID}}
        head = _request_head(action, self._language)
        return (
            f"<h3>{self._text(title)}</h3>\n"
            f"<p>{self._text('Request')}</p>\n<pre>{head}\n\n{escape(_json(body))}</pre>\n"
            f"<p>{self._text('Reply')}</p>\n<pre>{escape(_json(reply))}</pre>\n"
        )

    def _operation(self, operation: Schema) -> str:
        rows = []
        for parameter in operation.get("parameters", ()):
            location = self._text(parameter["in"])
            location += f"{self._comma}{self._text('required')}" if parameter.get("required") else ""
            values, description = self._values(parameter["schema"]), self._paragraphs(parameter["description"])
            rows.append((_code(parameter["name"]), location, values, description))
        bodies = {"body": operation.get("requestBody", {"content": {}}), "reply": operation["responses"]["200"]}
        for label, body in bodies.items():
            for name, media in body["content"].items():
                rows.append((self._text(label), "", self._values(media["schema"]), name))
        return self._paragraphs(operation["summary"]) + self._table(("name", "where", "values", "meaning"), rows)

    def _schema(self, schema: Schema) -> str:
        description = self._paragraphs(schema.get("description", ""))
        if texts := schema.get("x-enumDescriptions"):
            return description + self._table(
                ("code", "message"), [(_code(key), self._paragraphs(text)) for key, text in texts.items()]
            )
        rows = [
            (_code(key), self._values(value), self._paragraphs(value.get("description", "")))
            for key, value in schema["properties"].items()
        ]
        return description + self._table(("name", "values", "meaning"), rows)

    def _values(self, schema: Schema) -> str:
        """Return a short description of the values that a schema allows."""
        if "$ref" in schema:
            name = escape(schema["$ref"].rpartition("/")[2])
            return f'<a href="#{name}">{name}</a>'
        if alternatives := schema.get("anyOf", schema.get("oneOf")):
            return f" {self._text('or')} ".join(dict.fromkeys(map(self._values, alternatives)))
        if "items" in schema:
            return self._text("list of {}").format(self._values(schema["items"]))
        if "properties" in schema:
            properties = schema["properties"].items()
            return self._comma.join(f"{_code(name)}{self._colon}{self._values(value)}" for name, value in properties)
        words = [schema[keyword] for keyword in _TYPE_KEYWORDS if keyword in schema]
        if constants := schema.get("enum", [schema["const"]] if "const" in schema else ()):
            words.append(self._list_comma.join(map(json.dumps, constants)))
        words += [
            f"{self._translated(label)} {json.dumps(schema[key])}"
            for key, label in _LIMIT_LABELS.items()
            if key in schema
        ]
        return escape(self._comma.join(words))

    def _table(self, head: Iterable[str], rows: Iterable[Iterable[str]]) -> str:
        titles = "".join(f'<th scope="col">{self._text(title)}' for title in head)
        lines = (f"<tr>{''.join(f'<td>{cell}' for cell in row)}\n" for row in rows)
        return f"<table><thead><tr>{titles}<tbody>\n{''.join(lines)}</table>\n"

    def _text(self, text: str) -> str:
        """Return ``text`` in the language of the page, as HTML. Code spans are the only Markdown in the document."""
        return re.sub("`(.+?)`", r"<code>\1</code>", escape(self._translated(text), quote=False))

    def _translated(self, text: str) -> str:
        if users := re.fullmatch(r"For (.+)\.", text):  # the description of a query parameter
            return self._texts.get("For {}.", "For {}.").format(users[1].replace(", ", self._list_comma))
        return self._texts.get(text, text)

    def _paragraphs(self, text: str) -> str:
        paragraphs = (" ".join(paragraph.split()) for paragraph in text.split("\n\n"))
        return "".join(f"<p>{self._text(paragraph)}</p>\n" for paragraph in paragraphs if paragraph)


def _request_head(action: str, language: str) -> str:
    return (
        "POST / HTTP/1.1\nHost: 127.0.0.1:8000\nContent-Type: application/json\n"
        f"X-TC-Action: {action}\nX-TC-Version: 2020-03-03\nX-TC-Timestamp: 1700000000\n"
        f"X-TC-Language: {language}\n"
        "Authorization: TC3-HMAC-SHA256 Credential=my-id/2023-11-14/iai/tc3_request, "
        "SignedHeaders=content-type;host, Signature=…"
    )


def _json(value: Schema) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False)


def _code(name: str) -> str:
    return f"<code>{escape(name)}</code>"
