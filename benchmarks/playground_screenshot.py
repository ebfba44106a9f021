"""``python -m benchmarks.playground_screenshot``: draw ``deploy/playground.webp`` for README.

The photo is scikit-image's ``astronaut`` (NASA, public domain), beside an altered copy. Needs the packages and the
browser of ``make playground-test``.
"""

import io
import shutil
import tempfile
from pathlib import Path

from PIL import Image
from playwright.sync_api import sync_playwright

from tests.support.images import another_shot, astronaut, jpeg
from tests.support.server import running_server

TARGET = Path(__file__).resolve().parents[1] / "deploy/playground.webp"
_VIEWPORT = {"width": 1100, "height": 900}
_QUALITY = 55


def main() -> None:
    settings = {"COMPAREFACE_PLAYGROUND__ENABLED": "true", "COMPAREFACE_AUTH__MODE": "off"}
    with tempfile.TemporaryDirectory() as folder, running_server(settings) as server, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=shutil.which("chromium"), args=["--no-sandbox"])
        page = browser.new_page(viewport=_VIEWPORT, locale="en-US", color_scheme="light")
        page.goto(f"http://{server.endpoint}/playground")
        page.locator("html[data-ready]").wait_for()
        for side, image in {"A": astronaut(), "B": another_shot(astronaut())}.items():
            photo = Path(folder) / f"{side}.jpg"
            photo.write_bytes(jpeg(image))
            page.set_input_files(f"#file-{side}", photo)
            page.locator(f"#photo-{side.lower()} img").wait_for()
        page.click("#compare")
        page.locator("#result .quality").wait_for()
        page.locator("#compare[aria-disabled=false]").wait_for()
        below = page.locator("#settings").bounding_box()
        assert below is not None
        clip = {"x": 0, "y": 0, "width": _VIEWPORT["width"], "height": below["y"]}
        Image.open(io.BytesIO(page.screenshot(full_page=True, clip=clip))).save(TARGET, quality=_QUALITY, method=6)
        browser.close()
    print(f"{TARGET}: {TARGET.stat().st_size / 1000:.0f} KB")


if __name__ == "__main__":
    main()
