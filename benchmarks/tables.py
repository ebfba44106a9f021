"""Tables of results in Markdown; as a program, those of the documentation, from ``results/``."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from app.packs import manifest

_RESULTS = Path(__file__).with_name("results")
_MODELS = Path(__file__).resolve().parents[1] / "models"
_ALL = "shipped calibration, all people"
_WORDS = {40: ("lenient", 70, "0.1 %"), 50: ("usual", 80, "0.01 %"), 60: ("strict", 90, "0.001 %")}
_PACKS = ("omz", "open")
_SUBJECTS = {
    "baseline": "insightface behind FastAPI",
    "standin": "compareface, same weights",
    "open": "`open`",
    "omz": "`omz`",
}
_NOT_SHOWN = ("LFW, used for training", "dark (Yale B)")


def main() -> None:
    print("\n".join([*scores(), "", *packs(), "", *quality(), "", *speed(), "", *sizing()]))


def table(title: str, rows: Mapping[str, Mapping[str, object]]) -> None:
    """Print rows with the same columns."""
    heads = list(next(iter(rows.values())))
    print(f"\n| {title} | {' | '.join(heads).replace('_', ' ')} |\n|---|{'---|' * len(heads)}")
    for name, row in rows.items():
        print(f"| {name} | {' | '.join(str(value) for value in row.values())} |")


def min_median_max(values: Sequence[float], digits: int = 1) -> list[float]:
    """Return minimum, median and maximum."""
    return [round(value, digits) for value in (min(values), median(values), max(values))]


def scores() -> Iterator[str]:
    """Yield FAR and TAR of every usual threshold."""
    results = {name: _result(name) for name in _PACKS}
    yield f"| accept at a score of | 3.0 | 2.0 | {' | '.join(f'`{name}`: FAR | TAR' for name in _PACKS)} |"
    yield f"|---|---|---|{'---|' * 2 * len(_PACKS)}"
    for score in (40, 50, 60, 70, 80, 85, 90):
        words, other, _ = _WORDS.get(score, ("(some applications)", "", ""))
        cells = []
        for result in results.values():
            row = _row(result["tables"][_ALL], score)
            cells += [_percent(row["far"][0]), _interval(row["tar"])]
        yield f"| {words} | {score} | {other} | {' | '.join(cells)} |"


def packs() -> Iterator[str]:
    """Yield the measured packs, the most accurate first."""
    heads = ("pack", "licence of the models", "download", "TAR at 40", "at 50", "at 60", "at 80", "ten-fold accuracy")
    yield f"| {' | '.join(heads)} | ms per image |"
    yield "|---|---|---|---|---|---|---|---|---|"
    for name in _PACKS:
        result, pack = _result(name), manifest.load(_MODELS / name / "pack.toml")
        rows = [_row(result["tables"][_ALL], score) for score in (40, 50, 60, 80)]
        size = sum(download.size for download in pack.downloads) / 1e6
        mean, error = result["ten_fold"]
        yield (
            f"| `{name}` | {pack.licence.name}: {pack.licence.terms} | {f'{size:.1f} MB' if size else 'none'} | "
            f"{' | '.join(_interval(row['tar']) for row in rows)} | {_short(mean)} ± {_short(error)} | "
            f"{result['milliseconds_per_picture']:.0f} |"
        )


def quality() -> Iterator[str]:
    """Yield the quality of each data set; of LFW, people who were not used for training."""
    result: dict[str, Any] = json.loads((_RESULTS / "quality.json").read_text(encoding="utf-8"))
    for name, row in result["covered"].items():
        if name not in _NOT_SHOWN:
            grades = result["grades"][name]
            yield (
                f"| {name} | {row['faces']} | {row['mouth_or_nose']} % {row['95 %']} | {row['eyes']} % | "
                f"{grades['below_2']} % | {grades['4']} % |"
            )


def speed() -> Iterator[str]:
    """Yield latency and throughput of the services measured side by side; medians of the rounds."""
    result: dict[str, Any] = json.loads((_RESULTS / "speed.json").read_text(encoding="utf-8"))
    for title, rows in result["sets"].items():
        for name, row in rows.items():
            _, milliseconds, _ = row["ms"]
            _, rate, _ = row["per_second"]
            low, _, high = row["times_baseline"]
            faster = 1 / row["of_baseline"][1]
            against = (
                "" if name == "baseline" else f"{faster:.1f} | {row['times_baseline'][1]:.1f} [{low:.1f}, {high:.1f}]"
            )
            yield (
                f"| {title} | {_SUBJECTS[name]} | {milliseconds:.0f} | {rate:.0f} | {against or '1 | 1'} | "
                f"{result['peak_mib'][name]} |"
            )


def sizing() -> Iterator[str]:
    """Yield what one core serves with each pack: medians of the rounds, with minimum and maximum of the rates."""
    result: dict[str, Any] = json.loads((_RESULTS / "sizing.json").read_text(encoding="utf-8"))
    for name, row in result["packs"].items():
        rates = [
            f"{middle:.0f} [{low:.0f}, {high:.0f}]" for key, (low, middle, high) in row.items() if "second," in key
        ]
        ready, peak, start = row["ready_mib"], row["peak_mib"], row["cold_start_s"]
        yield f"| `{name}` | {' | '.join(rates)} | {ready[1]:.0f} | {peak[2]:.0f} | {start[1]:.1f} |"


def _result(name: str) -> dict[str, Any]:
    result: dict[str, Any] = json.loads((_RESULTS / f"accuracy-{name}.json").read_text(encoding="utf-8"))
    return result


def _row(table: list[dict[str, Any]], score: int) -> dict[str, Any]:
    return next(row for row in table if (row["version"], row["score"]) == ("3.0", score))


def _interval(rate: list[float]) -> str:
    value, low, high = (f"{share:.3f}".lstrip("0") for share in rate)
    return f"{value} [{low}, {high}]"


def _percent(share: float) -> str:
    return f"{100 * share:.1g} %".replace("e-0", "e-")


def _short(share: float) -> str:
    return f"{share:.4f}".lstrip("0")


if __name__ == "__main__":
    main()
