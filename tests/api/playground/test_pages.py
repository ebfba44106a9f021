"""The page ``/docs`` and the calibration report in a real browser: layout and accessibility at two widths."""

from pathlib import Path
from typing import Any

import pytest

from app.tools.evaluation.group_rates import group_rates
from app.tools.evaluation.report import render
from tests.api.playground.conftest import check_accessibility
from tests.support.server import Server
from tests.tools.evaluation.random_faces import grouped_calibration, grouped_measurement

pytestmark = [pytest.mark.browser, pytest.mark.parametrize("width", [1280, 390])]
_FITS = "document.documentElement.scrollWidth <= innerWidth"


@pytest.fixture(scope="module")
def report(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The URL of a report."""
    measured, calibration = grouped_measurement(), grouped_calibration()
    file: Path = tmp_path_factory.mktemp("report") / "report.html"
    file.write_text(render(measured.evaluate(calibration), group_rates(measured, calibration)), encoding="utf-8")
    return file.as_uri()


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en", "zh-CN"])
def test_the_report_is_readable_and_shows_one_language(
    chromium: Any, report: str, width: int, scheme: Any, language: str
) -> None:
    with chromium.new_context(viewport={"width": width, "height": 844}, color_scheme=scheme) as context:
        page = context.new_page()
        page.goto(report)
        page.locator(f"label[lang={language}]").click()
        assert [main.get_attribute("lang") for main in page.locator("main:visible").all()] == [language]
        assert page.evaluate(_FITS)
        check_accessibility(page)


def test_the_summary_of_the_report_fits_without_scrolling(chromium: Any, report: str, width: int) -> None:
    with chromium.new_context(viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        page.goto(report)
        cells = page.locator("main[lang=en] .cards td").evaluate_all(
            "cells => cells.map((cell) => cell.getBoundingClientRect().right)"
        )
        assert len(cells) == 24
        assert max(cells) <= width


def test_a_printed_report_has_fields_for_the_sign_off_and_no_switch(chromium: Any, report: str, width: int) -> None:
    with chromium.new_context(viewport={"width": width, "height": 844}) as context:
        page = context.new_page()
        page.goto(report)
        page.emulate_media(media="print")
        assert page.locator("label:visible").count() == 0
        assert page.locator("main[lang=en] .sign-off td:visible").count() == 4


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("language", ["en-US", "zh-CN"])
def test_the_api_documentation_is_readable_and_switches_its_language(
    chromium: Any, open_server: Server, width: int, scheme: Any, language: str
) -> None:
    options = {"viewport": {"width": width, "height": 844}, "color_scheme": scheme, "locale": language}
    with chromium.new_context(**options) as context:
        page = context.new_page()
        page.goto(f"http://{open_server.endpoint}/docs")
        assert page.get_attribute("html", "lang") == language
        assert page.evaluate(_FITS)
        check_accessibility(page)
        page.locator("a[href^='docs?']").click()
        assert page.get_attribute("html", "lang") != language


def test_the_playground_links_to_the_documentation_in_its_language(
    chromium: Any, open_server: Server, width: int
) -> None:
    with chromium.new_context(viewport={"width": width, "height": 844}, locale="en-US") as context:
        page = context.new_page()
        page.goto(f"http://{open_server.endpoint}/playground")
        page.locator("html[data-ready]").wait_for()
        page.click("#language")
        page.click("#docs")
        assert page.get_attribute("html", "lang") == "zh-CN"
