"""Node for the page's modules; Chromium, a real server and two photos for the page itself."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.server import Server, running_server

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "app/api/playground"
_CHROMIUM = shutil.which("chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--host-resolver-rules=MAP iai.example 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("playwright") and _CHROMIUM:
        return
    absent = pytest.mark.skip(reason="Playwright or Chromium is not here: `make playground-test`")
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(absent)


@pytest.fixture(scope="session")
def in_node() -> Callable[[str, object], Any]:
    """Run statements of a JavaScript module, with the page's modules beside it and ``input``; return its ``output``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("Node.js is not here to run the page's modules")

    def run(statements: str, given: object = None) -> Any:
        head = f'const load = (name) => import("{FOLDER.as_uri()}/" + name);'
        read = 'const input = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        program = f"{head} {read} (async () => {{ {statements}; console.log(JSON.stringify(output)); }})();"
        done = subprocess.run(
            [node, "--no-warnings", "-e", program], input=json.dumps(given), capture_output=True, text=True, check=True
        )
        return json.loads(done.stdout)

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Two of one person, one of six people, and one of nobody."""
    folder = tmp_path_factory.mktemp("photos")
    person = astronaut()
    contents = {
        "a.jpg": person,
        "b.jpg": another_shot(person),
        "six.jpg": cast(),
        "nobody.jpg": person[300:500, :120],
    }
    for name, image in contents.items():
        (folder / name).write_bytes(jpeg(image))
    return {name.partition(".")[0]: folder / name for name in contents}


@pytest.fixture(scope="session")
def closed() -> Iterator[Server]:
    """A server that wants signatures."""
    with running_server({"COMPAREFACE_PLAYGROUND__ENABLED": "true"}) as server:
        yield server


@pytest.fixture(scope="session")
def open_server() -> Iterator[Server]:
    """A server that lets everybody in."""
    with running_server({"COMPAREFACE_PLAYGROUND__ENABLED": "true", "COMPAREFACE_AUTH__MODE": "off"}) as server:
        yield server


@pytest.fixture(scope="module")  # its event loop must end before tests that have loops of their own
def chromium() -> Iterator[Any]:
    from playwright.sync_api import sync_playwright  # noqa: PLC0415 - only `make playground-test` installs it

    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def screenshot() -> Callable[[Any, str], None]:
    """Keep a picture of the page in the folder that ``SCREENSHOTS`` names, for people to look at."""
    folder = os.environ.get("SCREENSHOTS")

    def keep(page: Any, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"play-{name}.png", full_page=True)

    return keep
