"""The files of the playground, its texts, and the setting that enables it."""

import json
import logging
import os
import re
import subprocess
import tomllib
from urllib.parse import urljoin

import pytest

from app.api.playground.routes import FILES
from app.cli.serve import announcement
from app.domain import Population
from app.environment import Settings
from app.errors import ErrorCode
from app.settings import PlaygroundSettings
from tests.api.playground.conftest import FOLDER, ROOT
from tests.support.fakes import INFO, OPEN, client_of, code_of

_ON = OPEN.model_copy(update={"playground": PlaygroundSettings(enabled=True)})
_STRINGS: dict[str, list[str]] = json.loads((FOLDER / "strings.json").read_text(encoding="utf-8"))
_SOURCES = {name: (FOLDER / name).read_text(encoding="utf-8") for name in FILES}
_LOCAL = {"unreachable", "badSecretId"}


@pytest.mark.parametrize("path", ["/playground", "/playground/", "/playground/app.js"])
async def test_the_playground_is_disabled_by_default(path: str) -> None:
    async with client_of(OPEN) as client:
        assert (await client.get(path)).status_code == 404
        assert code_of(await client.post(path)) == "MissingParameter"


async def test_the_root_path_remains_the_api() -> None:
    async with client_of(_ON) as client:
        assert code_of(await client.post("/")) == "MissingParameter"


async def test_every_file_is_served_with_its_type_and_the_policy() -> None:
    async with client_of(_ON) as client:
        replies = {name: await client.get(f"/playground/{name}") for name in FILES}
        page = await client.get("/playground")
    assert len(replies) > 10
    assert page.headers["permissions-policy"] == "camera=(self), geolocation=(), microphone=()"
    types = {name.rpartition(".")[2]: reply.headers["content-type"] for name, reply in replies.items()}
    assert types == {
        "css": "text/css; charset=utf-8",
        "html": "text/html; charset=utf-8",
        "js": "text/javascript; charset=utf-8",
        "json": "application/json",
    }
    for reply in [page, *replies.values()]:
        assert reply.status_code == 200
        assert reply.headers["x-content-type-options"] == "nosniff"
        policy = dict(part.strip().split(" ", 1) for part in reply.headers["content-security-policy"].split(";"))
        assert policy == {
            "default-src": "'none'",
            "script-src": "'self'",
            "style-src": "'self'",
            "img-src": "'self' blob: data:",
            "connect-src": "'self'",
            "require-trusted-types-for": "'script'",
            "trusted-types": "'none'",
            "base-uri": "'none'",
            "form-action": "'none'",
            "frame-ancestors": "'none'",
        }


@pytest.mark.parametrize("name", ["routes.py", "__init__.py", "..%2froutes.py", "%2e%2e/x", "x", "app.js%00", "a/b.js"])
async def test_no_other_file_is_served(name: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "app.api.access_log")
    async with client_of(_ON) as client:
        reply = await client.get(f"/playground/{name}")
    assert b"import" not in reply.content
    assert reply.status_code == 404
    assert [record.message for record in caplog.records if record.name == "app.api.access_log"] == ["no such path"]


async def test_a_trailing_slash_redirects_to_the_page_below_any_path() -> None:
    async with client_of(_ON) as client:
        reply = await client.get("/playground/")
    assert reply.status_code == 307
    assert urljoin("https://host/below/playground/", reply.headers["location"]) == "https://host/below/playground"


def test_all_referenced_files_exist_and_all_files_are_referenced() -> None:
    references = set(re.findall(r'(?:src|href)="playground/([\w.]+)"', _SOURCES["index.html"]))
    for name, text in _SOURCES.items():
        if name.endswith(".js"):
            references |= set(re.findall(r'(?:from|URL\() ?"\./([\w.]+)"', text))
            references |= set(re.findall(r'new URL\("(\w+\.json)"', text))
    assert references | {"index.html"} == set(FILES)


def test_there_is_no_inline_code_and_no_external_url() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src)", _SOURCES["index.html"])
    urls = {url for text in _SOURCES.values() for url in re.findall(r"https?://[\w./]+", text)}
    assert urls == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("key", _STRINGS)
def test_every_text_exists_in_both_languages(key: str) -> None:
    english, chinese = _STRINGS[key]
    assert english.strip()
    assert chinese.strip()
    assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese))


def test_all_texts_are_used_and_all_used_texts_exist() -> None:
    text = "".join(text for name, text in _SOURCES.items() if name != "strings.json")
    marked = set(re.findall(r'data-(?:text|label)="(\w+)"', text)) | set(re.findall(r'translate\("(\w+)"', text))
    assert marked - _STRINGS.keys() == set()
    bands = {"band0", "band1", "band2", "band3"}  # translate(`band${...}`)
    regions = {"eye", "nose", "mouth", "eyebrow", "cheek", "chin"}  # regions of FaceQualityCompleteness in lower case
    literal = {key for key in _STRINGS if not key.startswith(("error:", "data:"))} - bands - regions
    assert {key for key in literal if f'"{key}"' not in text and not re.search(rf"\b{key}: ", text)} == set()


def test_the_data_of_measured_calibrations_have_a_chinese_name() -> None:
    files = [tomllib.loads(file.read_text(encoding="utf-8")) for file in (ROOT / "models").glob("*/calibration.toml")]
    measured = [content for content in files if content["about"]["status"] == "measured"]
    names = {content[population]["data"] for content in measured for population in Population}
    assert {key.removeprefix("data:") for key in _STRINGS if key.startswith("data:")} == names
    assert all(_STRINGS[f"data:{name}"][0] == name for name in names)


def test_error_texts_belong_to_error_codes_of_the_service() -> None:
    codes = {key.removeprefix("error:") for key in _STRINGS if key.startswith("error:")} - _LOCAL
    assert len(codes) > 15
    assert codes - {code.value for code in ErrorCode} == set()


def test_the_announcement_contains_the_playground_url() -> None:
    assert announcement(_ON, 8000, INFO).endswith("; playground at http://127.0.0.1:8000/playground")
    assert "playground" not in announcement(Settings(), 8000, INFO)


@pytest.mark.parametrize(("variable", "expected"), [(None, "true"), ("false", "false")])
def test_make_serve_enables_the_playground_by_default(variable: str | None, expected: str) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "COMPAREFACE_"))}
    if variable:
        environment["COMPAREFACE_PLAYGROUND__ENABLED"] = variable
    output = subprocess.run(
        ["make", "-pn", "serve"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    ).stdout
    assert f"COMPAREFACE_PLAYGROUND__ENABLED = {expected}" in output
