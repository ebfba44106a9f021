"""The page ``/docs``: its content, its escaping, and its safety."""

import json
import re

import httpx
import pytest

from app.api.actions import ACTIONS
from app.api.docs import page
from app.api.openapi import document
from app.errors import ErrorCode
from tests.support.fakes import COMMON, OPEN, client_of, code_of

_DOCUMENT = document()


async def _docs() -> httpx.Response:
    async with client_of(OPEN) as client:
        return await client.get("/docs")


async def test_the_page_names_all_headers_codes_parameters_and_paths() -> None:
    response = await _docs()
    assert response.headers["content-type"] == "text/html; charset=utf-8"
    headers = [header["name"] for header in _DOCUMENT["paths"]["/"]["post"]["parameters"]]
    models = [model for action in ACTIONS for model in action.models.values()]
    parameters = [field.alias for model in models for field in model.model_fields.values()]
    names = {*headers, "Authorization", *ErrorCode, *parameters, "Score", "RequestId"}
    assert [name for name in names if f">{name}<" not in response.text] == []
    assert [path for path in _DOCUMENT["paths"] if path not in response.text] == []


async def test_the_page_loads_and_runs_nothing() -> None:
    response = await _docs()
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
        assert code_of(await client.post(path, json={"UrlA": "a", "UrlB": "b"}, headers=COMMON)) == "OK"
        assert code_of(await client.put(path)) == ErrorCode.UNSUPPORTED_PROTOCOL
