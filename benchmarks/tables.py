"""Tables of results in Markdown; as a program, those of the documentation, from ``results/``."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

_RESULTS = Path(__file__).with_name("results")
_ALL = "shipped calibration, all people"
_SCORES_2_0 = {40: 70, 50: 80, 60: 90}
"""Score of model version 2.0 with the same FAR, by the score of 3.0."""
_PACKS = ("omz", "open")
_SERVICE_TITLES = {
    "baseline": "insightface behind FastAPI",
    "standin": "compareface, same weights",
    "open": "`open`",
    "omz": "`omz`",
}
_DEGRADATIONS = (
    "motion of 25 px",
    "Gaussian",
    "out of focus",
    "enlarged",
    "negative",
    "black",
    "levels",
    "JPEG",
    "watermark",
)
"""Parts of the names of degradations."""
_NOT_SHOWN = ("LFW, used for training", "dark (Yale B)")


def main() -> None:
    print(
        "\n".join(
            [
                *scores(),
                "",
                *packs(),
                "",
                *similar_people(),
                "",
                *quality(),
                "",
                *degraded(),
                "",
                *speed(),
                "",
                *sizing(),
            ]
        )
    )


def table(title: str, rows: Mapping[str, Mapping[str, object]]) -> None:
    """Print rows with the same columns."""
    heads = list(next(iter(rows.values())))
    print(f"\n| {title} | {' | '.join(heads).replace('_', ' ')} |\n|---|{'---|' * len(heads)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(str(value) for value in row.values())} |")


def write_json(path: Path | None, result: object) -> None:
    """Write the numbers of a benchmark, if there is a ``path``."""
    if path is not None:
        path.write_text(json.dumps(result, indent=1) + "\n", encoding="utf-8")


def min_median_max(values: Sequence[float], digits: int = 1) -> list[float]:
    """Return minimum, median and maximum."""
    return [round(value, digits) for value in (min(values), median(values), max(values))]


def scores() -> Iterator[str]:
    """Yield FAR and TAR of every usual threshold."""
    results = {name: _result(f"accuracy-{name}") for name in _PACKS}
    yield f"| score (3.0) | 2.0 | {' | '.join(f'`{name}`: FAR | `{name}`: TAR' for name in _PACKS)} |"
    yield f"|---|---|{'---|' * 2 * len(_PACKS)}"
    for score in (40, 50, 60, 70, 80, 85, 90):
        cells = []
        for result in results.values():
            row = _row(result["tables"][_ALL], score)
            cells += [_far_cell(row["far"]), _tar_cell(row["tar"])]
        yield f"| {score} | {_SCORES_2_0.get(score, '')} | {' | '.join(cells)} |"


def packs() -> Iterator[str]:
    """Yield the measured packs, the most accurate first."""
    yield "| pack | ten-fold accuracy | ms per image |"
    yield "|---|---|---|"
    for name in _PACKS:
        result = _result(f"accuracy-{name}")
        mean, error = result["ten_fold"]
        yield f"| `{name}` | {100 * mean:.2f} % ± {100 * error:.2f} | {result['milliseconds_per_image']:.0f} |"


def similar_people() -> Iterator[str]:
    """Yield the FAR for impostors who resemble each other, by group and pack."""
    result: dict[str, Any] = json.loads((_RESULTS / "similar_people.json").read_text(encoding="utf-8"))
    yield "| impostor pairs | people | pairs | pack | FAR at 40 | at 50 | at 60 |"
    yield "|---|---|---|---|---|---|---|"
    for pack in _PACKS:
        for title, group in result[pack].items():
            cells = " | ".join(_far_cell(row["far"]) for row in group["rows"])
            yield f"| {title} | {group['people']:,} | {group['impostor_pairs']:,} | `{pack}` | {cells} |"


def quality() -> Iterator[str]:
    """Yield the quality of each data set; of LFW, people who were not used for training."""
    result = _result("quality")
    for name, row in result["covered"].items():
        if name not in _NOT_SHOWN:
            grades = result["grades"][name]
            yield (
                f"| {name} | {row['faces']} | {row['mouth_or_nose']} % {row['95 %']} | {row['eyes']} % | "
                f"{grades['below_2']} % | {grades['4']} % |"
            )


def degraded() -> Iterator[str]:
    """Yield the share of degraded faces that ``QualityControl`` accepts: the highest of each kind of degradation."""
    yield "| degradation | level 1 passes | level 2 passes |"
    yield "|---|---|---|"
    rows = _result("quality")["degraded_LFW_held_out"]
    for kind in _DEGRADATIONS:
        kept = [row for name, row in rows.items() if kind in name]
        yield f"| {kind} | {' | '.join(f'{max(row[level] for row in kept)} %' for level in ('level_1', 'level_2'))} |"


def speed() -> Iterator[str]:
    """Yield latency and throughput of the services measured side by side; medians of the rounds."""
    result = _result("speed")
    for title, rows in result["sets"].items():
        for name, row in rows.items():
            _, milliseconds, _ = row["ms"]
            _, rate, _ = row["per_second"]
            low, _, high = row["times_baseline"]
            faster = 1 / row["of_baseline"][1]
            ratios = f"{faster:.1f} | {row['times_baseline'][1]:.1f} [{low:.1f}, {high:.1f}]"
            yield (
                f"| {title} | {_SERVICE_TITLES[name]} | {milliseconds:.0f} | {rate:.0f} | "
                f"{'1 | 1' if name == 'baseline' else ratios} | {result['peak_mib'][name]} |"
            )


def sizing() -> Iterator[str]:
    """Yield comparisons per second, memory and cold start of each pack on one core; medians of the rounds."""
    result = _result("sizing")
    for name, row in result["packs"].items():
        rates = [
            f"{middle:.0f} [{low:.0f}, {high:.0f}]" for key, (low, middle, high) in row.items() if "second," in key
        ]
        ready, peak, start = row["ready_mib"], row["peak_mib"], row["cold_start_s"]
        yield f"| `{name}` | {' | '.join(rates)} | {ready[1]:.0f} | {peak[2]:.0f} | {start[1]:.1f} |"


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((_RESULTS / f"{name}.json").read_text(encoding="utf-8"))
    return result


def _row(table: list[dict[str, Any]], score: int) -> dict[str, Any]:
    return next(row for row in table if (row["version"], row["score"]) == ("3.0", score))


def _far_cell(rate: Sequence[float]) -> str:
    value, low, high = (_two_digits(100 * share) for share in rate)
    return f"{value} % [{low}, {high}]"


def _tar_cell(rate: Sequence[float]) -> str:
    value, low, high = (f"{100 * share:.1f}" for share in rate)
    return f"{value} % [{low}, {high}]"


def _two_digits(percent: float) -> str:
    """Return a percentage with two significant digits, without exponent."""
    return f"{percent:.{max(0, 1 - math.floor(math.log10(percent)))}f}" if percent else "0"


if __name__ == "__main__":
    main()
