"""The playground's addresses, its words, and the settings that turn it on."""

from __future__ import annotations

import json
import os
import re
import subprocess
from urllib.parse import urljoin

import pytest

from app.api.playground.routes import FILES
from app.environment import Settings
from app.errors import ErrorCode
from app.settings import PlaygroundSettings
from app.tools.serving import announcement
from tests.playground.conftest import FOLDER, ROOT
from tests.support.fakes import OPEN, client_of, code_of

_ON = OPEN.model_copy(update={"playground": PlaygroundSettings(enabled=True)})
_STRINGS: dict[str, list[str]] = json.loads((FOLDER / "strings.json").read_text(encoding="utf-8"))
_SOURCES = {name: (FOLDER / name).read_text(encoding="utf-8") for name in FILES}
_LOCAL = {"unreachable", "badSecretId"}


@pytest.mark.parametrize("path", ["/playground", "/playground/", "/playground/app.js"])
async def test_it_is_off_by_default_and_its_addresses_are_the_clouds(path: str) -> None:
    async with client_of(OPEN) as client:
        assert code_of(await client.get(path)) == "MissingParameter"


async def test_the_root_stays_the_clouds() -> None:
    async with client_of(_ON) as client:
        assert code_of(await client.get("/")) == "MissingParameter"


async def test_every_file_is_served_with_its_type_and_the_policy() -> None:
    async with client_of(_ON) as client:
        replies = {name: await client.get(f"/playground/{name}") for name in FILES}
        page = await client.get("/playground")
    assert len(replies) > 10
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
async def test_nothing_else_is_served(name: str) -> None:
    async with client_of(_ON) as client:
        reply = await client.get(f"/playground/{name}")
    assert b"import" not in reply.content
    assert reply.status_code == 404 or code_of(reply) == "MissingParameter"


async def test_a_slash_at_the_end_leads_to_the_page_whatever_is_before_it() -> None:
    async with client_of(_ON) as client:
        reply = await client.get("/playground/")
    assert reply.status_code == 307
    assert urljoin("https://host/below/playground/", reply.headers["location"]) == "https://host/below/playground"


def test_all_that_the_page_and_its_modules_name_is_there() -> None:
    named = set(re.findall(r'(?:src|href)="playground/([\w.]+)"', _SOURCES["index.html"]))
    for name, text in _SOURCES.items():
        if name.endswith(".js"):
            named |= set(re.findall(r'(?:from|URL\() ?"\./([\w.]+)"', text))
            named |= set(re.findall(r'new URL\("(\w+\.json)"', text))
    assert named | {"index.html"} == set(FILES)


def test_nothing_is_inline_and_nothing_comes_from_elsewhere() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|<script(?! type=\"module\" src)", _SOURCES["index.html"])
    addresses = {address for text in _SOURCES.values() for address in re.findall(r"https?://[\w./]+", text)}
    assert addresses == {"http://www.w3.org/2000/svg"}


@pytest.mark.parametrize("key", _STRINGS)
def test_every_string_is_there_in_both_languages(key: str) -> None:
    english, chinese = _STRINGS[key]
    assert english.strip()
    assert chinese.strip()
    assert set(re.findall(r"\{\w+\}", english)) == set(re.findall(r"\{\w+\}", chinese))


def test_every_string_is_used_and_every_one_used_is_there() -> None:
    text = "".join(text for name, text in _SOURCES.items() if name != "strings.json")
    marked = set(re.findall(r'data-(?:text|label)="(\w+)"', text)) | set(re.findall(r'say\("(\w+)"', text))
    assert marked - _STRINGS.keys() == set()
    made = {"band0", "band1", "band2", "band3"}  # say(`band${...}`)
    regions = {"eye", "nose", "mouth", "eyebrow", "cheek", "chin"}  # FaceQualityCompleteness in small letters
    plain = {key for key in _STRINGS if not key.startswith("error:")} - made - regions
    assert {key for key in plain if f'"{key}"' not in text and not re.search(rf"\b{key}: ", text)} == set()


def test_errors_in_words_are_those_of_the_service() -> None:
    codes = {key.removeprefix("error:") for key in _STRINGS if key.startswith("error:")} - _LOCAL
    assert len(codes) > 15
    assert codes - {code.value for code in ErrorCode} == set()


def test_the_announcement_tells_where_it_is() -> None:
    assert announcement(_ON, 8000, {}).endswith("; playground at http://127.0.0.1:8000/playground")
    assert "playground" not in announcement(Settings(), 8000, {})


@pytest.mark.parametrize(("given", "value"), [(None, "true"), ("false", "false")])
def test_make_serve_turns_it_on_unless_it_is_told_otherwise(given: str | None, value: str) -> None:
    environment = {name: text for name, text in os.environ.items() if not name.startswith(("MAKE", "COMPAREFACE_"))}
    if given:
        environment["COMPAREFACE_PLAYGROUND__ENABLED"] = given
    printed = subprocess.run(
        ["make", "-pn", "serve"], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
    ).stdout
    assert f"COMPAREFACE_PLAYGROUND__ENABLED = {value}" in printed
