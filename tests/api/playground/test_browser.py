"""The page in a real browser with a real server and real models: appearance, texts and accessibility."""

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
from tests.api.playground.conftest import check_accessibility
from tests.support.images import astronaut, blurred, cast, jpeg, shrunk
from tests.support.server import HOST, Server, running_server

pytestmark = pytest.mark.browser
_RESULT_TIMEOUT_MS = 60_000
_PHOTOS = dict[str, Path]
_CORNERS_SCRIPT = """elements => elements.map((element) => {
  const { x, y, width, height } = element.getBBox();
  return [x, y, x + width, y + height];
})"""

# Width of each landmark dot on the screen, relative to its face.
_DOT_SIZES_SCRIPT = """paths => paths.map((path) => {
  const { strokeWidth, vectorEffect } = getComputedStyle(path);
  const scale = path.getScreenCTM().a;
  const width = parseFloat(strokeWidth) * (vectorEffect === "none" ? scale : 1);
  const box = [...document.querySelectorAll("#photo-b rect:not(.shadow)")][paths.indexOf(path)];
  return width / (box.getBBox().width * scale);
})"""

# Width of the selected text of each list, and the width that shows it; 24 pixels are for the arrow.
_OPTION_WIDTHS_SCRIPT = """lists => lists.map((list) => {
  const style = getComputedStyle(list);
  const context = document.createElement("canvas").getContext("2d");
  context.font = style.font;
  const text = context.measureText(list.selectedOptions[0].textContent).width;
  return [text, list.clientWidth - parseFloat(style.paddingLeft) - parseFloat(style.paddingRight) - 24];
})"""
_FIRST_FRAME_SCRIPT = (
    "video => video.videoWidth || new Promise((resolve) => { video.onloadeddata = () => resolve(1); })"
)


@contextmanager
def _page(chromium: Any, server: Server, host: str = HOST, **options: Any) -> Iterator[Any]:
    """Open the page; any message on the browser console, such as a policy violation, fails the test."""
    with chromium.new_context(**{"viewport": {"width": 1280, "height": 900}, "locale": "en-US", **options}) as context:
        page = context.new_page()
        messages: list[str] = []
        page.on("console", lambda message: messages.append(message.text))
        page.on("pageerror", lambda error: messages.append(str(error)))
        page.goto(f"http://{host}:{server.port}/playground")
        page.locator("html[data-ready]").wait_for()
        yield page
        assert messages == []


def _compare(page: Any, a: Path, b: Path, server: Server | None = None) -> str:
    """Choose two photos and compare them, with the key of ``server`` if given; return the text of the result."""
    page.set_input_files("#file-A", a)
    page.set_input_files("#file-B", b)
    page.locator("#photo-b img").wait_for()
    if server:
        page.fill("#secret-id", server.secret_id)
        page.fill("#secret-key", server.secret_key)
    page.click("#compare")
    return _result_text(page)


def _result_text(page: Any) -> str:
    page.locator("#result :is(.headline, .error)").first.wait_for(timeout=_RESULT_TIMEOUT_MS)
    page.locator("#compare[aria-disabled=false]").wait_for(timeout=_RESULT_TIMEOUT_MS)
    return str(page.inner_text("#result"))


def _score(page: Any) -> float:
    return float(re.search(r"[\d.]+", page.inner_text(".headline b")).group())  # type: ignore[union-attr]


def test_comparison_shows_score_false_accept_rate_and_quality(
    chromium: Any, closed_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, closed_server) as page:
        text = _compare(page, photos["a"], photos["b"], closed_server)
        assert _score(page) >= 60
        assert "Fewer than one in 100,000 pairs of different people" in text
        assert "RequestId" in text
        assert "Image quality (A, B): minor problems – photo B: Sharpness" in text
        assert page.locator("rect.largest").count() == 2
        assert _count_faces_with_landmarks(page) == 2
        assert "Fewer" not in page.inner_text("#status")
        assert re.fullmatch(r"Score\s+[\d.]+\s+Same person.*", page.text_content("#status"))


def test_the_page_warns_of_an_unfit_pack_and_names_the_population(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        warning = "The pack open is not for decisions about people: use the pack omz."
        assert page.locator("#unfit").inner_text() == warning
        result = _compare(page, photos["a"], photos["b"])
    assert "Population general, unless the key selects another one. Measured on LFW" in result


def test_all_faces_are_outlined_and_the_largest_is_highlighted(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        text = _compare(page, photos["a"], photos["six"])
        assert _score(page) < 40
        assert "Different people" in text
        assert page.locator("#photo-b rect.face").count() == 5
        assert page.locator("#photo-b rect.largest").count() == 1
        assert _count_faces_with_landmarks(page) == 7


def _count_faces_with_landmarks(page: Any) -> int:
    """Return the number of outlined faces; check that five landmarks are drawn inside each outline."""
    boxes = page.locator(":is(rect.largest, rect.face)").evaluate_all(_CORNERS_SCRIPT)
    dots = page.locator("path.landmarks").evaluate_all(_CORNERS_SCRIPT)
    assert len(boxes) == len(dots)
    for (left, top, right, bottom), (*corner, far_right, low) in zip(boxes, dots, strict=True):
        assert left < corner[0] < far_right < right
        assert top < corner[1] < low < bottom
    marks = page.locator("path.landmarks").evaluate_all("paths => paths.map(path => path.getAttribute('d'))")
    assert [mark.count("M") for mark in marks] == [5] * len(boxes)
    return len(boxes)


@pytest.mark.parametrize(("width", "height"), [(384, 512), (150, 150), (512, 160), (1600, 1600)])
def test_faces_are_drawn_at_the_position_of_the_photo_for_all_aspect_ratios(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, width: int, height: int
) -> None:
    photo = tmp_path / "photo.jpg"
    photo.write_bytes(jpeg(_framed(astronaut()[30:190, 145:295], width, height)))
    for viewport in ({"width": 1200, "height": 900}, {"width": 360, "height": 740}):
        with _page(chromium, open_server, viewport=viewport) as page:
            _compare(page, photos["b"], photo)
            assert page.locator("#photo-b rect.largest").count() == 1
            image, drawing = (page.locator(f"#photo-b .preview {tag}").bounding_box() for tag in ("img", "svg"))
            assert drawing == pytest.approx(image, abs=0.5)


def _framed(face: Image, width: int, height: int) -> Image:
    """Return ``face``, cropped if necessary, in the middle of a grey image."""
    face = face[:height, :width]
    above, left = (height - face.shape[0]) // 2, (width - face.shape[1]) // 2
    framed = np.full((height, width, 3), 128, np.uint8)
    framed[above : above + face.shape[0], left : left + face.shape[1]] = face
    return framed


def test_in_a_crowd_all_faces_are_counted_and_landmarks_hide_no_face(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, screenshot: Callable[[Any, str], None]
) -> None:
    crowd = tmp_path / "crowd.jpg"
    crowd.write_bytes(jpeg(np.tile(shrunk(cast(), 640), (3, 4, 1))))
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], crowd)
        screenshot(page, "crowd")
        count = page.locator("#photo-b rect.face").count() + 1
        assert count > 50
        assert f"{count} faces found" in page.inner_text("#photo-b")
        dots = page.locator("#photo-b path.landmarks").evaluate_all(_DOT_SIZES_SCRIPT)
        assert len(dots) == count
        assert max(dots) < 0.1


def test_only_a_server_that_requires_signatures_asks_for_a_key(
    chromium: Any, open_server: Server, closed_server: Server
) -> None:
    with _page(chromium, open_server) as page:
        assert page.locator("#keys").is_hidden()
    with _page(chromium, closed_server) as page:
        assert page.locator("#keys").is_visible()


def test_a_key_without_detect_face_is_explained(chromium: Any, photos: _PHOTOS, tmp_path: Path) -> None:
    keys = tmp_path / "keys.toml"
    keys.write_text('[callers.AKIDmine]\nkeys = [{ label = "x", secret_key = "mine" }]\nactions = ["CompareFace"]\n')
    settings = {"COMPAREFACE_PLAYGROUND__ENABLED": "true", "COMPAREFACE_AUTH__KEYS_FILE": str(keys)}
    with running_server(settings) as server, _page(chromium, server) as page:
        _compare(page, photos["a"], photos["b"], server._replace(secret_id="AKIDmine", secret_key="mine"))
        assert _score(page) >= 60
        assert "may not use DetectFace, so faces are not shown" in page.inner_text("#photo-a")


def test_requests_are_signed_without_a_secure_context(chromium: Any, closed_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed_server, host="iai.example") as page:
        assert page.evaluate("isSecureContext || Boolean(crypto.subtle)") is False
        _compare(page, photos["a"], photos["b"], closed_server)
        assert _score(page) >= 60
        page.click("#copy")  # such pages have no clipboard
        assert page.inner_text("#status") == "The browser did not allow copying. The text is selected."


@pytest.mark.parametrize(
    ("field_and_value", "expected_text"),
    [
        (("#secret-id", "AKIDsomebody"), "has no key with this SecretId"),
        (("#secret-id", "not ascii："), "letters, digits and symbols"),
        (("#secret-key", "wrong"), "SecretKey does not belong to this SecretId"),
        (("#token", "tok"), "Permanent keys have no Token"),
    ],
)
def test_a_wrong_key_is_explained(
    chromium: Any,
    closed_server: Server,
    photos: _PHOTOS,
    field_and_value: tuple[str, str],
    expected_text: str,
    screenshot: Callable[[Any, str], None],
) -> None:
    with _page(chromium, closed_server) as page:
        page.fill("#secret-id", closed_server.secret_id)
        page.fill("#secret-key", closed_server.secret_key)
        page.fill(*field_and_value)
        assert expected_text in _compare(page, photos["a"], photos["b"])
        assert page.locator("rect").count() == 0
        screenshot(page, "wrong-key")


def test_a_photo_without_a_face_is_explained_and_the_other_face_is_outlined(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        text = _compare(page, photos["a"], photos["faceless"])
        assert "No face was found" in text
        assert "(image B)" in text
        assert "InvalidParameterValue.NoFaceInPhoto" in text
        assert page.locator("#photo-a rect.largest").count() == 1


@pytest.mark.parametrize("other", ["faceless", "rotated"])
def test_a_photo_without_a_face_is_named_in_its_slot(
    chromium: Any, open_server: Server, photos: _PHOTOS, other: str, screenshot: Callable[[Any, str], None]
) -> None:
    with _page(chromium, open_server) as page:
        text = _compare(page, photos["a"], photos[other])
        screenshot(page, f"no-face-{other}")
        assert page.locator(".no-face").all_inner_texts() == ["No face found in this photo"]
        assert page.locator("#photo-b .no-face").count() == 1
        assert "Image quality (A): no problems." in text
        _compare(page, photos["a"], photos["b"])
        assert page.locator("#rotate").is_hidden()
        _compare(page, photos["a"], photos[other])
        assert page.locator("#rotate").is_visible()
        page.set_checked("#rotate", True)
        page.click("#compare")
        assert ("Same person" in _result_text(page)) == (other == "rotated")


def test_a_failure_after_a_success_shows_nothing_of_the_success(
    chromium: Any, closed_server: Server, photos: _PHOTOS, screenshot: Callable[[Any, str], None]
) -> None:
    with _page(chromium, closed_server) as page:
        _compare(page, photos["a"], photos["b"], closed_server)
        assert page.get_attribute("#settings", "open") is None
        page.evaluate("document.getElementById('settings').open = true")
        page.fill("#secret-key", "wrong")
        page.evaluate("document.getElementById('settings').open = false")
        page.click("#compare")
        page.locator("#result .error").wait_for(timeout=_RESULT_TIMEOUT_MS)
        page.locator("#compare[aria-disabled=false]").wait_for()
        screenshot(page, "failure-after-success")
        assert page.locator("#result table").count() == 0
        assert page.locator("rect, .headline").count() == 0
        assert page.locator("#secret-key").is_visible()


def test_a_new_comparison_hides_the_last_result_until_its_reply(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], photos["b"])
        page.route(f"http://{open_server.endpoint}/", lambda route: None)  # never answered
        page.click("#compare")
        page.locator("#compare[aria-disabled=true]").wait_for()
        assert page.locator("#result").is_hidden()
        assert page.locator("rect").count() == 0
        page.unroute_all(behavior="ignoreErrors")


@pytest.mark.parametrize("width", [1280, 390])
def test_the_result_is_between_the_photos_and_the_collapsed_settings(
    chromium: Any, closed_server: Server, photos: _PHOTOS, width: int
) -> None:
    with _page(chromium, closed_server, viewport={"width": width, "height": 844}) as page:
        _compare(page, photos["a"], photos["b"], closed_server)
        assert page.locator("#secret-id").is_hidden()
        photo_a, photo_b, result, settings = (
            page.locator(name).bounding_box() for name in ("#photo-a", "#photo-b", "#result", "#settings")
        )
        assert photo_a["y"] == photo_b["y"], "side by side"
        assert photo_b["y"] + photo_b["height"] < result["y"]
        assert result["y"] + result["height"] < settings["y"]
        assert page.locator(".headline").evaluate(
            "(headline) => headline.getBoundingClientRect().bottom <= innerHeight"
        )


@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
@pytest.mark.parametrize("width", [1280, 390])
def test_labels_and_initial_options_fit_in_one_line(
    chromium: Any, closed_server: Server, language: str, width: int
) -> None:
    with _page(chromium, closed_server, locale=language, viewport={"width": width, "height": 844}) as page:
        lines = page.locator(".fields span").evaluate_all(
            "labels => labels.map((label) => label.getClientRects().length)"
        )
        assert len(lines) >= 4
        assert set(lines) == {1}
        widths = page.locator("select").evaluate_all(_OPTION_WIDTHS_SCRIPT)
        assert [shown for text, shown in widths if text > shown] == []


def test_photos_can_be_swapped(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], photos["six"])
        page.click("#swap")
        assert page.locator("#result").is_hidden()
        assert page.locator("rect").count() == 0
        assert [page.get_attribute(f"#photo-{side} img", "alt") for side in "ab"] == [
            "Photo A: six.jpg",
            "Photo B: a.jpg",
        ]
        page.click("#compare")
        assert "Different people" in _result_text(page)
        assert page.locator("#photo-a rect.face").count() == 5
        page.set_input_files("#file-A", photos["six"])  # a file can be chosen again after it moved
        page.locator("#photo-a img[alt='Photo A: six.jpg']").wait_for()


@pytest.mark.parametrize("width", [1280, 390])
def test_the_camera_takes_a_photo_and_is_switched_off(
    chromium: Any, open_server: Server, width: int, screenshot: Callable[[Any, str], None]
) -> None:
    with _page(chromium, open_server, permissions=["camera"], viewport={"width": width, "height": 844}) as page:
        for end in ("Cancel", "Take the photo"):
            page.click("#photo-a :text('Camera')")
            page.locator("#photo-a video").evaluate(_FIRST_FRAME_SCRIPT)
            screenshot(page, f"camera-{width}")
            check_accessibility(page)
            tracks = page.evaluate_handle("document.querySelector('video').srcObject.getTracks()")
            page.click(f"#photo-a :text('{end}')")
            page.locator("#photo-a video").wait_for(state="detached")
            assert tracks.evaluate("tracks => tracks.map(({ readyState }) => readyState)") == ["ended"]
        assert page.locator("#photo-a img").get_attribute("alt") == "Photo A: camera"


def test_a_forbidden_camera_is_explained(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server) as page:
        page.evaluate("() => { navigator.mediaDevices.getUserMedia = () => Promise.reject(new DOMException()); }")
        page.click("#photo-a :text('Camera')")
        assert "The browser did not provide a camera." in page.inner_text("#photo-a")


def test_without_a_secure_context_there_is_no_camera(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server, host="iai.example") as page:
        assert page.locator(":text('Camera')").count() == 0


@pytest.mark.parametrize(
    ("status", "language", "text"),
    [
        ("measured", "en-US", "Measured on LFW"),
        ("measured", "zh-CN", "测量数据：LFW deep-funneled 中用于开发的一半"),
        ("partly extrapolated", "en-US", "too few people to measure all rates: LFW"),
        ("provisional", "en-US", "the rates are provisional"),
    ],
)
def test_the_status_and_the_data_of_the_calibration_are_named(
    chromium: Any, open_server: Server, photos: _PHOTOS, status: str, language: str, text: str
) -> None:
    with _page(chromium, open_server, locale=language) as page:
        information = page.evaluate("fetch('version').then((reply) => reply.json())")
        information["engine"]["calibration"]["open"]["populations"]["general"]["status"] = status
        page.route("**/version", lambda route: route.fulfill(json=information))
        page.reload()
        page.locator("html[data-ready]").wait_for()
        assert text in _compare(page, photos["a"], photos["b"])


def test_urls_are_downloaded_by_the_server_only(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server) as page:
        requested: list[str] = []
        page.on("request", lambda request: requested.append(request.url))
        page.fill("#url-A", "http://127.0.0.1/a.jpg")
        page.fill("#url-B", "http://127.0.0.1/b.jpg")
        page.click("#compare")
        assert "could not download the image" in _result_text(page)
        assert {url for url in requested if not url.startswith("blob:")} == {f"http://{open_server.endpoint}/"}


@pytest.mark.parametrize("body", ['{"message": "bad gateway"}', "<html>", "null"])
def test_the_page_remains_usable_after_the_reply_of_a_proxy(chromium: Any, open_server: Server, body: str) -> None:
    with _page(chromium, open_server) as page:
        page.fill("#url-A", "http://127.0.0.1/a.jpg")
        page.fill("#url-B", "http://127.0.0.1/b.jpg")
        page.route(f"http://{open_server.endpoint}/", lambda route: route.fulfill(body=body))
        page.click("#compare")
        assert "The server did not answer" in _result_text(page)
        page.unroute(f"http://{open_server.endpoint}/")
        page.click("#compare")
        page.locator(".error:has-text('could not download')").wait_for()


def test_missing_input_is_announced(chromium: Any, open_server: Server) -> None:
    with _page(chromium, open_server) as page:
        page.click("#compare")
        assert page.inner_text("#status") == page.inner_text("#missing") == "Choose both photos first."


def test_the_remove_button_keeps_focus_when_faces_are_drawn(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        page.set_input_files("#file-A", photos["a"])
        page.set_input_files("#file-B", photos["b"])
        page.locator("#photo-b img").wait_for()
        page.focus("#photo-a button[aria-label='Remove photo A']")
        page.evaluate("document.getElementById('form').requestSubmit()")
        _result_text(page)
        assert page.locator("#photo-a rect.largest").count() == 1
        assert page.evaluate("document.activeElement.ariaLabel") == "Remove photo A"


def test_the_page_is_usable_with_the_keyboard_only(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server) as page:
        for side, name in (("A", "a"), ("B", "b")):
            with page.expect_file_chooser() as chooser:
                _tab_to(page, f"file-{side}")
                page.keyboard.press("Space")
            chooser.value.set_files(photos[name])
            page.locator(f"#photo-{side.lower()} img").wait_for()
        _tab_to(page, "compare")
        page.keyboard.press("Enter")
        _result_text(page)
        _tab_to(page, "tab-0")
        for key, part in {"ArrowRight": "import base64", "End": "using System", "Home": "curl"}.items():
            page.keyboard.press(key)
            assert part in page.inner_text("#code")


def test_screen_readers_get_the_result_as_headline_scale_and_table(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server) as page:
        _compare(page, photos["a"], photos["b"])
        snapshot = page.locator("#result").aria_snapshot()
        assert re.search(r"paragraph: Score [\d.]+ Same person, even at the strict threshold", snapshot)
        assert re.search(r'img "Score [\d.]+ on a scale of 0 to 100, with marks at 40, 50, 60\."', snapshot)
        assert re.search(r'group: "?Image quality \(A, B\): minor problems', snapshot)
        page.click(".quality summary")
        snapshot = page.locator("#result").aria_snapshot()
        assert re.search(r'table "Image quality of the faces"', snapshot)
        assert re.search(r'rowheader "Sharpness"\s+- cell "\d+.*"\s+- cell "\d+.*"', snapshot)
        assert 'img "Photo A: a.jpg"' in page.locator("#photo-a").aria_snapshot()


def test_forced_colours_distinguish_the_selected_tab(chromium: Any, open_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, open_server, forced_colors="active") as page:
        _compare(page, photos["a"], photos["b"])
        border_colours = page.locator("[role=tab]").evaluate_all(
            "tabs => tabs.map(tab => getComputedStyle(tab).borderBottomColor)"
        )
        background = page.evaluate("getComputedStyle(document.body).backgroundColor")
        assert border_colours[0] != background
        assert set(border_colours[1:]) == {background}


def _tab_to(page: Any, identifier: str) -> None:
    for _ in range(60):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.id") == identifier:
            return
    raise AssertionError(f"the Tab key does not reach {identifier}")


def test_the_page_uses_the_language_of_the_browser_and_can_be_switched(
    chromium: Any, open_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, open_server, locale="zh-CN") as page:
        assert "按严格阈值也判为同一人" in _compare(page, photos["a"], photos["b"])
        assert page.get_attribute("html", "lang") == "zh-CN"
        page.click("#language")
        assert "Same person, even at the strict threshold" in page.inner_text("#result")


def test_a_key_is_kept_over_a_reload_on_request_only(chromium: Any, closed_server: Server) -> None:
    with _page(chromium, closed_server) as page:
        for is_remembered in (False, True):
            page.fill("#secret-id", "AKIDmine")
            page.set_checked("#remember", is_remembered)
            page.reload()
            page.locator("html[data-ready]").wait_for()
            assert page.input_value("#secret-id") == ("AKIDmine" if is_remembered else "")


def test_no_tab_contains_the_secret_key(chromium: Any, closed_server: Server, photos: _PHOTOS) -> None:
    with _page(chromium, closed_server) as page:
        _compare(page, photos["a"], photos["b"], closed_server)
        for tab in page.locator("[role=tab]").all():
            tab.click()
            text = page.inner_text("#code")
            assert closed_server.secret_key not in text
            assert closed_server.secret_id in text


def test_curl_and_python_programs_return_the_score_of_the_page(
    chromium: Any, closed_server: Server, photos: _PHOTOS
) -> None:
    with _page(chromium, closed_server) as page:
        page.select_option("#face-model-version", "2.0")
        _compare(page, photos["a"], photos["b"], closed_server)
        score, folder = _score(page), photos["a"].parent
        with page.expect_download() as download:
            page.click("#save")
        download.value.save_as(folder / "request.json")
        for name, command in (("curl", ["bash", "-c"]), ("Python", [sys.executable, "-c"])):
            page.click(f"[role=tab]:text-is('{name}')")
            text = page.inner_text("#code")
            environment = {"SECRET_KEY": closed_server.secret_key, "PATH": "/usr/bin:/bin"}
            completed = subprocess.run(
                [*command, text], cwd=folder, env=environment, capture_output=True, text=True, check=True
            )
            printed = re.search(r'(?:"Score":|^)([\d.]+)', completed.stdout)
            assert printed, completed.stdout
            assert float(printed[1]) == pytest.approx(score, abs=0.01)


def test_large_photos_are_reduced_with_a_note(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path
) -> None:
    large = tmp_path / "large.jpg"
    large.write_bytes(jpeg(shrunk(astronaut(), 4200)))
    with _page(chromium, open_server) as page:
        _compare(page, large, photos["b"])
        assert _score(page) > 60
        assert "sent as a JPEG of 4000 × 4000" in page.inner_text("#photo-a")


def test_a_face_rejected_by_quality_control_is_explained_with_its_values(
    chromium: Any, open_server: Server, photos: _PHOTOS, tmp_path: Path, screenshot: Callable[[Any, str], None]
) -> None:
    blurred_photo = tmp_path / "blurred.jpg"
    blurred_photo.write_bytes(jpeg(blurred(astronaut(), 4)))
    with _page(chromium, open_server) as page:
        page.select_option("#quality-control", "4")
        text = _compare(page, photos["a"], blurred_photo)
        screenshot(page, "quality")
        assert "too low for the selected QualityControl" in text
        assert "blurriness. (image B)" in text
        assert "serious problems – photo B: Sharpness" in text
        assert page.locator("td.low").first.is_visible()
        assert "▾ marks values that QualityControl treats as a problem." in text


_BROWSER_OPTIONS: dict[str, dict[str, Any]] = {
    "light": {},
    "dark": {"color_scheme": "dark"},
    "chinese": {"locale": "zh-CN"},
    "phone": {"viewport": {"width": 390, "height": 844}},
    "narrow": {"viewport": {"width": 320, "height": 640}},
    "forced": {"forced_colors": "active"},
}


@pytest.mark.parametrize("variant", _BROWSER_OPTIONS)
@pytest.mark.parametrize("other", ["b", "faceless"])
def test_every_variant_of_the_page_is_accessible(
    chromium: Any,
    closed_server: Server,
    photos: _PHOTOS,
    variant: str,
    other: str,
    screenshot: Callable[[Any, str], None],
) -> None:
    with _page(chromium, closed_server, **_BROWSER_OPTIONS[variant]) as page:
        check_accessibility(page)
        screenshot(page, f"{variant}-start")
        _compare(page, photos["a"], photos[other], closed_server)
        screenshot(page, f"{variant}-{other}")
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        check_accessibility(page)
