"""The report page, rendered from an evaluation of random embeddings."""

import base64
import dataclasses
import hashlib
import re
import xml.etree.ElementTree as ET
from html import escape, unescape
from html.parser import HTMLParser

import pytest

import app
from app.domain import Population
from app.scoring.calibration import Status
from app.tools.evaluation.evaluation import Evaluation, evaluate
from app.tools.evaluation.group_rates import group_rates
from app.tools.evaluation.intervals import binomial
from app.tools.evaluation.pairs import count_pairs
from app.tools.evaluation.report import _far, _share, _tar, render
from app.tools.evaluation.report_texts import Texts
from tests.tools.evaluation.random_faces import calibration_of, grouped_calibration, grouped_measurement, random_faces


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
    assert collector.tags & {"svg", "table"}
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
    assert len(charts) == 6, "three per language"
    for chart in charts:
        root = ET.fromstring(chart)
        _, _, width, height = (float(number) for number in root.attrib["viewBox"].split())
        points = [point for element in root.iter() for point in element.attrib.get("points", "").split()]
        assert len(points) > 50
        for x, y in (point.split(",") for point in points):
            assert 0 <= float(x) <= width
            assert 0 <= float(y) <= height


def test_documented_scores_are_marked_in_all_charts(page: str) -> None:
    for chart in re.findall("<svg.*?</svg>", page, flags=re.DOTALL):
        assert re.findall('class="mark"[^>]*>(.*?)<', chart) == ["40", "50", "60"]


def test_extrapolated_points_are_named_and_dashed(page: str, evaluation: Evaluation) -> None:
    extrapolated = [point for point in evaluation.table.impostor if point.is_extrapolated]
    assert extrapolated
    assert page.count(">extrapolated<tr") + page.count(">extrapolated</table") == len(extrapolated)
    assert page.count('<polyline class="extrapolated"') == 4, "two per language"


def _rows(page: str, heading: str) -> list[list[str]]:
    table = page.partition(f"<h2>{heading}</h2>")[2].partition("<table")[2].partition("</table>")[0]
    return [re.split("<td[^>]*>", row)[1:] for row in table.split("<tr>")[2:]]


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


def test_a_calibration_on_few_people_and_a_provisional_one_are_marked(evaluation: Evaluation, page: str) -> None:
    assert evaluation.calibration.status() is Status.PARTLY_EXTRAPOLATED
    assert '<span class="badge extrapolated">Partly extrapolated</span>' in page
    assert "The people are too few to measure the FARs at all of the scores" in page
    assert "Keep the active calibration; <code>compareface evaluate</code> shows its FAR" in page
    provisional = dataclasses.replace(evaluation.calibration, is_provisional=True)
    page = render(dataclasses.replace(evaluation, calibration=provisional))
    assert '<span class="badge extrapolated">Provisional</span>' in page
    assert "This calibration was not measured with this embedder." in page


def test_a_calibration_has_no_caution_if_all_populations_are_measured(evaluation: Evaluation) -> None:
    table = evaluation.table
    impostor = tuple(point._replace(is_extrapolated=False) for point in table.impostor)
    populations = {Population.GENERAL: dataclasses.replace(table, impostor=impostor)}
    measured = dataclasses.replace(evaluation.calibration, populations=populations)
    page = render(dataclasses.replace(evaluation, calibration=measured))
    assert '<span class="badge measured">Measured</span>' in page
    assert 'class="caution"' not in page
    assert _rows(page, "Summary")[1][2] == "60&nbsp;(90)"
    measured = dataclasses.replace(measured, populations={**populations, Population.MATCHED: table})
    groups = group_rates(grouped_measurement(), grouped_calibration())
    page = render(dataclasses.replace(evaluation, calibration=measured), groups)
    assert '<span class="badge extrapolated">Partly extrapolated</span>' in page, "one population is enough"
    assert 'class="caution"' in page


def test_the_page_does_not_claim_that_extrapolated_fars_meet_their_targets(page: str) -> None:
    assert (
        "Measured FARs at 40, 50 and 60 therefore meet their targets on this data;\nextrapolated ones need not" in page
    )
    assert "40、50、60 处实测的误识率在本数据上符合目标，外推的则未必" in page


def test_the_summary_and_the_limits_come_before_the_charts(page: str) -> None:
    english = page.partition('<main lang="zh-CN">')[0]
    headings = re.findall("<h2>(.*?)</h2>", english)
    assert headings[:3] == ["Summary", "Limits of these numbers", "Scores of pairs"]
    assert headings[-1] == "Sign-off"


def test_the_summary_recommends_a_threshold_per_use(evaluation: Evaluation, page: str) -> None:
    rows = _rows(page, "Summary")
    assert [(row[1], row[2].partition("<")[0]) for row in rows] == [
        ("general", "50&nbsp;(80)"),
        ("general", "60&nbsp;(90)"),
        ("matched", "50&nbsp;(80)"),
        ("matched", "60&nbsp;(90)"),
    ]
    assert [re.findall("[a-z]+</span>", row[5]) for row in rows[:2]] == [
        ["extrapolated</span>" if point.is_extrapolated else "measured</span>"]
        for point in evaluation.table.impostor
        if point.far in {1e-4, 1e-5}
    ]
    assert [row[2].endswith("<small>not yet measured</small>") for row in rows] == [
        "measured</span>" not in row[5] for row in rows
    ]
    assert {(row[3], row[4]) for row in rows[2:]} == {("–", "–")}
    assert "calibrate --groups" in rows[2][5]


def test_the_summary_of_matched_has_the_highest_far_of_the_groups() -> None:
    measured, calibration = grouped_measurement(), grouped_calibration()
    groups = group_rates(measured, calibration)
    worst = max(row.fars[1].value for row in groups if row.population is Population.MATCHED)
    rows = _rows(render(measured.evaluate(calibration), groups), "Summary")
    assert worst > 0
    assert rows[2][3].startswith(_share(worst))
    assert float(rows[2][4].removesuffix(" %")) < float(rows[0][4].partition(" %")[0]), "a stricter cosine"


@pytest.mark.parametrize("precision", ["int8", "float32"])
def test_the_page_names_program_precision_and_population(evaluation: Evaluation, precision: str) -> None:
    page = render(evaluation, precision=precision)
    assert f"<td>compareface {app.__version__}" in page
    assert f"<td>{precision}; <code>{evaluation.calibration.embedder_sha256[:16]}</code>" in page
    assert '<th scope="row">Population<td>general' in page


def test_the_number_of_people_that_each_threshold_needs_is_stated(page: str) -> None:
    assert "it takes\n123 people to measure 40, 388 to measure 50 and 1,226 to measure 60" in page


@pytest.mark.parametrize(
    ("share", "text"),
    [(0.0, "0 %"), (0.0026, "0.260 %"), (0.000009996, "0.00100 %"), (0.9996, "100 %"), (0.69, "69.0 %")],
)
def test_counted_shares_have_three_significant_digits(share: float, text: str) -> None:
    assert _share(share) == text


def test_the_far_of_each_group_and_the_deciding_groups_are_listed(page: str) -> None:
    measured, calibration = grouped_measurement(), grouped_calibration()
    grouped = render(measured.evaluate(calibration), group_rates(measured, calibration))
    rows = _rows(grouped, "FAR by group")
    assert [row[0] for row in rows] == ["alike", "alike", "varied", "varied"]
    assert [row[2] for row in rows] == ["general", "matched"] * 2
    methods = [row[-1] for row in _rows(grouped, "Operating points of the population matched")]
    assert {method.partition(", ")[2] for method in methods} == {"alike"}
    assert "FAR by group" not in page


def test_both_languages_have_the_same_structure(page: str) -> None:
    english, _, chinese = page.partition('<main lang="zh-CN">')
    english = english.partition('<main lang="en">')[2]

    def structure(text: str) -> list[str]:
        return re.findall(r"</?(?:h1|h2|p|ul|li|b|i|figure|table|tr|th|td|svg)\b", text)

    assert structure(english) == structure(chinese)
    numbers = [
        sorted(re.findall(r"\d[\d.,]*\d", re.sub("<svg.*?</svg>", "", text, flags=re.DOTALL)))
        for text in (english, chinese)
    ]
    assert numbers[0] == numbers[1]


def test_the_chinese_page_has_no_english_text(page: str, evaluation: Evaluation) -> None:
    chinese = page.partition('<main lang="zh-CN">')[2]
    for shown in (evaluation.table.data, *(name for match in evaluation.hardest for name in (match.a, match.b))):
        chinese = chinese.replace(escape(shown), "")
    words = set(re.findall("[A-Za-z]{2,}", unescape(re.sub("<[^>]+>", " ", chinese))))
    terms = {"FAR", "TAR", "FRR", "DET", "ROC", "FaceModelVersion", "general", "matched", "float", "sha"}
    names = {"compareface", "calibrate", "evaluate", "groups", "random", evaluation.calibration.embedder_sha256[:16]}
    assert words - terms - names == set()


@pytest.mark.parametrize(
    ("accepted", "pairs", "text"),
    [
        (0, 37_018, "&lt; 0.0104 %（37,018 对中的 0 对）"),
        (40, 40, "&gt; 91.2 %（40 对中的 40 对）"),
        (0, 0, "未知（没有图片对）"),
    ],
)
def test_bounds_are_translated(accepted: int, pairs: int, text: str) -> None:
    assert _far(binomial(accepted, pairs), pairs, Texts("zh-CN")) == text
    assert _tar(binomial(accepted, pairs), pairs, Texts("zh-CN")) == text
