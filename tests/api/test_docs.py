"""The page ``/docs``: its content, its escaping, and its safety."""

import json
import re
from html import escape
from pathlib import Path

import httpx
import jsonschema
import pytest

from app.api import docs
from app.api.actions import ACTIONS
from app.api.docs import CHINESE, ENGLISH, EXAMPLES, LANGUAGES, page
from app.api.openapi import document
from app.errors import ErrorCode
from tests.support.fakes import COMMON, OPEN, client_of, code_of

_DOCUMENT = document()


async def _docs(language: str = ENGLISH) -> httpx.Response:
    async with client_of(OPEN) as client:
        return await client.get("/docs", headers={"accept-language": language})


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_names_all_headers_codes_parameters_and_paths(language: str) -> None:
    response = await _docs(language)
    assert f'<html lang="{language}">' in response.text
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    headers = [header["name"] for header in _DOCUMENT["paths"]["/"]["post"]["parameters"]]
    models = [model for action in ACTIONS for model in action.models.values()]
    parameters = [field.alias for model in models for field in model.model_fields.values()]
    names = {*headers, "Authorization", *ErrorCode, *parameters, "Score", "RequestId"}
    assert [name for name in names if f">{name}<" not in response.text] == []
    assert [path for path in _DOCUMENT["paths"] if path not in response.text] == []


@pytest.mark.parametrize("language", LANGUAGES)
async def test_the_page_loads_and_runs_nothing(language: str) -> None:
    response = await _docs(language)
    targets = re.findall(r"(?:src|href|action|content)\s*=\s*[\"']?([^\"'\s>]+)", response.text)
    anchors = {f"#{name}" for name in re.findall(r'id="(\w+)"', response.text)}
    others = {f"docs?language={other}" for other in LANGUAGES if other != language}
    assert set(targets) <= {"openapi.json", "width=device-width", *anchors, *others}
    assert re.search(r"<script|<link|<iframe|@import|url\(|\son\w+=|style=", response.text) is None
    assert response.headers["content-security-policy"].startswith("default-src 'none'; ")
    assert response.headers["x-content-type-options"] == "nosniff"


def test_the_contents_list_has_every_section() -> None:
    html = page(_DOCUMENT)
    anchors = re.findall(r'<h2 id="(\w+)">', html)
    assert {"Examples", "post_", "get_version", "TC3", "ErrorCode"} <= set(anchors)
    assert re.findall(r'<li><a href="#(\w+)">', html) == anchors


def test_every_table_has_headers_for_its_columns() -> None:
    tables = re.findall("<table>.*?</table>", page(_DOCUMENT), flags=re.DOTALL)
    assert len(tables) > 10
    for table in tables:
        head, *rows = table.split("<tr>")[1:]
        assert {row.count("<td>") for row in rows} == {head.count('<th scope="col">')}


def test_examples_agree_with_the_document() -> None:
    schemas = {"components": {"schemas": _DOCUMENT["components"]["schemas"]}}

    def is_valid(name: str, value: object) -> bool:
        schema = {"$ref": f"#/components/schemas/{name}", **schemas}
        return bool(jsonschema.Draft202012Validator(schema).is_valid(value))

    assert len(EXAMPLES) == 2
    for title, action, body, response in EXAMPLES:
        assert is_valid(f"{action}20200303", body) == (title != "An error")
        assert is_valid("Reply", {"Response": {**response, "RequestId": "x"}})
        assert escape(json.dumps(body, indent=2)) in page(_DOCUMENT)


def _structure(html: str) -> str:
    """Return the tags of the page, without the language and the code spans of error messages."""
    without_text = re.sub(">[^<]*<", "><", re.sub("</?code>", "", html))
    return without_text.replace(ENGLISH, "").replace(CHINESE, "")


def test_every_text_is_translated() -> None:
    english, chinese = page(_DOCUMENT, ENGLISH), page(_DOCUMENT, CHINESE)
    assert _structure(english) == _structure(chinese)
    paragraphs = [
        text for html in re.findall("<p>(.*?)</p>", chinese) if (text := re.sub("<code>.*?</code>", "", html))
    ]
    assert [text for text in paragraphs if not re.search("[\u4e00-\u9fff]", text) and "openapi.json" not in text] == []


@pytest.mark.parametrize("language", LANGUAGES)
def test_the_page_shows_the_error_messages_of_its_language(language: str) -> None:
    html = re.sub("</?code>", "`", page(_DOCUMENT, language))
    for code in ErrorCode:
        text, other = code.text if language == ENGLISH else reversed(code.text)
        assert f"<p>{escape(text, quote=False)}</p>" in html
        assert escape(other, quote=False) not in html


def test_the_chinese_page_has_chinese_punctuation_and_json_values() -> None:
    html = re.sub("<(style|pre)>.*?</\\1>", "", page(_DOCUMENT, CHINESE), flags=re.DOTALL)
    assert "用于 CompareFace 2020-03-03、CompareFace 2018-03-01。" in html
    assert "请求头，必需" in html
    assert "boolean，默认 false" in html
    assert "<code>Code</code>：" in html
    cells = re.sub("<code>.*?</code>", "", html)
    assert re.findall("[\u4e00-\u9fff] ?[,.:;]|[,:;] ?[\u4e00-\u9fff]", cells) == []


def test_every_translation_is_used() -> None:
    source = " ".join(_strings(_DOCUMENT))
    labels = Path(docs.__file__).read_text(encoding="utf-8")
    assert [
        text for text in docs.translations() if text not in source and not re.search(rf"""["']{text}["']""", labels)
    ] == []


def _strings(value: object) -> list[str]:
    if isinstance(value, str):
        return [" ".join(value.split())]
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return [text for item in items for text in _strings(item)]


@pytest.mark.parametrize(
    ("query", "browser", "language"),
    [
        ("", "", ENGLISH),
        ("", "zh-CN,zh;q=0.9", CHINESE),
        ("", "de-DE", ENGLISH),
        ("?language=en-US", "zh-CN", ENGLISH),
        ("?language=zh-CN", "", CHINESE),
        ("?language=<x>", "", ENGLISH),
    ],
)
async def test_query_and_browser_select_the_language(query: str, browser: str, language: str) -> None:
    async with client_of(OPEN) as client:
        response = await client.get(f"/docs{query}", headers={"accept-language": browser})
    assert f'<html lang="{language}">' in response.text
    assert response.headers["vary"] == "accept-language"


def test_the_page_escapes_its_content() -> None:
    changed = json.loads(json.dumps(_DOCUMENT).replace("Score", "<script>"))
    assert "<script>" not in page(changed)
    assert "&lt;script&gt;" in page(changed)


@pytest.mark.parametrize("path", ["/docs", "/openapi.json"])
async def test_every_method_but_get_is_a_cloud_request(path: str) -> None:
    async with client_of(OPEN) as client:
        assert code_of(await client.post(path, json={"UrlA": "a", "UrlB": "b"}, headers=COMMON)) == "OK"
        assert code_of(await client.put(path)) == ErrorCode.UNSUPPORTED_PROTOCOL
