"""The report page, rendered from an evaluation of random embeddings."""

import base64
import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ET
from html import unescape
from html.parser import HTMLParser

import pytest

from app.scoring.calibration import Status
from app.tools.evaluation.calibrate import calibrate
from app.tools.evaluation.evaluation import Evaluation, evaluate
from app.tools.evaluation.group_rates import group_rates
from app.tools.evaluation.pairs import count_pairs
from app.tools.evaluation.report import render
from tests.tools.evaluation.random_faces import PACK, calibration_of, grouped_measurement, random_faces


@pytest.fixture(scope="module", params=[50, 600])
def evaluation(request: pytest.FixtureRequest) -> Evaluation:
    faces = random_faces(request.param)
    counts = count_pairs(faces.embeddings, faces.people)
    return evaluate(faces, counts, calibration_of(counts, faces, data="<script>alert(1)</script>"))


@pytest.fixture(scope="module")
def page(evaluation: Evaluation) -> str:
    return render(evaluation)


class _TagCollector(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.attributes: set[str] = set()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        self.attributes |= {name for name, _ in attrs}


def test_the_page_loads_no_resources_and_runs_no_scripts(page: str) -> None:
    collector = _TagCollector()
    collector.feed(page)
    assert not collector.tags & {"script", "link", "img", "image", "iframe", "object", "form", "a", "use"}
    assert not collector.attributes & {"src", "href", "style", "xlink:href"}
    assert not any(name.startswith("on") for name in collector.attributes)
    assert "url(" not in page
    assert "://" not in page
    style = re.search("<style>(.*)</style>", page, flags=re.DOTALL)
    assert style is not None
    digest = base64.b64encode(hashlib.sha256(style[1].encode()).digest()).decode()
    assert f"style-src 'sha256-{digest}'" in page


def test_names_are_escaped(page: str, evaluation: Evaluation) -> None:
    assert "&lt;script&gt;alert(1)&lt;/script&gt;" in page
    for match in evaluation.hardest:
        assert match.a in unescape(page)
        assert match.a not in page


def test_charts_are_valid_svg_and_stay_within_their_frame(page: str) -> None:
    charts = re.findall("<svg.*?</svg>", page, flags=re.DOTALL)
    assert len(charts) == 3
    for chart in charts:
        root = ET.fromstring(chart)
        _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
        points = [point for element in root.iter() for point in element.attrib.get("points", "").split()]
        assert len(points) > 50
        for x, y in (point.split(",") for point in points):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_documented_scores_are_marked_in_the_curves(page: str) -> None:
    for chart in re.findall("<svg.*?</svg>", page, flags=re.DOTALL)[1:]:
        assert re.findall('class="mark"[^>]*>(.*?)<', chart) == ["40", "50", "60"]


def test_extrapolated_points_are_named_and_dashed(page: str, evaluation: Evaluation) -> None:
    extrapolated = [point for point in evaluation.table.impostor if point.is_extrapolated]
    assert extrapolated
    assert page.count("<td>extrapolated") == len(extrapolated)
    assert page.count('<polyline class="extrapolated"') == 2


def _rows(page: str, heading: str) -> list[list[str]]:
    table = page.partition(f"<h2>{heading}</h2>")[2].partition("<table")[2].partition("</table>")[0]
    return [re.split("<td>", row)[1:] for row in table.split("<tr>")[2:]]


def test_every_pair_is_counted_in_one_decile(page: str, evaluation: Evaluation) -> None:
    rows = _rows(page, "Scores of pairs")
    assert [row[0] for row in rows] == [f"{low} to {low + 10}" for low in range(0, 100, 10)]
    for column, total in ((1, evaluation.counts.genuine_pairs), (3, evaluation.counts.impostor_pairs)):
        assert sum(int(row[column].replace(",", "")) for row in rows) == total


def test_documented_and_common_thresholds_are_listed(page: str) -> None:
    thresholds = [(row[0], row[1]) for row in _rows(page, "FAR and TAR at score thresholds")]
    assert thresholds == [
        *(("3.0", str(s)) for s in (40, 50, 60, 70, 80, 85, 90)),
        *(("2.0", str(s)) for s in (70, 80, 90)),
    ]


def test_a_provisional_calibration_is_marked(evaluation: Evaluation) -> None:
    provisional = dataclasses.replace(evaluation.calibration, is_provisional=True)
    assert "Provisional" in render(dataclasses.replace(evaluation, calibration=provisional))
    assert "Provisional" not in render(evaluation)


def test_a_calibration_on_few_people_is_marked(evaluation: Evaluation, page: str) -> None:
    is_extrapolated = evaluation.calibration.status() is Status.PARTLY_EXTRAPOLATED
    assert ("<b>Partly extrapolated.</b>" in page) == is_extrapolated


def test_the_far_of_each_group_and_the_deciding_groups_are_listed(page: str) -> None:
    measured = grouped_measurement()
    calibration = calibrate(measured, PACK, "random")
    grouped = render(measured.evaluate(calibration), group_rates(measured, calibration))
    rows = _rows(grouped, "FAR by group")
    assert [row[0] for row in rows] == ["alike", "alike", "varied", "varied"]
    assert [row[2] for row in rows] == ["general", "matched"] * 2
    methods = [row[-1] for row in _rows(grouped, "Operating points of the population matched")]
    assert {method.partition(", ")[2] for method in methods} == {"alike"}
    assert "FAR by group" not in page


def test_the_page_names_the_population(page: str) -> None:
    assert "<td>Population<td>general" in page
