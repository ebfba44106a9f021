"""Render an evaluation as one HTML page, in English and Chinese, with a switch between them.

The page loads no resources and runs no scripts. It names images but shows none. ``report.html`` is the frame,
``report.en.html`` and ``report.zh-CN.html`` are the content, ``report.json`` has the texts of tables and charts.
"""

import base64
import hashlib
from collections.abc import Iterable, Sequence
from html import escape
from pathlib import Path
from string import Template

import numpy as np

import app
from app.domain import FaceModelVersion, Population
from app.scoring.calibration import PopulationTable, Status
from app.scoring.scale import SCORE_THRESHOLDS, Scale
from app.tools.evaluation.curves import BAR_WIDTH, det_chart, histogram, pairs_by_score, rate_curve, roc_chart
from app.tools.evaluation.evaluation import Evaluation
from app.tools.evaluation.group_rates import SCORES, GroupRates
from app.tools.evaluation.intervals import Rate
from app.tools.evaluation.pairs import PairCounts
from app.tools.evaluation.percent import digits, percent
from app.tools.evaluation.report_texts import LANGUAGES, Texts
from app.tools.evaluation.sample_size import MIN_EXPECTED_IMPOSTORS, people_needed

_FOLDER = Path(__file__).parent
_USES = (
    ("login", Population.GENERAL, 50, 80),
    ("secondFactor", Population.GENERAL, 60, 90),
    ("verification", Population.MATCHED, 50, 80),
    ("payment", Population.MATCHED, 60, 90),
)
"""Recommended population and threshold (3.0, 2.0) of each use; models/FAR.md has the reasons."""


def render(evaluation: Evaluation, groups: Sequence[GroupRates] = (), precision: str = "float32") -> str:
    """Return the HTML page of ``evaluation``, which has the scores of the population ``general``.

    ``groups``: the FAR within each group; the calibration then has the population ``matched``. ``precision``: that of
    the embedder, ``int8`` or ``float32``.
    """
    english, chinese = (_content(evaluation, groups, precision, Texts(language)) for language in LANGUAGES)
    style = _read("report.css")
    return Template(_read("report.html")).substitute(
        style=style,
        style_digest=base64.b64encode(hashlib.sha256(style.encode()).digest()).decode(),
        pack=escape(evaluation.calibration.pack),
        english=english,
        chinese=chinese,
    )


def _content(evaluation: Evaluation, groups: Sequence[GroupRates], precision: str, texts: Texts) -> str:
    calibration, table, curve = evaluation.calibration, evaluation.table, rate_curve(evaluation)
    status = max(map(calibration.status, calibration.populations), key=list(Status).index)  # the worst
    caution = texts.get(f"caution:{status}")
    dependence = texts(
        "dependent" if table.people else "listedPairs", pairs=f"{table.impostor_pairs:,}", people=f"{table.people:,}"
    )
    return Template(_read(f"report.{texts.language}.html")).substitute(
        pack=escape(calibration.pack),
        data=escape(table.data),
        status=texts(f"status:{status}"),
        status_class="extrapolated" if caution else "measured",
        caution=f'<p class="caution">{caution}</p>' if caution else "",
        uses=_uses(evaluation, groups, texts),
        **{
            f"people_{score:g}": f"{people_needed(far):,}"
            for score, far in SCORE_THRESHOLDS[FaceModelVersion.V3].items()
        },
        about=_about(evaluation, precision, texts),
        min_impostors=MIN_EXPECTED_IMPOSTORS,
        dependence=dependence,
        bar_width=f"{BAR_WIDTH:g}",
        histogram=histogram(evaluation, texts),
        deciles=_deciles(evaluation, texts),
        thresholds=_thresholds(evaluation, texts),
        det=det_chart(evaluation, curve, texts),
        roc=roc_chart(evaluation, curve, texts),
        operating_points=_operating_points(table, evaluation.scale, evaluation.counts, texts),
        groups=_groups(evaluation, groups, texts) if groups else "",
        hardest=_hardest_impostors(evaluation, texts),
        sign_off=_properties([(texts(key), "") for key in ("decision", "conditions", "name", "signature")], "sign-off"),
    )


def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")


def _table(head: Sequence[str], rows: Iterable[Sequence[str]], css_class: str = "") -> str:
    """Return a table; its cells are HTML. It scrolls on narrow screens, ``cards`` shows each row as a card instead."""
    titles = "".join(f'<th scope="col">{cell}' for cell in head)
    body = "".join(
        "<tr>" + "".join(f'<td data-label="{title}">{cell}' for title, cell in zip(head, row, strict=True))
        for row in rows
    )
    table = f'<table class="{css_class}"><thead><tr>{titles}<tbody>{body}</table>'
    return f'<div class="scroll" tabindex="0">{table}</div>' if css_class != "cards left" else table


def _properties(rows: Iterable[tuple[str, str]], css_class: str = "") -> str:
    """Return a table of names and values; both are HTML."""
    body = "".join(f'<tr><th scope="row">{name}<td>{value}' for name, value in rows)
    return f'<table class="left properties {css_class}"><tbody>{body}</table>'


def _uses(evaluation: Evaluation, groups: Sequence[GroupRates], texts: Texts) -> str:
    """Return the table of the recommended thresholds; a threshold that is not measured is marked."""
    rows = []
    for use, population, score, score_of_version_2 in _USES:
        rates, threshold = ("–", "–", texts("uncalibrated")), f"{score}&nbsp;({score_of_version_2})"
        if population in evaluation.calibration.populations:
            rates = _rates_at(evaluation, groups, population, score, texts)
        if not _is_measured(evaluation, population, score):
            threshold += f"<small>{texts('notMeasured')}</small>"
        rows.append((texts(f"use:{use}"), str(population), threshold, *rates))
    keys = ("useHead", "population", "recommendedThreshold", "far", "tar", "target")
    return _table([texts(key) for key in keys], rows, "cards left")


def _is_measured(evaluation: Evaluation, population: Population, score: int) -> bool:
    table, far = evaluation.calibration.populations.get(population), SCORE_THRESHOLDS[FaceModelVersion.V3][score]
    return table is not None and not any(point.is_extrapolated for point in table.impostor if point.far == far)


def _rates_at(
    evaluation: Evaluation, groups: Sequence[GroupRates], population: Population, score: int, texts: Texts
) -> tuple[str, str, str]:
    """Return FAR, TAR and the method of the point at ``score``; for ``matched`` the FAR of the worst group."""
    table, target = evaluation.calibration.table(population), SCORE_THRESHOLDS[FaceModelVersion.V3][score]
    if population is Population.GENERAL:
        row = next(row for row in evaluation.rows if row.version is FaceModelVersion.V3 and row.score == score)
        far = _far(row.far, table.impostor_pairs, texts)
        tar = _tar(row.tar, evaluation.counts.genuine_pairs, texts)
    else:
        rates = [(row.fars[SCORES.index(score)], row.impostor_pairs) for row in groups if row.population is population]
        far = _far(*max(rates, key=lambda rate: (rate[0].value, rate[0].high)), texts)
        tar = f"{100 * evaluation.counts.tar(table.cosine_at_far(target)):.1f} %"
    method = "measured" if _is_measured(evaluation, population, score) else "extrapolated"
    return far, tar, f'{percent(target)} <span class="badge {method}">{texts(method)}</span>'


def _about(evaluation: Evaluation, precision: str, texts: Texts) -> str:
    calibration, table = evaluation.calibration, evaluation.table
    sha256 = escape(calibration.embedder_sha256[:16])
    return _properties(
        (
            (texts("population"), str(evaluation.population)),
            (texts("data"), escape(table.data)),
            (texts("date"), escape(calibration.date)),
            (texts("people"), f"{table.people:,}" if table.people else texts("unknown")),
            (texts("images"), texts("imagesValue", images=f"{table.images:,}", not_found=f"{table.not_found:,}")),
            (texts("genuinePairs"), texts("genuinePairsValue", pairs=f"{table.genuine_pairs:,}")),
            (texts("impostorPairs"), texts("impostorPairsValue", pairs=f"{table.impostor_pairs:,}")),
            (texts("embedder"), texts("embedderValue", precision=precision, sha256=sha256)),
            (texts("program"), f"compareface {app.__version__}"),
        )
    )


def _deciles(evaluation: Evaluation, texts: Texts) -> str:
    counts = evaluation.counts
    edges, rows = np.arange(0.0, 101.0, 10.0), []
    for low, genuine, impostor in zip(edges[:-1], *pairs_by_score(evaluation, edges), strict=True):
        tar, far = genuine / max(1, counts.genuine_pairs), impostor / max(1, counts.impostor_pairs)
        ratio = digits(tar / far) if far else "–"
        scores = texts("interval", low=f"{low:.0f}", high=f"{low + 10:.0f}")
        rows.append((scores, f"{genuine:,}", _share(tar), f"{impostor:,}", _share(far), ratio))
    keys = ("score", "genuinePairs", "share", "impostorPairs", "share", "likelihoodRatio")
    return _table([texts(key) for key in keys], rows)


def _thresholds(evaluation: Evaluation, texts: Texts) -> str:
    impostor, genuine = evaluation.counts.impostor_pairs, evaluation.counts.genuine_pairs
    rows = [
        (
            str(row.version),
            f"{row.score:g}",
            f"{row.cosine:.4f}",
            _far(row.far, impostor, texts),
            _tar(row.tar, genuine, texts),
        )
        for row in evaluation.rows
    ]
    return _table(("FaceModelVersion", *map(texts, ("threshold", "cosine", "far", "tar"))), rows)


def _far(rate: Rate, pairs: int, texts: Texts) -> str:
    """Return a FAR with three significant digits, and its interval."""
    if rate.bound:
        return _bound(rate, pairs, texts)
    interval = texts("interval", low=digits(100 * rate.low, trailing_zeros=True), high=_share(rate.high))
    return f"{_share(rate.value)}<small>{interval}</small>"


def _tar(rate: Rate, pairs: int, texts: Texts) -> str:
    """Return a TAR with one decimal, and its interval."""
    if rate.bound:
        return _bound(rate, pairs, texts)
    interval = texts("interval", low=f"{100 * rate.low:.1f}", high=f"{100 * rate.high:.1f} %")
    return f"{100 * rate.value:.1f} %<small>{interval}</small>"


def _bound(rate: Rate, pairs: int, texts: Texts) -> str:
    """Return a rate at which no or all pairs are accepted."""
    if not pairs:
        return texts("noPairs")
    return texts("bound", bound=escape(rate.bound), accepted=f"{rate.value * pairs:,.0f}", pairs=f"{pairs:,}")


def _share(share: float) -> str:
    """Return a counted share of pairs in percent, always with three significant digits."""
    return percent(share, trailing_zeros=True)


def _groups(evaluation: Evaluation, groups: Sequence[GroupRates], texts: Texts) -> str:
    matched = evaluation.calibration.table(Population.MATCHED)
    rows = []
    for row in groups:
        fars = [_far(far, row.impostor_pairs, texts) for far in row.fars]
        rows.append((escape(row.group), f"{row.impostor_pairs:,}", str(row.population), *fars))
    head = [*map(texts, ("group", "impostorPairs", "population")), *(texts("farAt", score=f"{s:g}") for s in SCORES)]
    points = _operating_points(matched, Scale(matched, FaceModelVersion.V3), evaluation.counts, texts)
    return (
        f"<h2>{texts('groupsTitle')}</h2>\n{_table(head, rows)}\n"
        f"<p>{texts('groupsNote', data=escape(matched.data))}</p>\n"
        f"<h2>{texts('matchedTitle')}</h2>\n<p>{texts('matchedNote')}</p>\n{points}"
    )


def _operating_points(table: PopulationTable, scale: Scale, counts: PairCounts, texts: Texts) -> str:
    rows = [
        (
            percent(point.far),
            f"{point.cosine:.4f}" + (" [{:.4f}, {:.4f}]".format(*point.interval) if point.interval else ""),
            f"{scale.score(point.cosine):.1f}",
            f"{100 * counts.tar(point.cosine):.1f} %",
            digits(table.impostor_pairs_above(point)),
            texts("extrapolated" if point.is_extrapolated else "measured")
            + f", {escape(point.group)}" * bool(point.group),
        )
        for point in table.impostor
    ]
    return _table(("FAR", *map(texts, ("cosine", "score3")), "TAR", *map(texts, ("pairsAbove", "method"))), rows)


def _hardest_impostors(evaluation: Evaluation, texts: Texts) -> str:
    rows = [
        (f"{escape(match.a)}<br>{escape(match.b)}", f"{match.cosine:.4f}", f"{match.score:.1f}")
        for match in evaluation.hardest
    ]
    return _table([texts(key) for key in ("imageNames", "cosine", "score3")], rows, "name")
