"""The page in a real browser, against a real server with real models: what a person sees and hears of it."""

from __future__ import annotations

import re
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from app.domain import Image
from tests.playground.conftest import ROOT
from tests.support.images import astronaut, blurred, cast, jpeg, shrunk
from tests.support.server import HOST, Server, running_server

pytestmark = pytest.mark.browser
_AXE = ROOT / ".browser/node_modules/axe-core/axe.min.js"
_ANSWER_MS = 60_000
_PHOTOS = dict[str, Path]
_EXTENT = "all => all.map(each => each.getBBox()).map(box => [box.x, box.y, box.x + box.width, box.y + box.height])"

# How wide a dot is on the screen, as a share of its face.
_DOT = """paths => paths.map((path) => {
  const { strokeWidth, vectorEffect } = getComputedStyle(path);
  const scale = path.getScreenCTM().a;
  const drawn = parseFloat(strokeWidth) * (vectorEffect === "none" ? scale : 1);
  const outline = [...document.querySelectorAll("#slot-b rect:not(.under)")][paths.indexOf(path)];
  return drawn / (outline.getBBox().width * scale);
})"""


@contextmanager
def _page(chromium: Any, server: Server, host: str = HOST, **options: Any) -> Iterator[Any]:
    """A page that is ready; whatever the browser complains about, the security policy included, fails the test."""
    with chromium.new_context(**{"viewport": {"width": 1200, "height": 900}, "locale": "en-US", **options}) as context:
        page = context.new_page()
        complaints: list[str] = []
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.goto(f"http://{host}:{server.port}/playground")
        page.locator("html[data-ready]").wait_for()
        yield page
        assert complaints == []


def _compare(page: Any, a: Path, b: Path, server: Server | None = None) -> str:
    """Compare as a person does, with a key where a server is given; return the outcome's text."""
    page.set_input_files("#file-A", a)
    page.set_input_files("#file-B", b)
    page.locator("#slot-b img").wait_for()
    if server:
        page.fill("#secret-id", server.secret_id)
        page.fill("#secret-key", server.secret_key)
    page.click("#compare")
    return _outcome(page)


def _outcome(page: Any) -> str:
    page.locator("#outcome :is(.headline, .error)").first.wait_for(timeout=_ANSWER_MS)
    page.locator("#compare[aria-disabled=false]").wait_for(timeout=_ANSWER_MS)
    return str(page.inner_text("#outcome"))


def _score(page: Any) -> float:
    return float(re.search(r"[\d.]+", page.inner_text(".headline b")).group())  # type: ignore[union-attr]


def test_two_photos_make_a_score_with_its_meaning(chromium: Any, closed: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed) as page:
        told = _compare(page, photos["a"], photos["b"], closed)
        assert _score(page) >= 60
        assert "Fewer than one in 100,000 pairs of different people" in told
        assert "RequestId" in told
        assert "Sharpness" in told
        assert page.locator("rect.chosen").count() == 2
        assert _landmarks_lie_in_their_boxes(page) == 2
        assert "Fewer" not in page.inner_text("#status")
        assert re.fullmatch(r"Score\s+[\d.]+\s+Same person.*", page.text_content("#status"))


def test_several_faces_are_boxed_and_one_is_marked(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server) as page:
        told = _compare(page, photos["a"], photos["six"])
        assert _score(page) < 40
        assert "Different people" in told
        assert page.locator("#slot-b rect.face").count() == 5
        assert page.locator("#slot-b rect.chosen").count() == 1
        assert _landmarks_lie_in_their_boxes(page) == 7


def _landmarks_lie_in_their_boxes(page: Any) -> int:
    """Return for how many faces five dots are drawn, each inside the outline of the face."""
    boxes = page.locator(":is(rect.chosen, rect.face)").evaluate_all(_EXTENT)
    dots = page.locator("path.landmarks").evaluate_all(_EXTENT)
    assert len(boxes) == len(dots)
    for (left, top, right, bottom), (*corner, far_right, low) in zip(boxes, dots, strict=True):
        assert left < corner[0] < far_right < right
        assert top < corner[1] < low < bottom
    marks = page.locator("path.landmarks").evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    assert [mark.count("M") for mark in marks] == [5] * len(boxes)
    return len(boxes)


@pytest.mark.parametrize(("width", "height"), [(384, 512), (150, 150), (512, 160), (1600, 1600)])
def test_faces_are_drawn_upon_the_picture_of_whatever_shape(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, width: int, height: int
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(_framed(astronaut()[30:190, 145:295], width, height)))
    for viewport in ({"width": 1200, "height": 900}, {"width": 360, "height": 740}):
        with _page(chromium, open_server, viewport=viewport) as page:
            _compare(page, photos["b"], photo)
            assert page.locator("#slot-b rect.chosen").count() == 1
            image, drawing = (page.locator(f"#slot-b .seen {each}").bounding_box() for each in ("img", "svg"))
            assert drawing == pytest.approx(image, abs=0.5)


def _framed(face: Image, width: int, height: int) -> Image:
    """``face`` in the middle of grey, or what fits of it."""
    face = face[:height, :width]
    above, left = (height - face.shape[0]) // 2, (width - face.shape[1]) // 2
    framed = np.full((height, width, 3), 128, np.uint8)
    framed[above : above + face.shape[0], left : left + face.shape[1]] = face
    return framed


def test_in_a_crowd_all_faces_are_counted_and_none_is_hidden_by_its_landmarks(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, screenshot: Callable[[Any, str], None]
) -> None:
    crowd = tmp_path / "crowd.jpg"
    crowd.write_bytes(jpeg(np.tile(shrunk(cast(), 640), (3, 4, 1))))
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], crowd)
        screenshot(page, "crowd")
        count = page.locator("#slot-b rect.face").count() + 1
        assert count > 50
        assert f"{count} faces found" in page.inner_text("#slot-b")
        dots = page.locator("#slot-b path.landmarks").evaluate_all(_DOT)
        assert len(dots) == count
        assert max(dots) < 0.1


def test_an_open_server_asks_for_no_key_and_a_closed_one_does(
    chromium: Any, open_server: Server, closed: Server
) -> None:
    with _page(chromium, open_server) as page:
        assert page.locator("#keys").is_hidden()
    with _page(chromium, closed) as page:
        assert page.locator("#keys").is_visible()


def test_a_key_that_may_compare_only_is_told_why_no_faces_are_shown(
    chromium: Any, photos: _PHOTOS, tmp_path: Path
) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[callers.AKIDmine]\nkeys = [{ label = "x", secret_key = "mine" }]\nactions = ["CompareFace"]\n')
    settings = {"COMPAREFACE_PLAYGROUND__ENABLED": "true", "COMPAREFACE_AUTH__KEYS_FILE": str(keys)}
    with running_server(settings) as server, _page(chromium, server) as page:
        _compare(page, photos["a"], photos["b"], server._replace(secret_id="AKIDmine", secret_key="mine"))
        assert _score(page) >= 60
        assert "may not use DetectFace, so faces are not shown" in page.inner_text("#slot-a")


def test_plain_http_of_another_host_is_enough_to_sign(chromium: Any, closed: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed, host="iai.example") as page:
        assert page.evaluate("isSecureContext || Boolean(crypto.subtle)") is False
        _compare(page, photos["a"], photos["b"], closed)
        assert _score(page) >= 60
        page.click("#copy")  # there is no clipboard for such pages
        assert page.inner_text("#status") == "The browser did not allow copying; the text is selected."


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        (("#secret-id", "AKIDsomebody"), "does not know this SecretId"),
        (("#secret-id", "not ascii："), "letters, digits and signs"),
        (("#secret-key", "wrong"), "SecretKey does not belong to this SecretId"),
        (("#token", "tok"), "Permanent keys have none"),
    ],
)
def test_a_wrong_key_is_told_in_words(
    chromium: Any,
    closed: Server,
    photos: _PHOTOS,
    typed: tuple[str, str],
    words: str,
    screenshot: Callable[[Any, str], None],
) -> None:
    with _page(chromium, closed) as page:
        page.fill("#secret-id", closed.secret_id)
        page.fill("#secret-key", closed.secret_key)
        page.fill(*typed)
        assert words in _compare(page, photos["a"], photos["b"])
        assert page.locator("rect").count() == 0
        screenshot(page, "wrong-key")


def test_a_photo_without_a_face_is_told_in_words_and_the_other_is_still_boxed(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        told = _compare(page, photos["a"], photos["nobody"])
        assert "No face was found" in told
        assert "(image B)" in told
        assert "InvalidParameterValue.NoFaceInPhoto" in told
        assert page.locator("#slot-a rect.chosen").count() == 1


def test_addresses_are_fetched_by_the_server_only(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server) as page:
        asked: list[str] = []
        page.on("request", lambda request: asked.append(request.url))
        page.fill("#url-A", "http://127.0.0.1/a.jpg")
        page.fill("#url-B", "http://127.0.0.1/b.jpg")
        page.click("#compare")
        assert "could not fetch the picture" in _outcome(page)
        assert {url for url in asked if not url.startswith("blob:")} == {f"http://{open_server.endpoint}/"}


@pytest.mark.parametrize("body", ['{"message": "bad gateway"}', "<html>", "null"])
def test_what_a_proxy_says_in_the_servers_place_is_told_and_leaves_the_page_usable(
    chromium: Any, open_server: Server, body: str
) -> None:
    with _page(chromium, open_server) as page:
        page.fill("#url-A", "http://127.0.0.1/a.jpg")
        page.fill("#url-B", "http://127.0.0.1/b.jpg")
        page.route(f"http://{open_server.endpoint}/", lambda route: route.fulfill(body=body))
        page.click("#compare")
        assert "The server did not answer" in _outcome(page)
        page.unroute(f"http://{open_server.endpoint}/")
        page.click("#compare")
        page.locator(".error:has-text('could not fetch')").wait_for()


def test_what_is_missing_is_said_aloud(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server) as page:
        page.click("#compare")
        assert page.inner_text("#status") == page.inner_text("#missing") == "Give both pictures first."


def test_the_button_that_removes_a_photo_keeps_the_focus_when_faces_are_drawn(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        page.set_input_files("#file-A", photos["a"])
        page.set_input_files("#file-B", photos["b"])
        page.locator("#slot-b img").wait_for()
        page.focus("#slot-a button")
        page.evaluate("document.getElementById('form').requestSubmit()")
        _outcome(page)
        assert page.locator("#slot-a rect.chosen").count() == 1
        assert page.evaluate("document.activeElement.ariaLabel") == "Remove picture A"


def test_the_keyboard_is_enough(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server) as page:
        for side, name in (("A", "a"), ("B", "b")):
            with page.expect_file_chooser() as chooser:
                _tab_to(page, f"file-{side}")
                page.keyboard.press("Space")
            chooser.value.set_files(photos[name])
            page.locator(f"#slot-{side.lower()} img").wait_for()
        _tab_to(page, "compare")
        page.keyboard.press("Enter")
        _outcome(page)
        _tab_to(page, "tab-0")
        for key, part in {"ArrowRight": "import base64", "End": "using System", "Home": "curl"}.items():
            page.keyboard.press(key)
            assert part in page.inner_text("#code")


def test_a_screen_reader_gets_the_outcome_as_headline_scale_and_table(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], photos["b"])
        heard = page.locator("#outcome").aria_snapshot()
        assert re.search(r"paragraph: Score [\d.]+ Same person, even by the strict threshold", heard)
        assert re.search(r'img "Score [\d.]+ on a scale of 0 to 100, with marks at 40, 50, 60\."', heard)
        assert re.search(r'table "How good each face.s picture is"', heard)
        assert re.search(r'rowheader "Sharpness"\s+- cell "\d+.*"\s+- cell "\d+.*"', heard)
        assert 'img "Picture A: a.jpg"' in page.locator("#slot-a").aria_snapshot()


def test_colours_of_the_system_tell_the_chosen_tab(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server, forced_colors="active") as page:
        _compare(page, photos["a"], photos["b"])
        lines = page.locator("[role=tab]").evaluate_all(
            "tabs => tabs.map(tab => getComputedStyle(tab).borderBottomColor)"
        )
        ground = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert lines[0] != ground
        assert set(lines[1:]) == {ground}


def _tab_to(page: Any, identifier: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == identifier:
            return
    raise AssertionError(f"the keyboard does not reach {identifier}")


def test_the_page_speaks_the_browsers_language_and_can_be_switched(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server, locale="zh-CN") as page:
        assert "按严格阈值也判为同一人" in _compare(page, photos["a"], photos["b"])
        assert page.get_attribute("html", "lang") == "zh-CN"
        page.click("#language")
        assert "Same person, even by the strict threshold" in page.inner_text("#outcome")


def test_a_key_outlives_a_reload_only_where_that_was_asked_for(chromium: Any, closed: Server) -> None:
    with _page(chromium, closed) as page:
        for is_kept in (False, True):
            page.fill("#secret-id", "AKIDmine")
            page.set_checked("#remember", is_kept)
            page.reload()
            page.locator("html[data-ready]").wait_for()
            assert page.input_value("#secret-id") == ("AKIDmine" if is_kept else "")


def test_the_secret_key_is_on_none_of_the_tabs(chromium: Any, closed: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed) as page:
        _compare(page, photos["a"], photos["b"], closed)
        for tab in page.locator("[role=tab]").all():
            tab.click()
            text = page.inner_text("#code")
            assert closed.secret_key not in text
            assert closed.secret_id in text


def test_curl_and_python_of_the_tabs_get_the_score_of_the_page(chromium: Any, closed: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed) as page:
        page.select_option("#face-model-version", "2.0")
        _compare(page, photos["a"], photos["b"], closed)
        shown, folder = _score(page), photos["a"].parent
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(folder / "request.json")
        for name, command in (("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])):
            page.click(f"[role=tab]:text-is('{name}')")
            text = page.inner_text("#code")
            environment = {"SECRET_KEY": closed.secret_key, "PATH": "/usr/bin:/bin"}
            done = subprocess.run(
                [*command, text], cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            got = re.search(r'(?:"Score":|^)([\d.]+)', done.stdout)
            assert got, done.stdout
            assert float(got[1]) == pytest.approx(shown, abs=0.01)


def test_photos_of_phones_are_made_smaller_and_it_is_said(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(jpeg(shrunk(astronaut(), 4200)))
    with _page(chromium, open_server) as page:
        _compare(page, large, photos["b"])
        assert _score(page) > 60
        assert "sent as a JPEG of 4000 × 4000" in page.inner_text("#slot-a")


def test_a_face_that_quality_control_refuses_is_told_with_the_numbers(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, screenshot: Callable[[Any, str], None]
) -> None:
    unclear = tmp_path / "unclear.jpg"
    unclear.write_bytes(jpeg(blurred(astronaut(), 4)))
    with _page(chromium, open_server) as page:
        page.select_option("#quality-control", "4")
        told = _compare(page, photos["a"], unclear)
        screenshot(page, "quality")
        assert "not good enough for the chosen QualityControl" in told
        assert "blurriness. (image B)" in told
        assert page.locator("td.low").count() >= 1


_WAYS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "chinese": {"locale": "zh-CN"},
    "narrow": {"viewport": {"width": 360, "height": 740}},
    "forced": {"forced_colors": "active"},
}


@pytest.mark.parametrize("way", _WAYS)
@pytest.mark.parametrize("other", ["b", "nobody"])
def test_everybody_can_use_it(
    chromium: Any, closed: Server, photos: _PHOTOS, way: str, other: str, screenshot: Callable[[Any, str], None]
) -> None:
    with _page(chromium, closed, **_WAYS[way]) as page:
        _check_access(page)
        screenshot(page, f"{way}-start")
        _compare(page, photos["a"], photos[other], closed)
        screenshot(page, f"{way}-{other}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        _check_access(page)


def _check_access(page: Any) -> None:
    if not _AXE.exists():
        pytest.skip("axe-core is not here: `make playground-test`")
    page.evaluate(_AXE.read_text(encoding="utf-8"))
    violations = page.evaluate("axe.run().then((found) => found.violations)")
    assert [(each["id"], [node["html"] for node in each["nodes"]]) for each in violations] == []
