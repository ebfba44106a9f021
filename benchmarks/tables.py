"""Tables of results in Markdown; as a program, those of the documentation, from ``results/``."""

import json
import math
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

_RESULTS = Path(__file__).with_name("results")
_ALL = "shipped calibration, all people"
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
    "wave lines",
)
"""Parts of the names of degradations."""
_SHOWN_KINDS = (
    "Gaussian blur, sigma 4",
    "Gaussian blur, sigma 6",
    "motion blur, 25 px",
    "28 px scaled up",
    "14 px pixelated",
    "black bar over the eyes",
    "mask",
    "red watermark",
    "exposure 0.1",
    "negative",
    "wave lines, 1 px every 7",
    "scan lines",
    "fisheye",
)
"""The degradations that the documentation shows beside the held-out ones; the results have all."""
_SHOWN_WIDTHS = ("16 px", "20 px", "24 px", "34 px", "60 px")
_NOT_SHOWN = ("LFW, used for training", "dark (Yale B)")


def main() -> None:
    print(
        "\n".join(
            [
                *scores(),
                "",
                *packs(),
                "",
                *populations("omz"),
                "",
                *populations("open"),
                "",
                *held_out(),
                "",
                *quality(),
                "",
                *degraded(),
                "",
                *degraded_pairs(),
                "",
                *highest_degraded_fars(),
                "",
                *stability(),
                "",
                *face_sizes(),
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
    """Yield FAR and TAR of the thresholds above 60; ``populations`` has the others."""
    results = {name: _result(f"accuracy-{name}") for name in _PACKS}
    yield f"| score (3.0) | {' | '.join(f'`{name}`: FAR | `{name}`: TAR' for name in _PACKS)} |"
    yield f"|---|{'---|' * 2 * len(_PACKS)}"
    for score in (70, 80, 85, 90):
        cells = []
        for result in results.values():
            row = _row(result["tables"][_ALL], score)
            cells += [_far_cell(row["far"]), _tar_cell(row["tar"])]
        yield f"| {score} | {' | '.join(cells)} |"


def packs() -> Iterator[str]:
    """Yield the measured packs, the most accurate first."""
    yield "| pack | ten-fold accuracy | ms per image |"
    yield "|---|---|---|"
    for name in _PACKS:
        result = _result(f"accuracy-{name}")
        mean, error = result["ten_fold"]
        yield f"| `{name}` | {100 * mean:.2f} % ± {100 * error:.2f} | {result['milliseconds_per_image']:.0f} |"


def populations(pack: str) -> Iterator[str]:
    """Yield the FAR of each group of impostor pairs and the TAR of LFW, with the scores of each population."""
    rows = _result("populations")[pack]["shipped"]
    yield f"| `{pack}` | pairs | population | at 40 | at 50 | at 60 |"
    yield "|---|---|---|---|---|---|"
    for row in sorted(rows, key=lambda row: [other["group"] for other in rows].index(row["group"])):
        cells = " | ".join(map(_far_cell, row["far"]))
        yield f"| FAR, {row['group']} | {row['impostor_pairs']:,} | {row['population']} | {cells} |"
    for row in rows:
        if row["group"] == rows[0]["group"]:
            cells = " | ".join(map(_tar_cell, row["tar"]))
            yield f"| TAR, LFW | {row['genuine_pairs']:,} | {row['population']} | {cells} |"


def held_out() -> Iterator[str]:
    """Yield the rates of people who are not in the calibration ``matched``; a cell has those at 40, 50 and 60."""
    for pack in _PACKS:
        rows = _result("populations")[pack]["held_out"]
        if pack == _PACKS[0]:
            groups = list(dict.fromkeys(row["group"] for row in rows))
            yield f"| pack, half | TAR of LFW | {' | '.join(f'FAR, {group}' for group in groups[1:])} |"
            yield f"|---|{'---|' * len(groups)}"
        for direction in dict.fromkeys(row["direction"] for row in rows):
            everyone, *groups = [row for row in rows if row["direction"] == direction]
            cells = [[f"{100 * value:.1f}" for value, *_ in everyone["tar"]]]
            cells += [[_two_digits(100 * value) for value, *_ in row["far"]] for row in groups]
            texts = " | ".join(f"{' / '.join(cell)} %" for cell in cells)
            yield f"| `{pack}`, {direction.partition(' ')[0]} | {texts} |"


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


def degraded_pairs() -> Iterator[str]:
    """Yield accepted impostor pairs and the TAR of pairs degraded alike, before and after the correction."""
    results = {name: _result("degradation")[name]["rows"] for name in _PACKS}
    heads = "".join(f" `{name}`: impostors at 50 | TAR at 50 |" for name in _PACKS)
    yield f"| degradation of both images |{heads}"
    yield f"|---|{'---|' * 2 * len(_PACKS)}"
    for rows in zip(*results.values(), strict=True):
        if rows[0]["kind"] in _SHOWN_KINDS or rows[0]["group"] == "held out":
            cells = [
                f"{_two_digits(100 * row['far_before'][1])} -> {_two_digits(100 * row['far_after'][1])} % | "
                f"{100 * row['tar_before'][1]:.0f} -> {100 * row['tar_after'][1]:.0f} %"
                for row in rows
            ]
            mark = "*" if rows[0]["group"] == "held out" else ""
            yield f"| {rows[0]['kind']}{mark} | {' | '.join(cells)} |"


def highest_degraded_fars() -> Iterator[str]:
    """Yield the highest FAR at 50 of pairs degraded alike, as a part of a sentence."""
    highest = []
    for name in _PACKS:
        rows = _result("degradation")[name]["rows"]
        row = max(rows, key=lambda row: row["far_after"][1])
        highest.append(f"{_two_digits(100 * row['far_after'][1])} % with `{name}` ({row['kind']})")
    yield f"of {len(rows)} measured kinds, at most {' and '.join(highest)} at 50"


def stability() -> Iterator[str]:
    """Yield how much harmless changes of an image move the score, and how many decisions they flip."""
    results = _result("stability")["after"]
    yield f"| change of one image | {' | '.join(f'`{name}`: mean / 95 % | flips at 50, 80' for name in _PACKS)} |"
    yield f"|---|{'---|' * 2 * len(_PACKS)}"
    for rows in zip(*(results[name] for name in _PACKS), strict=True):
        cells = [
            f"{row['mean']:.1f} / {row['percentile_95']:.1f} | {', '.join(map(str, row['flips']))}" for row in rows
        ]
        yield f"| {rows[0]['change']} | {' | '.join(cells)} |"


def face_sizes() -> Iterator[str]:
    """Yield FAR and TAR by the width of the face in one or both images of a pair."""
    results = _result("face_size")
    yield f"| face | {' | '.join(f'`{name}`: TAR at 40 / 50 | FAR at 40 / 50' for name in _PACKS)} |"
    yield f"|---|{'---|' * 2 * len(_PACKS)}"
    for width in _SHOWN_WIDTHS:
        rows = [results[name][width] for name in _PACKS]
        cells = [f"{row['one: TAR at 40 / 50']} % | {row['both: FAR at 40 / 50']} %" for row in rows]
        yield f"| {width} | {' | '.join(cells)} |"


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
