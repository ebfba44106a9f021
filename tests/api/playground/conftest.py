"""Node.js for the modules of the page; Chromium, real servers and photos for the page itself."""

import importlib.util
import json
import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tests.support.images import another_shot, astronaut, cast, jpeg
from tests.support.server import Server, running_server

ROOT = Path(__file__).resolve().parents[3]
FOLDER = ROOT / "app/api/playground"
_AXE = ROOT / ".browser/node_modules/axe-core/axe.min.js"
_CHROMIUM = shutil.which("chromium")
_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--use-fake-device-for-media-stream",  # a moving drawing
    "--host-resolver-rules=MAP iai.example 127.0.0.1",
]


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if importlib.util.find_spec("playwright") and _CHROMIUM:
        return
    skip = pytest.mark.skip(reason="needs Playwright and Chromium: `make playground-test`")
    for item in items:
        if item.get_closest_marker("browser"):
            item.add_marker(skip)


@pytest.fixture(scope="session")
def in_node() -> Callable[[str, object], Any]:
    """Return a function that runs JavaScript with ``load`` for modules and ``input``, and returns its ``output``."""
    node = shutil.which("node")
    if node is None:
        pytest.skip("needs Node.js")

    def run(statements: str, value: object = None) -> Any:
        load = f'const load = (name) => import("{FOLDER.as_uri()}/" + name);'
        read = 'const input = JSON.parse(require("fs").readFileSync(0, "utf8"));'
        program = f"{load} {read} (async () => {{ {statements}; console.log(JSON.stringify(output)); }})();"
        completed = subprocess.run(
            [node, "--no-warnings", "-e", program], input=json.dumps(value), capture_output=True, text=True, check=True
        )
        return json.loads(completed.stdout)

    return run


@pytest.fixture(scope="session")
def photos(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Three photos of one person, one of six people, and one without a face; ``rotated`` lies on its side."""
    folder = tmp_path_factory.mktemp("photos")
    person = astronaut()
    contents = {
        "a.jpg": person,
        "b.jpg": another_shot(person),
        "rotated.jpg": np.rot90(person).copy(),
        "six.jpg": cast(),
        "faceless.jpg": person[300:500, :120],
    }
    for name, image in contents.items():
        (folder / name).write_bytes(jpeg(image))
    return {name.partition(".")[0]: folder / name for name in contents}


@pytest.fixture(scope="session")
def closed_server() -> Iterator[Server]:
    """A server that requires signatures."""
    with running_server({"COMPAREFACE_PLAYGROUND__ENABLED": "true"}) as server:
        yield server


@pytest.fixture(scope="session")
def open_server() -> Iterator[Server]:
    """A server that accepts unsigned requests."""
    with running_server({"COMPAREFACE_PLAYGROUND__ENABLED": "true", "COMPAREFACE_AUTH__MODE": "off"}) as server:
        yield server


@pytest.fixture(scope="module")  # its event loop must end before asynchronous tests start
def chromium() -> Iterator[Any]:
    sync_api = pytest.importorskip("playwright.sync_api")
    with sync_api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=_CHROMIUM, args=_FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def screenshot() -> Callable[[Any, str], None]:
    """Return a function that saves a screenshot in the folder ``SCREENSHOTS``, if that variable is set."""
    folder = os.environ.get("SCREENSHOTS")

    def save(page: Any, name: str) -> None:
        if folder:
            page.screenshot(path=Path(folder) / f"play-{name}.png", full_page=True)

    return save


def check_accessibility(page: Any) -> None:
    """Fail if axe-core finds a violation on the page; skip the test without axe-core."""
    if not _AXE.exists():
        pytest.skip("needs axe-core: `make playground-test`")
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((results) => results.violations)")
    assert [(item["id"], [node["html"] for node in item["nodes"]]) for item in violations] == []
